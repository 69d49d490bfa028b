import re
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.months import Month
from deepfactor.reports.evaluation.strips import AREA, BARS, CURVE, DASHES, Series, Strips, strips

FIRST = Month.parse("2006-03").ordinal

_months = st.dictionaries(st.integers(FIRST, FIRST + 130), st.floats(-3, 3, allow_subnormal=False), min_size=1)


def series(name: str = "dfm1", kind: str = BARS, values: Mapping[int, float] | None = None) -> Series:
    return Series(name, "a summary", ((kind, {FIRST: 0.1, FIRST + 1: -0.1} if values is None else values),))


def heights(path: str) -> list[float]:
    """Return all vertical positions of a path: those of points, and of vertical lines."""
    return [float(y) for y in re.findall(r"[ML]-?[\d.]+ (-?[\d.]+)", path) + re.findall(r"V(-?[\d.]+)", path)]


class TestRegression:
    def test_frozen(self) -> None:
        (drawn,) = strips([series()])
        (strip,) = drawn.strips
        assert strip.marks == ((BARS, "M126.5 52V24h24V52ZM311.5 52V80h24V52Z"),)
        assert [tick.label for tick in strip.ticks] == ["−10", "−5", "0", "+5", "+10"]
        assert [tick.position for tick in strip.ticks] == [80, 66, 52, 38, 24]
        assert [(tick.position, tick.label) for tick in drawn.months] == [(138.5, "2006-03"), (323.5, "2006-04")]
        assert (strip.top, strip.zero, strip.bottom, drawn.height) == (24, 52, 80, 80)
        assert drawn.description == "dfm1: a summary."

    def test_a_line_is_broken_where_a_month_is_missing(self) -> None:
        values = {FIRST: 0.0, FIRST + 1: 1.0, FIRST + 3: 0.5}
        (drawn,) = strips([series(kind=CURVE, values=values)])
        (_, path), *_ = drawn.strips[0].marks
        assert path == "M92.25 80L184.75 24M366.75 52L372.75 52"


class TestProperties:
    @settings(deadline=None)
    @given(st.lists(_months, min_size=1, max_size=7), st.sampled_from([BARS, AREA, CURVE, DASHES]), st.booleans())
    def test_everything_lies_within_the_picture(
        self, made: list[Mapping[int, float]], kind: str, together: bool
    ) -> None:
        columns = strips([series(str(n), kind, values) for n, values in enumerate(made)], together=together)
        assert [strip.name for column in columns for strip in column.strips] == [str(n) for n in range(len(made))]
        for column in columns:
            before = 0.0
            for strip in column.strips:
                assert before < strip.top < strip.bottom <= column.height
                assert strip.top <= strip.zero <= strip.bottom
                for _, path in strip.marks:
                    assert all(strip.top - 0.01 <= y <= strip.bottom + 0.01 for y in heights(path))
                for tick in strip.ticks:
                    assert strip.top - 0.01 <= tick.position <= strip.bottom + 0.01
                before = strip.bottom
            for tick in column.months:
                assert Strips.LEFT <= tick.position <= Strips.LEFT + Strips.PLOT

    @settings(deadline=None)
    @given(_months)
    def test_ticks_do_not_touch(self, values: Mapping[int, float]) -> None:
        (drawn,) = strips([series(values=values)])
        positions = sorted(tick.position for tick in drawn.strips[0].ticks)
        assert all(after - before > 11 for before, after in pairwise(positions))

    def test_together_means_one_scale(self) -> None:
        small, large = {FIRST: 0.1}, {FIRST: 1.0}
        one, other = strips([series("a", values=small), series("b", values=large)])
        assert min(heights(one.strips[0].marks[0][1])) > one.strips[0].top + 50
        assert min(heights(other.strips[0].marks[0][1])) == other.strips[0].top
        one, other = strips([series("a", values=small), series("b", values=large)], together=False)
        assert min(heights(one.strips[0].marks[0][1])) == one.strips[0].top


@pytest.mark.parametrize("nothing", [[], [series(values={})]])
def test_nothing_is_no_picture(nothing: list[Series]) -> None:
    assert strips(nothing) == ()


def test_a_series_without_values_is_left_out() -> None:
    (drawn,) = strips([series("dfm1"), series("zero", values={})])
    assert [strip.name for strip in drawn.strips] == ["dfm1"]


def test_nothing_but_nothing_still_has_a_scale() -> None:
    (drawn,) = strips([series(values={FIRST: 0.0})])
    assert drawn.strips[0].zero == drawn.strips[0].bottom
    (drawn,) = strips([series(values={FIRST: 0.0})], reached=-0.01)
    assert drawn.strips[0].zero == drawn.strips[0].top
