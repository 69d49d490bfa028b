import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.reports.axes import Scale, next_round
from deepfactor.reports.waterfall import Fall, Step, Waterfall, largest, steps_of, waterfall
from deepfactor.schemas import FACTORS

RETURNS = st.floats(-0.5, 0.5, allow_subnormal=False)
STEPS = st.lists(
    st.builds(Step, st.sampled_from(FACTORS), RETURNS, st.none() | st.floats(0, 0.1), st.booleans()), max_size=16
)


def _drawn(start: float = 0.01) -> Waterfall:
    steps = [Step("bias", 0.002), Step("Risk", -0.02, 0.004, disputed=True), Step("Value", 0.00001)]
    return waterfall(steps, Step("level", start), Step("prediction", start - 0.01799, 0.006))


class TestRegression:
    def test_frozen(self) -> None:
        drawn = _drawn()
        assert [(fall.kind, fall.label, fall.text) for fall in drawn.falls] == [
            ("start", "level", "+1.00"),
            ("up", "bias", "+0.20"),
            ("down", "Risk", "−2.00 ± 0.40"),
            ("none", "Value", "0.00"),
            ("total", "prediction", "−0.80 ± 0.60"),
        ]
        assert [(fall.start, fall.end) for fall in drawn.falls] == [
            (254.85, 254.85),
            (254.85, 268.46),
            (268.46, 132.31),
            (132.31, 132.38),
            (254.85, 132.38),
        ]
        assert drawn.falls[2].outline == "M268.46 46H138.31L132.31 52L138.31 58H268.46Z"
        assert drawn.falls[2].whisker == "M105.09 52H159.54M105.09 49v6M159.54 49v6"
        assert [(tick.position, tick.label) for tick in drawn.ticks] == [
            (118.7, "−1"),
            (186.77, "0"),
            (254.85, "+1"),
        ]
        assert [fall.disputed for fall in drawn.falls] == [False, False, True, False, False]
        assert drawn.description == (
            "In percent of return: level +1.00, bias +0.20, Risk −2.00 ± 0.40, Value 0.00, prediction −0.80 ± 0.60."
        )


class TestProperties:
    @settings(max_examples=60, deadline=None)
    @given(STEPS, RETURNS, RETURNS, st.none() | st.floats(0, 0.1))
    def test_adds_up_whatever_the_signs(
        self, steps: list[Step], start: float, total: float, dispersion: float | None
    ) -> None:
        drawn = waterfall(steps, Step("level", start), Step("prediction", total, dispersion))
        first, *between, last = drawn.falls
        assert first.start == first.end == last.start
        position = first.end
        for fall in between:
            assert fall.start == position, "a step starts where the one before ended"
            assert fall.kind != "up" or fall.end > fall.start
            assert fall.kind != "down" or fall.end < fall.start
            position = fall.end
        unit = Waterfall.PLOT / (max(_reach(steps, start, total, dispersion)) * 1.04 or 0.002)
        # What is not accounted for and cannot be seen may be missing.
        assert abs(last.end - position) <= max(0.02, 5e-5 * unit + 0.02)

    @settings(max_examples=60, deadline=None)
    @given(STEPS, RETURNS, RETURNS)
    def test_everything_lies_within_the_picture(self, steps: list[Step], start: float, total: float) -> None:
        drawn = waterfall(steps, Step("level", start), Step("prediction", total))
        places = [place for fall in drawn.falls for place in (fall.start, fall.end, *_whisker(fall))]
        places += [tick.position for tick in drawn.ticks] + ([] if drawn.zero is None else [drawn.zero])
        right = Waterfall.LEFT + Waterfall.PLOT
        assert all(Waterfall.LEFT - 0.01 <= place <= right + 0.01 for place in places)
        assert all(math.isfinite(place) for place in places)
        assert drawn.falls[-1].top + Waterfall.BAR <= drawn.height
        assert len(drawn.ticks) <= 7

    @settings(max_examples=60, deadline=None)
    @given(STEPS, RETURNS)
    def test_what_the_steps_leave_out_is_a_step(self, steps: list[Step], start: float) -> None:
        total = start + math.fsum(step.value for step in steps) + 0.01
        drawn = waterfall(steps, Step("level", start), Step("prediction", total))
        assert [fall.label for fall in drawn.falls[1:-1]] == [*(step.label for step in steps), "unaccounted"]
        assert drawn.falls[-2].text == "+1.00"

    def test_direction_is_told_by_shape_and_sign(self) -> None:
        for fall in _drawn().falls[1:3]:
            middle = re.search(r"L([\d.]+) ", fall.outline)
            assert middle is not None
            assert float(middle[1]) == fall.end
            shoulder = re.search(r"H([\d.]+)L", fall.outline)
            assert shoulder is not None
            assert min(fall.start, fall.end) <= float(shoulder[1]) <= max(fall.start, fall.end)
            assert fall.text[0] == ("+" if fall.kind == "up" else "−")

    @settings(max_examples=60, deadline=None)
    @given(STEPS, st.integers(0, 10))
    def test_largest_keep_the_sum(self, steps: list[Step], count: int) -> None:
        kept = largest(steps, count)
        assert len(kept) <= count + 1
        assert math.fsum(step.value for step in kept) == pytest.approx(math.fsum(step.value for step in steps))
        sizes = [abs(step.value) for step in kept[:count]]
        assert sizes == sorted(map(abs, (step.value for step in steps)), reverse=True)[: len(sizes)]

    @settings(max_examples=60, deadline=None)
    @given(st.floats(1e-6, 1e6), st.integers(2, 9))
    def test_ticks_are_round_and_as_many_as_asked(self, width: float, count: int) -> None:
        scale = Scale.around(-width / 3, width, 0.0, 100.0)
        found = scale.ticks(count)
        assert 1 <= len(found) <= count + 1
        assert len({tick.label for tick in found}) == len(found)

    def test_round_widths(self) -> None:
        assert [next_round(width) for width in (0.011, 0.02, 0.021, 0.3, 7, 0.0)] == pytest.approx(
            [0.02, 0.02, 0.05, 0.5, 10, 0.001]
        )


ACCOUNT = {**dict.fromkeys(FACTORS, 0.001), "bias": 0.002, "level": 0.01, "leak": 0.0, "prediction": 0.017}


class TestAccount:
    def test_bias_and_factors_in_their_order(self) -> None:
        steps = steps_of(ACCOUNT, {"Risk": 0.003}, {"Size"})
        assert [step.label for step in steps] == ["bias", *FACTORS]
        assert steps[1] == Step("Risk", 0.001, 0.003)
        assert steps[-1] == Step("Size", 0.001, None, disputed=True)

    def test_a_leak_is_shown_if_it_is_not_nothing(self) -> None:
        assert steps_of(ACCOUNT | {"leak": -0.0004})[-1] == Step("leak", -0.0004)
        assert steps_of(ACCOUNT | {"leak": 1e-9})[-1].label == "Size"


def _reach(steps: list[Step], start: float, total: float, dispersion: float | None) -> list[float]:
    """How wide the values are, from the definition."""
    running, ends = start, [start, total, total - (dispersion or 0), total + (dispersion or 0)]
    gap = total - start - sum(step.value for step in steps)
    for value, spread in [*((step.value, step.dispersion or 0) for step in steps), (gap, 0)]:
        running += value
        ends += [running - spread, running + spread]
    return [max(ends) - min(ends)]


def _whisker(fall: Fall) -> list[float]:
    ends = re.match(r"M(-?[\d.]+) [\d.]+H(-?[\d.]+)", fall.whisker)
    return [float(each) for each in ends.groups()] if ends else []
