import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.months import Month
from deepfactor.reports.evaluation.lines import LineChart, line_chart, spread

FIRST = Month.parse("2006-03").ordinal

_wealth = st.dictionaries(st.integers(FIRST, FIRST + 120), st.floats(0, 30, allow_subnormal=False), min_size=1)


class TestRegression:
    def test_frozen(self) -> None:
        drawn = line_chart([("top", "q0", {FIRST: 1.0, FIRST + 1: 1.5}), ("bottom", "q4", {FIRST: 1.0})], (0.5, 1.5))
        assert drawn is not None
        top, bottom = drawn.lines
        assert top.path == "M90.5 103L203.5 11.65"
        assert (top.end, top.name.position, top.name.label) == (11.65, 12, "top 1.50")
        assert (bottom.path, bottom.name.label) == ("M87.5 103L93.5 103", "bottom 1.00")
        assert [tick.label for tick in drawn.ticks] == ["0.5", "1.0", "1.5"]
        assert drawn.start == 103
        assert drawn.description == (
            "top: 1.50 at the end, between 1.00 and 1.50. bottom: 1.00 at the end, between 1.00 and 1.00."
        )


class TestProperties:
    @settings(deadline=None)
    @given(st.lists(_wealth, min_size=1, max_size=8))
    def test_everything_lies_within_the_picture(self, made: list[dict[int, float]]) -> None:
        values = [1.0, *(value for each in made for value in each.values())]
        drawn = line_chart([(str(n), "m0", each) for n, each in enumerate(made)], (min(values), max(values)))
        assert drawn is not None
        bottom = LineChart.TOP + LineChart.HEIGHT
        for line in drawn.lines:
            points = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", line.path)]
            assert all(LineChart.LEFT - 3 <= x <= LineChart.LEFT + LineChart.PLOT + 3 for x, _ in points)
            assert all(LineChart.TOP <= y <= bottom for _, y in points)
            assert LineChart.TOP <= line.name.position <= bottom
        positions = sorted(line.name.position for line in drawn.lines)
        assert all(after - before > 12.9 for before, after in pairwise(positions))

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
    def test_names_keep_the_order_of_the_lines(self, positions: list[float]) -> None:
        placed = spread(positions, 13, 0, 100)
        for one, first in enumerate(positions):
            for other, second in enumerate(positions):
                assert not (first < second and placed[one] > placed[other])

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
    def test_what_lies_apart_stays(self, positions: list[float]) -> None:
        placed = spread(positions, 0, 0, 100)
        assert placed == positions

    def test_more_than_fit_start_at_the_top(self) -> None:
        assert spread([5.0] * 4, 10, 0, 20) == [0, 10, 20, 30]


@pytest.mark.parametrize("series", [[], [("top", "q0", {})]])
def test_nothing_is_no_picture(series: list[tuple[str, str, dict[int, float]]]) -> None:
    assert line_chart(series, (1.0, 1.0)) is None
