"""What is learned of a return, and the way back from a score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata

from deepfactor.models.targets import UNCALIBRATED, Calibration, Target, calibrate, target_values
from deepfactor.ranks import centred_ranks

TARGETS: tuple[Target, ...] = ("return", "excess", "rank")


@st.composite
def labelled_months(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return returns, some of them equal, and the month of each, in any order."""
    count = draw(st.integers(2, 30))
    returns = draw(st.lists(st.integers(-90, 300), min_size=count, max_size=count))
    months = draw(st.lists(st.integers(5, 8), min_size=count, max_size=count))
    return np.array(returns) / 100, np.array(months)


class TestRegression:
    def test_targets(self) -> None:
        returns, months = np.array([0.10, -0.20, 0.00, 0.30, 0.30]), np.array([1, 1, 1, 2, 2])
        assert target_values(returns, months, "return") is returns
        np.testing.assert_allclose(target_values(returns, months, "excess"), [0.10, -0.20, 0.00, 0.0, 0.0])
        np.testing.assert_allclose(target_values(returns, months, "rank"), [0.5, -0.5, 0.0, 0.0, 0.0])

    def test_a_calibration(self) -> None:
        returns, months = np.array([0.10, -0.20, 0.10, 0.30, 0.10, 0.05]), np.array([1, 1, 1, 2, 2, 2])
        ranks = target_values(returns, months, "rank")
        found = calibrate(ranks, returns, months)
        # Ranks ¼, −½, ¼ and ½, 0, −½, whose squares add up to ⅜ + ½.
        assert found.slope == pytest.approx((0.25 * 0.1 + 0.5 * 0.2 + 0.25 * 0.1 + 0.5 * 0.3 - 0.5 * 0.05) / 0.875)
        assert found.level == pytest.approx(returns.mean())

    def test_a_stock_that_is_alone_is_the_median(self) -> None:
        assert target_values(np.array([0.4]), np.array([3]), "rank") == [0.0]
        assert target_values(np.array([0.4]), np.array([3]), "excess") == [0.0]


class TestProperties:
    @given(labelled_months())
    def test_ranks_are_scipys(self, case: tuple[NDArray[np.float64], NDArray[np.int64]]) -> None:
        returns, months = case
        expected = np.empty_like(returns)
        for month in set(months.tolist()):
            own = months == month
            expected[own] = (rankdata(returns[own]) - 1) / max(own.sum() - 1, 1) - (0.5 if own.sum() > 1 else 0)
        np.testing.assert_allclose(target_values(returns, months, "rank"), expected, atol=1e-15)

    @given(labelled_months(), st.sampled_from(TARGETS))
    def test_a_target_keeps_the_order_within_a_month(
        self, case: tuple[NDArray[np.float64], NDArray[np.int64]], target: Target
    ) -> None:
        returns, months = case
        values = target_values(returns, months, target)
        for month in set(months.tolist()):
            own = months == month
            np.testing.assert_array_equal(centred_ranks(values[own]), centred_ranks(returns[own]))

    @given(labelled_months(), st.sampled_from(TARGETS))
    def test_a_calibration_is_least_squares_within_months(
        self, case: tuple[NDArray[np.float64], NDArray[np.int64]], target: Target
    ) -> None:
        returns, months = case
        values = target_values(returns, months, target)
        within = any(np.ptp(returns[months == month]) > 0 for month in set(months.tolist()))
        if not within:
            return
        found = calibrate(values, returns, months)
        assert found.slope > 0
        assert found(values).mean() == pytest.approx(returns.mean(), abs=1e-12)
        dummies = (months[:, None] == np.unique(months)).astype(float)
        expected = np.linalg.lstsq(np.column_stack([values, dummies]), returns, rcond=None)[0][0]
        assert found.slope == pytest.approx(expected)

    @given(labelled_months())
    def test_of_returns_and_excess_returns_the_slope_is_one(
        self, case: tuple[NDArray[np.float64], NDArray[np.int64]]
    ) -> None:
        returns, months = case
        if all(np.ptp(returns[months == month]) == 0 for month in set(months.tolist())):
            return
        assert calibrate(returns, returns, months) == UNCALIBRATED
        assert calibrate(target_values(returns, months, "excess"), returns, months).slope == pytest.approx(1.0)

    @settings(max_examples=50)
    @given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(-1, 1), st.floats(1e-6, 1e3))
    def test_a_calibration_keeps_the_order(self, scores: list[float], level: float, slope: float) -> None:
        ordered = Calibration(level, slope)(np.sort(scores))
        assert (np.diff(ordered) >= 0).all()

    @given(st.floats(-1, 1), st.floats(1e-6, 1e3))
    def test_it_comes_back_from_its_tensor(self, level: float, slope: float) -> None:
        assert Calibration.from_tensor(Calibration(level, slope).tensor()) == Calibration(level, slope)


class TestValidation:
    @pytest.mark.parametrize(("level", "slope"), [(0.0, 0.0), (0.0, -1.0), (np.nan, 1.0), (0.0, np.inf)])
    def test_no_other_map_is_a_calibration(self, level: float, slope: float) -> None:
        with pytest.raises(ValueError, match="slope positive"):
            Calibration(level, slope)
