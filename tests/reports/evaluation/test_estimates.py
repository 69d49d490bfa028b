from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.reports.evaluation.estimates import Estimate, EstimateChart, estimate_chart, reach_of

_figure = st.floats(-2, 2, allow_subnormal=False)
_estimates = st.lists(
    st.builds(Estimate, st.just("1"), _figure, st.none() | st.floats(0, 1), st.none() | _figure),
    min_size=1,
    max_size=10,
)


class TestRegression:
    def test_frozen(self) -> None:
        estimates = [Estimate("bottom", -0.1, 0.05, 0.02), Estimate("top", 0.1, None, 0.04)]
        drawn = estimate_chart(estimates, reach_of(estimates))
        assert drawn is not None
        one, other = drawn.marks
        assert (one.centre, one.value, one.low, one.high) == (104, 102.62, 125.69, 79.54)
        assert (other.centre, other.value, other.low, other.high) == (232, 10.31, 10.31, 10.31)
        assert (drawn.width, drawn.zero, drawn.beside) == (76.8, 56.46, "M104 47.23L232 38")
        assert [tick.label for tick in drawn.ticks] == ["−15", "−10", "−5", "0", "+5", "+10"]
        assert drawn.description == (
            "bottom: −10.00 ± 5.00 percent, predicted +2.00. top: +10.00 percent, predicted +4.00."
        )


@settings(deadline=None)
@given(_estimates)
def test_everything_lies_within_the_picture(estimates: list[Estimate]) -> None:
    drawn = estimate_chart(estimates, reach_of(estimates))
    assert drawn is not None
    top, bottom = EstimateChart.TOP, EstimateChart.TOP + EstimateChart.HEIGHT
    assert top <= drawn.zero <= bottom
    for mark in drawn.marks:
        assert top <= mark.high <= mark.value <= mark.low <= bottom
        assert mark.centre - drawn.width / 2 >= EstimateChart.LEFT
        assert mark.centre + drawn.width / 2 <= EstimateChart.LEFT + EstimateChart.PLOT
    positions = sorted(tick.position for tick in drawn.ticks)
    assert all(after - before > 11 for before, after in pairwise(positions))


def test_nothing_is_no_picture() -> None:
    assert estimate_chart([], (0.0, 0.0)) is None
    assert reach_of([]) == (0.0, 0.0)
