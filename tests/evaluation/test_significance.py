from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import norm as normal
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.significance import (
    Estimate,
    MeanTest,
    Regression,
    critical_t,
    mean_test,
    newey_west_lags,
    regression,
)

# Monthly returns in basis points, of either sign and of no pattern.
POINTS = st.integers(-3000, 3000).map(lambda points: points / 1e4)
SERIES = st.integers(FEWEST_MONTHS_FOR_T, 40).flatmap(lambda months: arrays(np.float64, months, elements=POINTS))


def autocorrelated(months: int, correlation: float, seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal(months) * 0.03
    for month in range(1, months):
        noise[month] += correlation * noise[month - 1]
    return noise + 0.004


def of_mean(values: NDArray[np.float64], lags: int | None = None) -> MeanTest:
    found = mean_test(values, lags)
    assert found is not None
    return found


def of_regression(returns: NDArray[np.float64], factors: NDArray[np.float64], lags: int | None = None) -> Regression:
    found = regression(returns, factors, lags)
    assert found is not None
    return found


def slow_covariance(design: NDArray[np.float64], residuals: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """The sandwich of Newey and West (1987) written out, with the correction T / (T − K)."""
    months, width = design.shape
    middle = np.zeros((width, width))
    for t in range(months):
        for s in range(months):
            weight = 1 - abs(t - s) / (lags + 1)
            if weight > 0:
                middle += weight * residuals[t] * residuals[s] * np.outer(design[t], design[s])
    bread = np.linalg.inv(design.T @ design)
    return months / (months - width) * bread @ middle @ bread


def statsmodels_fit(returns: NDArray[np.float64], design: NDArray[np.float64], lags: int) -> Any:
    statsmodels = pytest.importorskip("statsmodels.api")
    options = {"maxlags": lags, "use_correction": True}
    return statsmodels.OLS(returns, design).fit(cov_type="HAC", cov_kwds=options, use_t=True)


def assert_as_statsmodels(estimate: Estimate, fit: Any, place: int) -> None:
    # Its p and interval are those of T - K degrees of freedom.
    found = [estimate.value, estimate.standard_error, estimate.t]
    assert found == pytest.approx([each[place] for each in (fit.params, fit.bse, fit.tvalues)], rel=1e-9)


def slow_reference(design: NDArray[np.float64], place: int, lags: int) -> tuple[NDArray[np.float64], float]:
    """What a coefficient's squared error is if errors are independent and normal with a variance of one.

    Returns weights of independent χ² with one degree of freedom, and the true variance of the coefficient.
    """
    months, width = design.shape
    inverse = np.linalg.inv(design.T @ design)
    annihilator = np.eye(months) - design @ inverse @ design.T
    pull = design @ inverse[:, place]
    form = np.zeros((months, months))
    for t in range(months):
        for s in range(max(0, t - lags), min(months, t + lags + 1)):
            form[t, s] = (1 - abs(t - s) / (lags + 1)) * pull[t] * pull[s]
    form *= months / (months - width)
    return np.linalg.eigvalsh(annihilator @ form @ annihilator), float(pull @ pull)


def rejections(critical: float, weights: NDArray[np.float64], variance: float, draws: int = 20_000) -> float:
    """How often t exceeds a value: a mean over drawn errors, which a least squares coefficient does not depend on."""
    squares = np.random.default_rng(0).chisquare(1, (draws, len(weights))) @ weights
    return float(2 * normal.sf(critical * np.sqrt(squares / variance)).mean())


def assert_satterthwaite(estimate: Estimate, design: NDArray[np.float64], place: int, lags: int) -> None:
    weights, variance = slow_reference(design, place, lags)
    degrees = weights.sum() ** 2 / (weights**2).sum()
    scale = sqrt(weights.sum() / variance)
    reach = student.ppf(0.975, degrees) / scale * estimate.standard_error
    assert estimate.p_value == pytest.approx(2 * student.sf(abs(estimate.t) * scale, degrees))
    assert (estimate.lower, estimate.upper) == pytest.approx((estimate.value - reach, estimate.value + reach))


@pytest.mark.parametrize(("months", "lags"), [(1, 1), (12, 2), (30, 3), (60, 3), (99, 3), (100, 4), (120, 4), (300, 5)])
def test_lags(months: int, lags: int) -> None:
    assert newey_west_lags(months) == lags


class TestMean:
    def test_by_hand(self) -> None:
        # Deviations −5.5 … 5.5: their squares sum up to 143; products of neighbours, half weighed and twice, to 107.25.
        found = of_mean(np.arange(1.0, 13.0), lags=1)
        error = sqrt((143 + 107.25) * 12 / 11) / 12
        assert (found.months, found.lags) == (12, 1)
        assert found.mean.value == 6.5
        assert found.mean.standard_error == pytest.approx(error)
        assert found.mean.t == pytest.approx(6.5 / error)

    def test_without_lags_by_hand(self) -> None:
        found = of_mean(np.arange(1.0, 13.0), lags=0).mean
        error = sqrt(143 / 11 / 12)
        assert found.standard_error == pytest.approx(error)
        # The 97.5th percentile of Student's t with 11 degrees, from a printed table.
        assert found.upper == pytest.approx(6.5 + 2.201 * error, abs=1e-3)
        assert found.lower == pytest.approx(6.5 - 2.201 * error, abs=1e-3)
        assert found.p_value == pytest.approx(2 * student.sf(6.5 / error, 11))

    def test_frozen(self) -> None:
        # Value and error as statsmodels 0.15 gives them.
        found = of_mean(autocorrelated(60, 0.3, seed=1))
        assert found.lags == 3
        assert (found.mean.value, found.mean.standard_error, found.mean.p_value) == pytest.approx(
            (0.002049846, 0.0039619773, 0.61911445), rel=1e-6
        )

    def test_without_lags_it_is_the_ordinary_t(self) -> None:
        values = autocorrelated(30, 0.0, seed=2)
        theirs = ttest_1samp(values, 0.0)
        found = of_mean(values, lags=0).mean
        assert (found.t, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
        assert (found.lower, found.upper) == pytest.approx(tuple(theirs.confidence_interval(0.95)))

    @pytest.mark.parametrize(("months", "lags"), [(12, None), (30, None), (60, 0), (120, None), (120, 11)])
    def test_as_statsmodels(self, months: int, lags: int | None) -> None:
        values = autocorrelated(months, 0.4, seed=months)
        found, design = of_mean(values, lags), np.ones((months, 1))
        assert_as_statsmodels(found.mean, statsmodels_fit(values, design, found.lags), 0)
        assert_satterthwaite(found.mean, design, 0, found.lags)

    @settings(max_examples=25, deadline=None)
    @given(SERIES, st.integers(0, 6))
    def test_written_out(self, values: NDArray[np.float64], lags: int) -> None:
        assume(np.ptp(values) > 0)
        found = of_mean(values, lags).mean
        design = np.ones((len(values), 1))
        assert found.standard_error**2 == pytest.approx(slow_covariance(design, values - values.mean(), lags)[0, 0])

    @given(SERIES)
    def test_neither_sign_nor_scale_nor_the_direction_of_time_matter(self, values: NDArray[np.float64]) -> None:
        assume(np.ptp(values) > 0 and abs(values.mean()) > 1e-6)
        found, opposite = of_mean(values).mean, of_mean(-100 * values[::-1]).mean
        assert opposite.t == pytest.approx(-found.t)
        assert opposite.p_value == pytest.approx(found.p_value)
        assert (opposite.lower, opposite.upper) == pytest.approx((-100 * found.upper, -100 * found.lower), abs=1e-12)

    @given(SERIES)
    def test_the_interval_says_what_p_says(self, values: NDArray[np.float64]) -> None:
        assume(np.ptp(values) > 0)
        found = of_mean(values).mean
        assume(abs(found.p_value - 0.05) > 1e-9)
        assert found.lower < found.value < found.upper
        assert (found.lower <= 0 <= found.upper) == (found.p_value > 0.05)

    def test_autocorrelation_makes_less_sure(self) -> None:
        values = autocorrelated(120, 0.6, seed=3)
        assert of_mean(values).mean.standard_error > 1.3 * of_mean(values, lags=0).mean.standard_error

    @pytest.mark.parametrize("months", [12, 30, 60, 120])
    def test_rejections_where_there_is_nothing(self, months: int) -> None:
        series = np.random.default_rng(months).standard_normal((1500, months))
        tolerance = 3 * sqrt(0.05 * 0.95 / len(series))
        for lags in (None, 0):
            share = _share(of_mean(each, lags).mean.p_value for each in series)
            assert share == pytest.approx(0.05, abs=tolerance)

    def test_with_the_degrees_of_the_ordinary_t_there_are_too_many(self) -> None:
        series = np.random.default_rng(30).standard_normal((1500, 30))
        share = _share(2 * student.sf(abs(of_mean(each).mean.t), 29) for each in series)
        assert share > 0.05 + 3 * sqrt(0.05 * 0.95 / len(series))

    @pytest.mark.parametrize("months", [12, 24, 30, 60, 120])
    def test_the_exact_distribution(self, months: int) -> None:
        lags = newey_west_lags(months)
        share = rejections(critical_t(months), *slow_reference(np.ones((months, 1)), 0, lags))
        assert 0.043 < share < 0.0505

    @pytest.mark.parametrize("months", [24, 30, 36, 60, 120, 240])
    def test_the_distribution_of_many_months_and_a_share_of_lags(self, months: int) -> None:
        # Kiefer and Vogelsang (2005), table 1: Bartlett's kernel, 97.5 %; their variance is divided by T.
        share = (newey_west_lags(months) + 1) / months
        theirs = 1.96 + 2.9694 * share + 0.4160 * share**2 - 0.5324 * share**3
        assert critical_t(months) == pytest.approx(theirs * sqrt((months - 1) / months), rel=0.01)

    @given(SERIES, st.integers(0, 6))
    def test_the_critical_t(self, values: NDArray[np.float64], lags: int) -> None:
        assume(np.ptp(values) > 0)
        found, critical = of_mean(values, lags).mean, critical_t(len(values), lags)
        assert found.upper - found.value == pytest.approx(critical * found.standard_error)
        assume(abs(found.p_value - 0.05) > 1e-9)
        assert (abs(found.t) > critical) == (found.p_value < 0.05)

    def test_the_critical_t_falls_to_that_of_normal_months(self) -> None:
        values = [critical_t(months, 3) for months in (12, 30, 120, 400)]
        assert values == sorted(values, reverse=True)
        assert values[-1] == pytest.approx(normal.ppf(0.975), rel=0.02)
        assert critical_t(30, 0) == pytest.approx(student.ppf(0.975, 29))

    def test_there_is_no_critical_t_of_few_months(self) -> None:
        with pytest.raises(ConfigurationError, match="no t is told of 11 months: 12 are needed"):
            critical_t(11)
        with pytest.raises(ConfigurationError, match="30 lags of 30 months"):
            critical_t(30, 30)

    def test_rejections_where_months_resemble_each_other(self) -> None:
        series = [autocorrelated(120, 0.5, seed) - 0.004 for seed in range(500)]
        with_lags, without = (_share(of_mean(each, lags).mean.p_value for each in series) for lags in (None, 0))
        assert with_lags < 0.13 < 0.2 < without

    @pytest.mark.parametrize("values", [np.arange(11.0), np.zeros(0), np.full(30, 0.1), np.zeros(30)])
    def test_too_few_months_or_no_variation(self, values: NDArray[np.float64]) -> None:
        assert mean_test(values) is None

    def test_bad_values(self) -> None:
        with pytest.raises(SchemaError, match="the series: 1 of 12 values are not finite"):
            mean_test(np.append(np.zeros(11), np.nan))

    @pytest.mark.parametrize("lags", [-1, 12])
    def test_bad_lags(self, lags: int) -> None:
        with pytest.raises(ConfigurationError, match=f"{lags} lags of 12 months: give none or more, and fewer"):
            mean_test(np.arange(12.0), lags)


def market(months: int, width: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns with an alpha of 0.5 % and betas of 1, ½, ⅓ …, and noise that is autocorrelated."""
    factors = np.random.default_rng(seed).standard_normal((months, width)) * 0.04 + 0.003
    return 0.001 + factors @ (1 / np.arange(1, width + 1)) + autocorrelated(months, 0.3, seed + 1), factors


class TestRegression:
    def test_by_hand(self) -> None:
        # A factor of ±1, turn by turn, is orthogonal to the constant. Residuals are ±1 in pairs of months.
        factor = np.tile([1.0, -1.0], 8)
        residuals = np.tile([1.0, 1.0, -1.0, -1.0], 4)
        found = of_regression(2 + 3 * factor + residuals, factor[:, None], lags=0)
        assert (found.months, found.lags) == (16, 0)
        assert (found.alpha.value, found.betas[0].value) == pytest.approx((2, 3))
        # Sixteen squared residuals of 1, over 16², times 16 / 14.
        assert (found.alpha.standard_error, found.betas[0].standard_error) == pytest.approx(
            (sqrt(1 / 14), sqrt(1 / 14))
        )
        assert_satterthwaite(found.betas[0], np.column_stack([np.ones(16), factor]), 1, 0)
        # The factor varies by 3² · 16, the residuals by 16.
        assert found.r_squared == pytest.approx(0.9)
        assert found.adjusted_r_squared == pytest.approx(1 - 0.1 * 15 / 14)

    def test_frozen(self) -> None:
        # As statsmodels 0.15 gives them.
        found = of_regression(*market(60, 3, seed=4))
        figures = [found.alpha.t, *(beta.t for beta in found.betas), found.adjusted_r_squared]
        assert figures == pytest.approx([-1.4416969, 11.270838, 7.7838749, 2.2058046, 0.74852137], rel=1e-6)

    @pytest.mark.parametrize(("months", "width", "lags"), [(18, 6, None), (30, 6, None), (120, 6, 0), (120, 1, 12)])
    def test_as_statsmodels(self, months: int, width: int, lags: int | None) -> None:
        returns, factors = market(months, width, seed=months)
        found = of_regression(returns, factors, lags)
        design = np.column_stack([np.ones(months), factors])
        fit = statsmodels_fit(returns, design, found.lags)
        for place, estimate in enumerate((found.alpha, *found.betas)):
            assert_as_statsmodels(estimate, fit, place)
            assert_satterthwaite(estimate, design, place, found.lags)
        assert (found.r_squared, found.adjusted_r_squared) == pytest.approx((fit.rsquared, fit.rsquared_adj))

    @pytest.mark.parametrize("lags", [0, 1, 5])
    def test_written_out(self, lags: int) -> None:
        returns, factors = market(40, 3, seed=5)
        found = of_regression(returns, factors, lags)
        design = np.column_stack([np.ones(40), factors])
        coefficients = np.linalg.solve(design.T @ design, design.T @ returns)
        errors = np.sqrt(np.diag(slow_covariance(design, returns - design @ coefficients, lags)))
        estimates = (found.alpha, *found.betas)
        assert [each.value for each in estimates] == pytest.approx(coefficients)
        assert [each.standard_error for each in estimates] == pytest.approx(errors)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([1e-4, 1.0, 1e6]))
    def test_a_factor_in_another_unit(self, seed: int, scale: float) -> None:
        returns, factors = market(36, 2, seed)
        one, other = of_regression(returns, factors), of_regression(returns, factors * np.array([scale, 1.0]))
        assert other.betas[0].value * scale == pytest.approx(one.betas[0].value)
        assert [each.t for each in (other.alpha, *other.betas)] == pytest.approx(
            [each.t for each in (one.alpha, *one.betas)]
        )

    def test_of_a_factor_that_explains_nothing_alpha_is_the_mean(self) -> None:
        returns = np.tile([0.01, 0.02, 0.03, 0.04], 6)
        factor = np.tile([1.0, -1.0, -1.0, 1.0], 6)
        found = of_regression(returns, factor[:, None])
        assert found.betas[0].value == pytest.approx(0, abs=1e-12)
        assert found.r_squared == pytest.approx(0, abs=1e-12)
        assert found.adjusted_r_squared < 0
        mean = of_mean(returns).mean
        # But for the degrees of freedom.
        assert found.alpha.standard_error == pytest.approx(mean.standard_error * sqrt(23 / 22))

    @pytest.mark.parametrize("months", [18, 24, 60, 120])
    def test_rejections_where_there_is_nothing(self, months: int) -> None:
        draws = np.random.default_rng(months).standard_normal((400, months, 7))
        share = _share(of_regression(each[:, 0], each[:, 1:]).alpha.p_value for each in draws)
        assert share == pytest.approx(0.05, abs=3 * sqrt(0.05 * 0.95 / len(draws)))

    @pytest.mark.parametrize(("months", "width"), [(18, 6), (30, 3), (60, 6)])
    def test_the_exact_distribution(self, months: int, width: int) -> None:
        returns, factors = market(months, width, seed=10)
        found = of_regression(returns, factors)
        critical = (found.alpha.upper - found.alpha.value) / found.alpha.standard_error
        design = np.column_stack([np.ones(months), factors])
        assert 0.043 < rejections(critical, *slow_reference(design, 0, found.lags)) < 0.053

    def test_too_few_months(self) -> None:
        returns, factors = market(FEWEST_MONTHS_FOR_T + 5, 6, seed=6)
        assert regression(returns, factors) is None
        assert regression(*market(FEWEST_MONTHS_FOR_T + 6, 6, seed=6)) is not None

    def test_factors_that_cannot_be_told_apart(self) -> None:
        returns, factors = market(36, 2, seed=7)
        for third in (factors[:, 0] + factors[:, 1], np.full(36, 0.01), np.zeros(36)):
            assert regression(returns, np.column_stack([factors, third])) is None

    def test_nothing_is_left_to_be_sure_of(self) -> None:
        _, factors = market(36, 2, seed=8)
        assert regression(0.01 + factors @ np.array([0.3, 0.7]), factors) is None
        assert regression(np.full(36, 0.01), factors) is None

    def test_bad_values(self) -> None:
        returns, factors = market(24, 2, seed=9)
        with pytest.raises(
            SchemaError, match=r"the factors: 24 rows of at least one factor are needed, not shape \(23"
        ):
            regression(returns, factors[1:])
        with pytest.raises(SchemaError, match=r"the factors: 24 rows .* not shape \(24, 0\)"):
            regression(returns, factors[:, :0])
        with pytest.raises(SchemaError, match=r"the factors: 24 rows .* not shape \(24,\)"):
            regression(returns, factors[:, 0])
        factors[3, 1] = np.inf
        with pytest.raises(SchemaError, match="factor 1: 1 of 24 values are not finite, the first at place 3"):
            regression(returns, factors)
        with pytest.raises(SchemaError, match="the returns: 1 of 24"):
            regression(np.where(np.arange(24) == 1, np.nan, returns), factors)

    def test_bad_lags(self) -> None:
        with pytest.raises(ConfigurationError, match="24 lags of 24 months"):
            regression(*market(24, 2, seed=9), 24)


def _share(p_values: Any) -> float:
    return float(np.mean([p < 0.05 for p in p_values]))
