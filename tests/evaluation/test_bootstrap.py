from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap

from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.bootstrap import SharpeDifference, sharpe_difference
from deepfactor.evaluation.sharpe import sharpe_ratio

Pair = NDArray[np.float64]


def pair(months: int, seed: int, ratios: tuple[float, float] = (1.0, 1.0)) -> Pair:
    """Monthly returns of two portfolios, correlated by a half, with true annual Sharpe ratios; shape (2, T)."""
    noise = np.random.default_rng(seed).standard_normal((2, months))
    noise[1] = noise[0] / 2 + sqrt(0.75) * noise[1]
    return (noise + np.array(ratios)[:, None] / sqrt(12)) * np.array([[0.03], [0.05]])


def compare(returns: Pair, block: int = 3, resamples: int = 199, seed: int = 1) -> SharpeDifference:
    found = sharpe_difference(*returns, block, resamples, seed)
    assert found is not None
    return found


def slow(returns: Pair, block: int, resamples: int, seed: int) -> SharpeDifference:
    """The same month by month, with the ratios of the resampled returns themselves."""
    months, blocks = returns.shape[1], returns.shape[1] // block
    annual = sqrt(12 * (months - 1) / months)

    def error(resample: Pair, of_blocks: list[list[int]]) -> float:
        values = []
        for block_ in of_blocks:
            added = 0.0
            for month in block_:
                for sign, series, of_month in zip((1, -1), resample, returns[:, month], strict=True):
                    standardised = (of_month - series.mean()) / series.std()
                    added += sign * (standardised - series.mean() / series.std() / 2 * (standardised**2 - 1))
            values.append(added)
        return sqrt(sum(value**2 for value in values))

    def difference(resample: Pair) -> float:
        one, other = resample
        return float(one.mean() / one.std() - other.mean() / other.std())

    every = [[(start + step) % months for step in range(block)] for start in range(months)]
    observed, observed_error = difference(returns), error(returns, every) / sqrt(block) / months
    differences, sizes = [], []
    for starts in np.random.default_rng(seed).integers(months, size=(resamples, blocks)):
        drawn = [every[start] for start in starts]
        resample = returns[:, [month for block_ in drawn for month in block_]]
        differences.append(difference(resample) * annual)
        sizes.append(abs(difference(resample) - observed) / (error(resample, drawn) / (blocks * block)))
    beyond = sum(size >= abs(observed) / observed_error for size in sizes)
    reach = sorted(sizes)[-((resamples + 1) // 20)] * observed_error * annual
    return SharpeDifference(
        months,
        block,
        resamples,
        observed * annual,
        float(np.std(differences, ddof=1)),
        (1 + beyond) / (1 + resamples),
        observed * annual - reach,
        observed * annual + reach,
        *(float(np.percentile(differences, level)) for level in (2.5, 97.5)),
    )


@pytest.mark.parametrize(("months", "block"), [(24, 1), (24, 3), (31, 4), (12, 3)])
def test_month_by_month(months: int, block: int) -> None:
    returns = pair(months, seed=months, ratios=(1.5, 0.2))
    found, expected = compare(returns, block, resamples=119), slow(returns, block, resamples=119, seed=1)
    for name, value in vars(expected).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9), name


def test_frozen() -> None:
    found = compare(pair(60, seed=2, ratios=(1.5, 0.0)), resamples=999, seed=2018)
    figures = (found.difference, found.standard_error, found.p_value, found.lower, found.upper)
    assert figures == pytest.approx((1.7065052, 0.55020091, 0.008, 0.50972253, 2.9032878), rel=1e-6)


def test_the_difference_is_that_of_the_two_ratios() -> None:
    returns = pair(30, seed=3, ratios=(1.5, 0.5))
    one, other = (sharpe_ratio(each) for each in returns)
    assert one is not None
    assert other is not None
    assert compare(returns).difference == pytest.approx(one.ratio - other.ratio)


def test_single_months_are_drawn_as_scipy_draws_them() -> None:
    returns = pair(60, seed=4, ratios=(1.5, 0.5))

    def difference(one: Pair, other: Pair, axis: int) -> Pair:
        ratios = [each.mean(axis=axis) / each.std(axis=axis, ddof=1) for each in (one, other)]
        return np.asarray((ratios[0] - ratios[1]) * sqrt(12))

    theirs = bootstrap(returns, difference, paired=True, n_resamples=4000, method="percentile", rng=1)
    found = compare(returns, block=1, resamples=4000)
    assert found.standard_error == pytest.approx(theirs.standard_error, rel=0.06)
    interval = theirs.confidence_interval
    assert (found.percentile_lower, found.percentile_upper) == pytest.approx((interval.low, interval.high), abs=0.08)


def test_of_many_normal_months_it_is_the_error_of_the_delta_method() -> None:
    # Jobson and Korkie (1981) as corrected by Memmel (2003): 2 − 2ρ + (s₁² + s₂² − 2 s₁ s₂ ρ²) / 2, over T.
    returns = pair(1200, seed=5)
    one, other = returns.mean(axis=1) / returns.std(axis=1)
    correlation = np.corrcoef(returns)[0, 1]
    variance = 2 - 2 * correlation + (one**2 + other**2 - 2 * one * other * correlation**2) / 2
    assert compare(returns, block=1, resamples=1000).standard_error == pytest.approx(sqrt(variance / 100), rel=0.08)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(12, 40), st.integers(1, 3))
