from __future__ import annotations

from math import e, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import kurtosis, norm, skew

from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.sharpe import (
    DeflatedSharpeRatio,
    SharpeRatio,
    deflated_sharpe_ratio,
    expected_maximum,
    probability_above,
    sharpe_ratio,
    standard_error,
)

RETURNS = arrays(np.float64, 24, elements=st.integers(-3000, 3000).map(lambda points: points / 1e4))


def ratio_of(returns: NDArray[np.float64]) -> SharpeRatio:
    found = sharpe_ratio(returns)
    assert found is not None
    return found


def deflated(returns: NDArray[np.float64], ratios: list[float], trials: int | None = None) -> DeflatedSharpeRatio:
    found = deflated_sharpe_ratio(returns, ratios, trials)
    assert found is not None
    return found


def months(count: int, ratio: float, seed: int) -> NDArray[np.float64]:
    """Returns of a volatility of 3 % a month and a true annual Sharpe ratio."""
    return (np.random.default_rng(seed).standard_normal(count) + ratio / sqrt(12)) * 0.03


class TestFormulas:
    @pytest.mark.parametrize(
        ("skewness", "kurtosis_", "trials", "threshold", "probability"),
        [
            (-3.0, 10.0, 100, 0.1132, 0.9004),
            (-3.0, 10.0, 46, 0.1004, 0.9505),
            (0.0, 3.0, 88, 0.1111, 0.9505),
        ],
    )
    def test_example_of_the_deflated_sharpe_ratio(
        self, skewness: float, kurtosis_: float, trials: int, threshold: float, probability: float
    ) -> None:
        # Bailey and López de Prado (2014): an annual 2.5 over five years of 250 days, the variance of the trials ½.
        benchmark = expected_maximum(trials, 0.5 / 250)
        assert benchmark == pytest.approx(threshold, abs=5e-5)
        found = probability_above(2.5 / sqrt(250), benchmark, 1250, skewness, kurtosis_)
        assert found == pytest.approx(probability, abs=5e-5)

    @pytest.mark.parametrize(("skewness", "kurtosis_", "probability"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)])
    def test_example_of_the_probabilistic_sharpe_ratio(
        self, skewness: float, kurtosis_: float, probability: float
    ) -> None:
        # Bailey and López de Prado (2012): two years of months, 0.458 a month.
        assert probability_above(0.458, 0.0, 24, skewness, kurtosis_) == pytest.approx(probability, abs=5e-4)

    @pytest.mark.parametrize("periods", [60, 121])
    def test_of_normal_returns_it_is_that_of_lo(self, periods: int) -> None:
        assert standard_error(0.5, periods + 1, 0.0, 3.0) == pytest.approx(sqrt((1 + 0.5 * 0.5**2) / periods))

    @given(RETURNS)
    def test_it_is_the_delta_method(self, returns: NDArray[np.float64]) -> None:
        assume(np.ptp(returns) > 0.001)
        standardised = (returns - returns.mean()) / returns.std()
        ratio = returns.mean() / returns.std()
        influence = standardised - ratio / 2 * (standardised**2 - 1)
        found = standard_error(ratio, 24, float(skew(returns)), float(kurtosis(returns, fisher=False)))
        assert (found or 0.0) ** 2 == pytest.approx((influence**2).mean() / 23, abs=1e-12)

    def test_two_values_may_leave_no_error(self) -> None:
        # Nine months of 1 and one of −1, of mean 0.8 and deviation 0.6: skewness −8/3, kurtosis 1 + 64/9.
        assert standard_error(-0.75, 10, -8 / 3, 1 + 64 / 9) is None
        assert probability_above(-0.75, 0.0, 10, -8 / 3, 1 + 64 / 9) is None

    @pytest.mark.parametrize("trials", [2, 3, 10, 100, 1000])
    def test_the_expected_maximum_is_nearly_that_of_normal_variables(self, trials: int) -> None:
        exact, _ = quad(lambda x: x * trials * norm.pdf(x) * norm.cdf(x) ** (trials - 1), -10, 10)
        assert expected_maximum(trials, 4.0) == pytest.approx(2 * exact, rel=0.08 if trials == 2 else 0.03)

    def test_the_expected_maximum_by_hand(self) -> None:
        euler = 0.5772156649
        by_hand = (1 - euler) * norm.ppf(0.9) + euler * norm.ppf(1 - 1 / (10 * e))
        assert expected_maximum(10, 0.25) == pytest.approx(0.5 * by_hand)
        assert expected_maximum(1, 0.25) == 0.0
        assert expected_maximum(10, 0.0) == 0.0

    @pytest.mark.parametrize(("trials", "variance"), [(0, 1.0), (3, -0.1)])
    def test_bad_trials(self, trials: int, variance: float) -> None:
        with pytest.raises(ConfigurationError, match=f"{trials} trials with a variance of {variance}: at least 1"):
            expected_maximum(trials, variance)


