from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import t as student
from scipy.stats import ttest_rel

from deepfactor.errors import SchemaError
from deepfactor.evaluation.comparison import LossDifference, diebold_mariano
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.significance import mean_test

LOSSES = arrays(np.float64, (2, 24), elements=st.integers(0, 2000).map(lambda points: points / 1e4))


def compare(losses: NDArray[np.float64], other_losses: NDArray[np.float64]) -> LossDifference:
    found = diebold_mariano(losses, other_losses)
    assert found is not None
    return found


def slow_statistic(differences: NDArray[np.float64], horizon: int) -> float:
    """Diebold and Mariano (1995) and the correction of Harvey, Leybourne and Newbold (1997), for any horizon."""
    months, mean = len(differences), sum(differences) / len(differences)
    variance = 0.0
    for lag in range(horizon):
        products = [(differences[t] - mean) * (differences[t - lag] - mean) for t in range(lag, months)]
        variance += (1 if lag == 0 else 2) * sum(products) / months
    correction = (months + 1 - 2 * horizon + horizon * (horizon - 1) / months) / months
    return float(mean / sqrt(variance / months) * sqrt(correction))


def test_by_hand() -> None:
    # Differences of 3 and −1, turn by turn: mean 1, deviations of 2, 16 months.
    losses, other_losses = np.tile([5.0, 2.0], 8), np.tile([2.0, 3.0], 8)
    found = compare(losses, other_losses)
    assert (found.months, found.difference) == (16, 1.0)
    assert found.statistic == pytest.approx(1 / (2 / 4) * sqrt(15 / 16))
    assert found.standard_error == pytest.approx(sqrt(16 * 4 / 15) / 4)
    # The 97.5th percentile of Student's t with 15 degrees, from a printed table.
    assert (found.lower, found.upper) == pytest.approx((1 - 2.1314 * 0.516398, 1 + 2.1314 * 0.516398), abs=1e-4)
    assert found.p_value == pytest.approx(2 * student.sf(1.936492, 15))


@given(LOSSES)
def test_of_one_month_ahead_it_is_the_paired_t(losses: NDArray[np.float64]) -> None:
    assume(np.ptp(losses[0] - losses[1]) > 0)
    found, theirs = compare(*losses), ttest_rel(*losses)
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.statistic == pytest.approx(slow_statistic(losses[0] - losses[1], horizon=1))
    assert found.p_value == pytest.approx(theirs.pvalue)
    assert (found.lower, found.upper) == pytest.approx(tuple(theirs.confidence_interval(0.95)))


@given(LOSSES)
def test_the_other_way_round(losses: NDArray[np.float64]) -> None:
    assume(np.ptp(losses[0] - losses[1]) > 0)
    found, other = compare(*losses), compare(*losses[::-1])
    assert other.difference == pytest.approx(-found.difference)
    assert other.statistic == pytest.approx(-(found.statistic or 0.0))
    assert other.p_value == pytest.approx(found.p_value)
    assert (other.lower, other.upper) == pytest.approx((-found.upper, -found.lower))


def test_newey_and_west_without_lags_say_the_same() -> None:
    losses, other_losses = np.random.default_rng(1).uniform(0.05, 0.1, (2, 30))
    found, mean = compare(losses, other_losses), mean_test(losses - other_losses, lags=0)
    assert mean is not None
    assert found.statistic == pytest.approx(mean.mean.t)


@pytest.mark.parametrize("months", [12, 30, 120])
def test_rejections_where_models_are_as_good(months: int) -> None:
    rng = np.random.default_rng(months)
    common = rng.uniform(0.04, 0.1, (2000, 1, months))
    losses = common + rng.standard_normal((2000, 2, months)) * 0.004
    share = np.mean([(compare(*each).p_value or 0.0) < 0.05 for each in losses])
    assert share == pytest.approx(0.05, abs=3 * sqrt(0.05 * 0.95 / 2000))


def test_identical_forecasts() -> None:
    losses = np.random.default_rng(2).uniform(0.05, 0.1, 30)
    assert compare(losses, losses.copy()) == LossDifference(30, 0.0, 0.0, None, None, 0.0, 0.0)


def test_forecasts_that_differ_by_rounding() -> None:
    losses = np.random.default_rng(3).uniform(0.05, 0.1, 30)
    found = compare(losses, losses * 3 / 3 + np.tile([0.0, 1e-16], 15))
    assert abs(found.difference) < 1e-15
    assert (found.standard_error, found.statistic, found.p_value) == (0.0, None, None)


def test_losses_that_always_differ_by_the_same() -> None:
    losses = np.random.default_rng(4).uniform(0.05, 0.1, 30)
    found = compare(losses + 0.25, losses)
    assert found.difference == pytest.approx(0.25)
    assert (found.statistic, found.p_value) == (None, None)


def test_too_few_months() -> None:
    losses = np.random.default_rng(5).uniform(0.05, 0.1, (2, FEWEST_MONTHS_FOR_T))
    assert diebold_mariano(*losses) is not None
    assert diebold_mariano(*losses[:, 1:]) is None
    assert diebold_mariano(np.zeros(0), np.zeros(0)) is None


def test_bad_values() -> None:
    with pytest.raises(SchemaError, match="12 and 13 months of losses"):
        diebold_mariano(np.zeros(12), np.zeros(13))
    with pytest.raises(SchemaError, match="the second losses: 1 of 12 values are not finite"):
        diebold_mariano(np.zeros(12), np.append(np.zeros(11), np.nan))