def test_the_other_way_round(seed: int, months: int, block: int) -> None:
    returns = pair(months, seed, ratios=(2.0, 0.0))
    found, other = compare(returns, block), compare(returns[::-1], block)
    assert other.p_value == found.p_value
    assert (other.difference, other.lower, other.upper) == pytest.approx(
        (-found.difference, -found.upper, -found.lower)
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(12, 40), st.floats(0, 3))
def test_the_interval_says_what_p_says(seed: int, months: int, ratio: float) -> None:
    found = compare(pair(months, seed, ratios=(ratio, 0.0)))
    assert found.p_value is not None
    assert (found.lower <= 0 <= found.upper) == (found.p_value > 0.05)
    assert found.lower < found.difference < found.upper
    assert found.percentile_lower < found.percentile_upper


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_borrowing_changes_nothing(seed: int, leverage: float) -> None:
    returns = pair(24, seed)
    found, other = compare(returns), compare(returns * np.array([[leverage], [1.0]]))
    assert other.p_value == found.p_value
    assert (other.difference, other.lower, other.upper) == pytest.approx((found.difference, found.lower, found.upper))


def test_the_same_seed_gives_the_same() -> None:
    returns = pair(36, seed=6)
    assert compare(returns) == compare(returns)
    assert compare(returns, seed=2).standard_error != compare(returns).standard_error


def test_rejections_where_portfolios_are_as_good() -> None:
    found = [compare(pair(60, seed)).p_value or 0.0 for seed in range(500)]
    assert np.mean([p <= 0.05 for p in found]) == pytest.approx(0.05, abs=3 * sqrt(0.05 * 0.95 / 500))


def test_a_large_difference_is_found() -> None:
    found = [compare(pair(120, seed, ratios=(2.0, 0.0))).p_value or 0.0 for seed in range(50)]
    assert np.mean([p <= 0.05 for p in found]) > 0.9


def test_blocks_allow_for_months_that_resemble_each_other() -> None:
    draws = []
    for seed in range(300):
        returns = pair(120, seed, ratios=(0.0, 0.0))
        for month in range(1, 120):
            returns[:, month] += 0.5 * returns[:, month - 1]
        draws.append(returns)
    single, blocks = (np.mean([(compare(each, block).p_value or 0.0) <= 0.05 for each in draws]) for block in (1, 6))
    assert blocks < 0.12 < single


class TestDegenerate:
    def test_identical_returns(self) -> None:
        returns = pair(30, seed=7)[0]
        found = compare(np.stack([returns, returns]))
        assert found == SharpeDifference(30, 3, 199, 0.0, 0.0, None, 0.0, 0.0, 0.0, 0.0)

    def test_the_same_portfolio_with_borrowed_money(self) -> None:
        returns = pair(30, seed=8)[0]
        found = compare(np.stack([returns, 3 * returns]))
        assert found.difference == pytest.approx(0, abs=1e-12)
        assert (found.standard_error, found.p_value) == (0.0, None)

    def test_too_few_months_or_blocks(self) -> None:
        assert sharpe_difference(*pair(12, seed=9)) is not None
        assert sharpe_difference(*pair(11, seed=9), block=1) is None
        assert sharpe_difference(*pair(20, seed=9), block=5) is not None
        assert sharpe_difference(*pair(19, seed=9), block=5) is None
        assert sharpe_difference(np.zeros(0), np.zeros(0)) is None

    def test_constant_returns(self) -> None:
        returns = pair(30, seed=10)
        assert sharpe_difference(returns[0], np.full(30, 0.01)) is None
        assert sharpe_difference(np.zeros(30), returns[1]) is None

    def test_returns_that_are_constant_in_many_resamples(self) -> None:
        once = np.zeros(30)
        once[7] = 0.1
        assert sharpe_difference(pair(30, seed=11)[0], once) is None

    def test_returns_that_are_constant_in_few_resamples(self) -> None:
        rarely = np.zeros(30)
        rarely[::6] = [0.1, -0.05, 0.02, 0.1, 0.1]
        found = compare(np.stack([pair(30, seed=12)[0], rarely]), block=1, resamples=999)
        assert np.isfinite([found.standard_error, found.lower, found.upper, found.percentile_lower]).all()

    def test_bad_values(self) -> None:
        with pytest.raises(SchemaError, match="12 and 13 months of returns"):
            sharpe_difference(np.zeros(12), np.zeros(13))
        with pytest.raises(SchemaError, match="the first returns: 1 of 12 values are not finite"):
            sharpe_difference(np.append(np.zeros(11), np.inf), np.zeros(12))

    @pytest.mark.parametrize(("block", "resamples"), [(0, 1000), (3, 99)])
    def test_bad_blocks(self, block: int, resamples: int) -> None:
        with pytest.raises(
            ConfigurationError, match=f"{resamples} resamples of blocks of {block} months: give at least"
        ):
            sharpe_difference(*pair(30, seed=13), block, resamples)