class TestSharpeRatio:
    def test_by_hand(self) -> None:
        # Twelve months of 3 % and −1 %: mean 1 %, deviations of 2 %, so no skewness and a kurtosis of 1.
        found = ratio_of(np.tile([0.03, -0.01], 6))
        monthly, error = 0.01 / (0.02 * sqrt(12 / 11)), sqrt(1 / 11)
        assert found.months == 12
        assert found.ratio == pytest.approx(monthly * sqrt(12))
        assert found.standard_error == pytest.approx(error * sqrt(12))
        assert (found.skewness, found.kurtosis) == pytest.approx((0.0, 1.0))
        assert (found.lower, found.upper) == pytest.approx(
            ((monthly - 1.959964 * error) * sqrt(12), (monthly + 1.959964 * error) * sqrt(12))
        )
        assert found.probability == pytest.approx(norm.cdf(monthly / error))

    def test_frozen(self) -> None:
        found = ratio_of(months(60, 0.8, seed=1))
        assert (found.ratio, found.standard_error, found.probability) == pytest.approx(
            (0.72448636, 0.46994753, 0.93841853), rel=1e-6
        )

    def test_moments_are_those_of_scipy(self) -> None:
        returns = months(60, 0.8, seed=2) ** 3
        found = ratio_of(returns)
        assert (found.skewness, found.kurtosis) == pytest.approx((skew(returns), kurtosis(returns, fisher=False)))
        assert found.ratio == pytest.approx(returns.mean() / returns.std(ddof=1) * sqrt(12))

    @given(RETURNS, st.floats(0.1, 10))
    def test_borrowing_changes_nothing(self, returns: NDArray[np.float64], leverage: float) -> None:
        assume(np.ptp(returns) > 0.001)
        one, other = ratio_of(returns), ratio_of(leverage * returns)
        assert other.ratio == pytest.approx(one.ratio, abs=1e-9)
        assert other.standard_error == pytest.approx(one.standard_error)
        assert 0 <= one.probability <= 1
        assert one.lower < one.ratio < one.upper

    @pytest.mark.parametrize("kind", ["normal", "skewed"])
    def test_the_error_is_how_much_ratios_differ(self, kind: str) -> None:
        rng = np.random.default_rng(3)
        noise = rng.standard_normal((2000, 120)) if kind == "normal" else 2 - rng.gamma(4.0, 0.5, (2000, 120))
        found = [ratio_of(each) for each in noise + 0.5]
        errors = np.mean([each.standard_error for each in found])
        assert np.std([each.ratio for each in found]) == pytest.approx(errors, rel=0.06)

    @pytest.mark.parametrize("count", [30, 120])
    def test_rejections_where_there_is_nothing(self, count: int) -> None:
        found = [ratio_of(each) for each in np.random.default_rng(count).standard_normal((2000, count))]
        tolerance = 3 * sqrt(0.05 * 0.95 / 2000)
        assert np.mean([each.probability > 0.95 for each in found]) == pytest.approx(0.05, abs=tolerance)
        assert np.mean([each.lower > 0 or each.upper < 0 for each in found]) == pytest.approx(0.05, abs=tolerance)

    @pytest.mark.parametrize("returns", [np.arange(FEWEST_MONTHS_FOR_T - 1.0), np.full(30, 0.01), np.zeros(0)])
    def test_too_few_months_or_no_variation(self, returns: NDArray[np.float64]) -> None:
        assert sharpe_ratio(returns) is None
        assert deflated_sharpe_ratio(returns, [0.5, 0.7]) is None

    def test_bad_values(self) -> None:
        with pytest.raises(SchemaError, match="the returns: 1 of 12 values are not finite"):
            sharpe_ratio(np.append(np.zeros(11), np.nan))


class TestDeflated:
    def test_by_hand(self) -> None:
        returns = months(60, 1.0, seed=4)
        ratio = ratio_of(returns)
        # Of 0.4 and 1.0 the sample variance is 0.18.
        found = deflated(returns, [0.4, 1.0])
        threshold = expected_maximum(2, 0.18)
        assert (found.months, found.trials, found.ratio) == (60, 2, ratio.ratio)
        assert found.threshold == pytest.approx(threshold)
        assert found.probability == pytest.approx(norm.cdf((ratio.ratio - threshold) / ratio.standard_error))

    def test_of_one_trial_it_is_the_probabilistic_one(self) -> None:
        returns = months(60, 1.0, seed=5)
        ratio = ratio_of(returns)
        found = deflated(returns, [ratio.ratio])
        assert (found.trials, found.threshold, found.probability) == (1, 0.0, ratio.probability)

    def test_more_trials_leave_less(self) -> None:
        returns = months(60, 1.0, seed=6)
        probabilities = [deflated(returns, [0.2, 0.5, 1.1], trials).probability for trials in (3, 10, 100)]
        assert probabilities == sorted(probabilities, reverse=True)
        assert deflated(returns, [0.2, 0.5, 1.1]).probability == probabilities[0]

    def test_the_best_of_worthless_trials_is_rarely_taken_for_good(self) -> None:
        found = []
        for trials in np.random.default_rng(7).standard_normal((400, 10, 60)):
            ratios = [ratio_of(each).ratio for each in trials]
            best = int(np.argmax(ratios))
            found.append((ratio_of(trials[best]).probability, deflated(trials[best], ratios).probability))
        naive, corrected = (np.array(found) > 0.95).mean(axis=0)
        # 1 − 0.95¹⁰ = 40 % of the best are called good where nobody counts the trials.
        assert naive == pytest.approx(0.4, abs=3 * sqrt(0.4 * 0.6 / 400))
        assert corrected < 0.05

    @pytest.mark.parametrize(
        ("ratios", "trials", "message"),
        [
            ([], None, "0 trials with 0 Sharpe ratios: give one at least"),
            ([0.5, 0.7], 1, "1 trials with 2 Sharpe ratios"),
            ([0.5], 10, "one Sharpe ratio of 10 trials does not say how they vary"),
        ],
    )
    def test_bad_trials(self, ratios: list[float], trials: int | None, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            deflated_sharpe_ratio(months(30, 0.5, seed=8), ratios, trials)

    def test_bad_values(self) -> None:
        with pytest.raises(SchemaError, match="the Sharpe ratios of the trials: 1 of 2 values are not finite"):
            deflated_sharpe_ratio(months(30, 0.5, seed=8), [0.5, np.nan])
