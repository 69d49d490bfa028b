import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.descriptors import NAMES
from deepfactor.reports.beeswarm import ENDS, Beeswarm, beeswarm

VALUES = st.floats(-0.1, 0.1, allow_subnormal=False)
STOCKS = st.lists(st.tuples(st.floats(-0.5, 0.5), VALUES, st.booleans()), max_size=80)


def _dots(path: str) -> list[tuple[int, int]]:
    """Where the path's dots lie, as a browser reads it."""
    assert re.fullmatch(r"([Mm]-?\d+[ -]\d+h0)*", path)
    places, x, y = [], 0, 0
    for right, down in re.findall(r"[Mm](-?\d+) ?(-?\d+)h0", path):
        x, y = x + int(right), y + int(down)
        places.append((x, y))
    return places


def _arrays(stocks: list[tuple[float, float, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ranks, values, known = (np.array([each[part] for each in stocks]) for part in range(3))
    return ranks.astype(np.float32), values.astype(np.float64), known.astype(np.bool_)


class TestRegression:
    def test_frozen(self) -> None:
        ranks = np.linspace(-0.5, 0.5, 24)
        drawn = beeswarm("PER", ranks, 0.01 * ranks**3, np.arange(24) != 3, highlighted=22)
        assert drawn.dots.startswith("M72 294h0m26-34h0m26-29h0m52-41h0m26-14h0m27-10h0")
        assert drawn.curve == ""
        assert drawn.sparse
        assert drawn.highlighted == (322.96, 20.11)
        assert [(tick.position, tick.label) for tick in drawn.ticks] == [
            (132.69, "−0.10"),
            (103.85, "−0.05"),
            (75.0, "0.00"),
            (46.15, "+0.05"),
            (17.31, "+0.10"),
        ]
        assert drawn.ends == ("dear by earnings", "cheap by earnings")
        assert drawn.description == (
            "23 stocks, 1 without PER left out. "
            "Mean contribution by fifths of the rank, in percent of return: −0.07, −0.01, 0.00, +0.02, +0.09."
        )


class TestProperties:
    @settings(max_examples=50, deadline=None)
    @given(STOCKS)
    def test_every_known_stock_is_a_dot_where_it_belongs(self, stocks: list[tuple[float, float, bool]]) -> None:
        ranks, values, known = _arrays(stocks)
        drawn = beeswarm("PER", ranks, values, known)
        low, high = min(0.0, *values[known], 0.0), max(0.0, *values[known], 0.0)
        margin = 0.02 * (high - low) if high - low > 1e-9 else max(high, 0.001)
        unit = Beeswarm.HEIGHT / (high - low + 2 * margin)
        expected = {
            (
                2 * (Beeswarm.LEFT + (rank + 0.5) * Beeswarm.PLOT),
                2 * (Beeswarm.HEIGHT - (value - low + margin) * unit),
            )
            for rank, value in zip(ranks[known].tolist(), values[known].tolist(), strict=True)
        }
        found = _dots(drawn.dots)
        assert len(set(found)) == len(found) <= len(expected)
        for x, y in expected:
            assert any(abs(x - one) < 0.6 and abs(y - other) < 0.6 for one, other in found)
        for tick in drawn.ticks:
            value = float(tick.label.replace("−", "-")) / 100
            assert tick.position == pytest.approx(Beeswarm.HEIGHT - (value - low + margin) * unit, abs=0.02)
        assert drawn.unknown == int(np.sum(~known))
        assert drawn.unknown + len(known[known]) == len(stocks)

    @settings(max_examples=50, deadline=None)
    @given(STOCKS)
    def test_what_is_unknown_changes_nothing_but_its_count(self, stocks: list[tuple[float, float, bool]]) -> None:
        ranks, values, known = _arrays(stocks)
        drawn, without = (
            beeswarm("PER", ranks, values, known),
            beeswarm("PER", ranks[known], values[known], known[known]),
        )
        assert (drawn.dots, drawn.curve, drawn.ticks) == (without.dots, without.curve, without.ticks)

    def test_order_of_stocks_does_not_matter(self) -> None:
        random = np.random.default_rng(1)
        # Ranks with ties, as averaged ranks have.
        ranks, values = random.integers(-5, 6, 200) / 10, random.normal(size=200) / 100
        known, order = random.random(200) > 0.1, random.permutation(200)
        assert beeswarm("PER", ranks, values, known) == beeswarm("PER", ranks[order], values[order], known[order])

    def test_pictures_with_one_reach_can_be_compared(self) -> None:
        ranks, known = np.array([-0.5, 0.5]), np.ones(2, dtype=np.bool_)
        one = beeswarm("PER", ranks, np.array([-0.01, 0.02]), known, reach=(-0.05, 0.03))
        other = beeswarm("PBR", ranks, np.array([0.0, 0.001]), known, reach=(-0.05, 0.03))
        assert (one.ticks, one.zero) == (other.ticks, other.zero)

    def test_curve_shows_a_bend(self) -> None:
        ranks = np.linspace(-0.5, 0.5, 1001)
        drawn = beeswarm("PER", ranks, np.abs(ranks) / 100, np.ones(1001, dtype=np.bool_))
        heights = [int(each) for each in re.findall(r"[ML]\d+ (\d+)", drawn.curve)]
        assert len(heights) == 20
        assert heights[:10] == sorted(heights[:10])
        assert heights[10:] == sorted(heights[10:], reverse=True)

    def test_two_thousand_stocks_are_a_short_path(self) -> None:
        random = np.random.default_rng(0)
        drawn = beeswarm("PER", random.random(2000) - 0.5, random.normal(size=2000), np.ones(2000, dtype=np.bool_))
        assert len(drawn.dots) < 16_000

    def test_every_descriptor_has_words_for_its_ends(self) -> None:
        assert tuple(ENDS) == NAMES


class TestDegenerate:
    def test_nobody_has_the_descriptor(self) -> None:
        drawn = beeswarm("PER", np.zeros(3), np.zeros(3), np.zeros(3, dtype=np.bool_), highlighted=1)
        assert (drawn.dots, drawn.curve, drawn.highlighted, drawn.unknown) == ("", "", None, 3)
        assert drawn.description == "0 stocks, 3 without PER left out."

    @pytest.mark.parametrize("count", [1, 4, 59])
    def test_few_stocks_have_no_curve(self, count: int) -> None:
        assert beeswarm("PER", np.zeros(count), np.zeros(count), np.ones(count, dtype=np.bool_)).curve == ""
