from __future__ import annotations

from math import sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, sem

from deepfactor.evaluation.averages import annualised, known, mean_with_error, ratio, share_of_months, t_statistic
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.sharpe import sharpe_ratio
from deepfactor.evaluation.significance import mean_test

_YEAR = np.array([0.02, -0.01, 0.03, 0.00, 0.01, -0.02, 0.04, 0.01, 0.00, 0.02, -0.03, 0.05])


def test_known_months() -> None:
    assert known(pl.Series([0.1, None, 0.2])).tolist() == [0.1, 0.2]
    assert known(pl.Series([None, None], dtype=pl.Float64)).tolist() == []


class TestMeans:
    def test_by_hand(self) -> None:
        """Newey and West with two lags at 12 months."""
        figures = mean_with_error("x", _YEAR)
        assert figures["x"] == pytest.approx(0.01)
        deviations = _YEAR - 0.01
        # Sums of products at lags 0, 1, 2, in units of 1e-4: of 1 -2 2 -1 0 -3 3 0 -1 1 -4 4.
        squares, first, second = 62, -2 - 4 - 2 + 0 + 0 - 9 + 0 + 0 - 1 - 4 - 16, 2 + 2 + 0 + 3 + 0 + 0 - 3 + 0 + 4 + 4
        assert squares == pytest.approx(1e4 * (deviations**2).sum())
        variance = (squares + 2 * (2 / 3 * first + 1 / 3 * second)) * 1e-4 / 12**2 * 12 / 11
        assert figures["x_se"] == pytest.approx(sqrt(variance))
        assert t_statistic(_YEAR) == pytest.approx(0.01 / sqrt(variance))

    def test_without_lags_it_is_the_ordinary_error(self) -> None:
        test = mean_test(_YEAR, lags=0)
        assert test is not None
        assert test.mean.standard_error == pytest.approx(sem(_YEAR))

    def test_few_months(self) -> None:
        assert mean_with_error("x", _YEAR[1:]) == {"x": pytest.approx(0.1 / 11), "x_se": None}
        assert mean_with_error("x", _YEAR[:0]) == {"x": None, "x_se": None}
        assert t_statistic(_YEAR[1:]) is None
        assert mean_with_error("x", np.ones(20)) == {"x": 1.0, "x_se": None}


class TestYear:
    def test_by_hand(self) -> None:
        figures = annualised(_YEAR)
        deviation = sqrt(62e-4 / 11)
        assert figures["annual_return"] == pytest.approx(0.12)
        assert figures["annual_volatility"] == pytest.approx(deviation * sqrt(12))
        assert figures["sharpe_ratio"] == pytest.approx(0.12 / (deviation * sqrt(12)))
        # Fourth powers of 1 -2 2 -1 0 -3 3 0 -1 1 -4 4.
        kurtosis = (4 * 1 + 2 * 16 + 2 * 81 + 2 * 256) / 12 / (62 / 12) ** 2
        assert figures["annual_volatility_se"] == pytest.approx(deviation * sqrt(12) * sqrt((kurtosis - 1) / 48))
        assert figures["annual_return_se"] == pytest.approx(12 * mean_with_error("x", _YEAR)["x_se"])
        estimate = sharpe_ratio(_YEAR)
        assert estimate is not None
        assert figures["sharpe_ratio_se"] == estimate.standard_error
        assert figures["sharpe_ratio"] == pytest.approx(estimate.ratio)

    def test_the_error_of_a_volatility_is_that_of_many_samples(self) -> None:
        samples = np.random.default_rng(0).normal(0.01, 0.05, (4000, 120))
        errors = [annualised(each)["annual_volatility_se"] for each in samples[:200]]
        found = np.std([sqrt(12) * each.std(ddof=1) for each in samples])
        assert float(np.mean(np.array(errors, dtype=float))) == pytest.approx(found, rel=0.1)

    def test_few_months(self) -> None:
        one = annualised(np.array([0.02]))
        assert one.pop("annual_return") == pytest.approx(0.24)
        assert set(one.values()) == {None}
        assert set(annualised(np.empty(0)).values()) == {None}
        three = annualised(np.array([0.01, 0.03, 0.02]))
        assert three["annual_volatility"] == pytest.approx(0.01 * sqrt(12))
        assert three["sharpe_ratio"] == pytest.approx(0.24 / (0.01 * sqrt(12)))
        assert {value for name, value in three.items() if name.endswith("_se")} == {None}

    def test_a_constant(self) -> None:
        figures = annualised(np.full(24, 0.01))
        assert figures["annual_volatility"] == pytest.approx(0, abs=1e-15)
        assert (figures["sharpe_ratio"], figures["sharpe_ratio_se"], figures["annual_return_se"]) == (None, None, None)
        assert ratio(np.full(24, 0.1)) is None


class TestShares:
    @settings(deadline=None)
    @given(st.lists(st.booleans(), min_size=FEWEST_MONTHS_FOR_T, max_size=150))
    def test_against_scipy(self, hits: list[bool]) -> None:
        figures = share_of_months("x", np.array(hits))
        interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
        assert figures["x"] == pytest.approx(sum(hits) / len(hits))
        assert figures["x_lower"] == pytest.approx(interval.low, abs=1e-12)
        assert figures["x_upper"] == pytest.approx(interval.high, abs=1e-12)

    def test_few_months(self) -> None:
        hits = np.array([True] * 8 + [False] * 3)
        assert share_of_months("x", hits) == {"x": pytest.approx(8 / 11), "x_lower": None, "x_upper": None}
        assert share_of_months("x", hits[:0]) == {"x": None, "x_lower": None, "x_upper": None}
