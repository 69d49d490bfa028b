"""Whether one portfolio's Sharpe ratio exceeds another's, by a bootstrap of whole months (Ledoit and Wolf 2008)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.series import NOISE, paired_series, varies

_F64 = NDArray[np.float64]

BLOCK, RESAMPLES, SEED = 3, 10_000, 2018
"""Where nothing else is said: months in a block, number of resamples, and what they are drawn from."""

FEWEST_BLOCKS = 4
"""What the error of a resample is estimated from; with three, the test all but never rejects, as measured."""

_FEWEST_RESAMPLES = 100


@dataclass(frozen=True)
class SharpeDifference:
    """The difference of two Sharpe ratios, everything annualised.

    Attributes
    ----------
    months, block, resamples
        Number of months, of months in a block, and of resamples.
    difference
        The first ratio less the second.
    standard_error
        Standard deviation of the resampled differences.
    p_value
        Two-sided, of a true difference of zero, studentised; none where the difference has no error, as that of
        identical returns.
    lower, upper
        Bounds of the 95 % interval that belongs to the p: without zero where p is 5 % or less.
    percentile_lower, percentile_upper
        Percentiles 2.5 and 97.5 of the resampled differences: an interval that is too narrow, for comparison.
    """

    months: int
    block: int
    resamples: int
    difference: float
    standard_error: float
    p_value: float | None
    lower: float
    upper: float
    percentile_lower: float
    percentile_upper: float


def sharpe_difference(
    returns: _F64, other_returns: _F64, block: int = BLOCK, resamples: int = RESAMPLES, seed: int = SEED
) -> SharpeDifference | None:
    """Return the difference of two portfolios' Sharpe ratios with its uncertainty.

    The test is the studentised one of Ledoit and Wolf (2008). Months are drawn in pairs, in circular blocks (Politis
    and Romano 1992), T / block of them, rounded down. Every resampled difference, less the observed one, is divided by
    its own standard error; p is (1 + number of those at least as large, in size, as the observed difference over its
    error) / (1 + resamples), and the interval the difference ± a percentile of those sizes × its error. Errors are of
    the delta method, from sums over blocks. Ledoit and Wolf's error of the observed difference is a prewhitened kernel
    estimate; here it is from the sums over all T blocks, which is Bartlett's kernel over the lags of a block. They find
    the length of a block by calibration; here it is an argument.

    Of 30 to 120 pairs of months with the same true ratio, correlated by ½, tests at 5 % rejected, with blocks of three
    months, 3 to 5 % if months were independent, 6 to 7 % if autocorrelated by 0.2, and 6 to 9 % if volatile in clusters
    (with single months up to 11 %); percentile intervals were without zero in 5 to 16 %. With fewer months it rejects
    less than it should.

    Parameters
    ----------
    returns, other_returns
        Shape (T,), fractions a month, of the same consecutive months.
    block
        Months in a block. 1 draws single months, which supposes that months do not depend on each other.
    resamples
        Number of resamples.
    seed
        Of the draws.

    Returns
    -------
    SharpeDifference or None
        None of fewer than ``FEWEST_MONTHS_FOR_T`` months or ``FEWEST_BLOCKS`` blocks; if returns of one of the two are
        constant, in all months, or in so many resamples that there is no interval.

    Raises
    ------
    SchemaError
        If returns are not finite numbers of the same months.
    ConfigurationError
        If the block has no month, or there are fewer than 100 resamples.
    """
    series = paired_series(returns, other_returns, "returns")
    if block < 1 or resamples < _FEWEST_RESAMPLES:
        raise ConfigurationError(
            f"{resamples} resamples of blocks of {block} months: give at least {_FEWEST_RESAMPLES}, of at least 1"
        )
    months = len(series[0])
    blocks = months // block
    if months < FEWEST_MONTHS_FOR_T or blocks < FEWEST_BLOCKS or not all(varies(each) for each in series):
        return None
    # Each month is in as many of all blocks as a block has months.
    (observed,), (error,) = _differences(series, block, np.arange(months)[None, :])
    error *= sqrt(block)
    # Ratios are over the sample standard deviation, here as everywhere, and in resamples by the same factor.
    annual = sqrt(12 * (months - 1) / months)
    difference = float(observed * annual)
    if error < NOISE:
        return SharpeDifference(months, block, resamples, difference, 0.0, None, *[difference] * 4)

    starts = np.random.default_rng(seed).integers(months, size=(resamples, blocks))
    resampled, errors = _differences(series, block, starts)
    sizes = _studentised(resampled - observed, errors)
    reach = float(sizes[-((resamples + 1) // 20)] * error * annual)
    if not np.isfinite(reach):
        return None
    beyond = resamples - int(np.searchsorted(sizes, abs(observed) / error, "left"))
    known = resampled[np.isfinite(resampled)] * annual
    low, high = (float(bound) for bound in np.quantile(known, [0.025, 0.975]))
    return SharpeDifference(
        months=months,
        block=block,
        resamples=resamples,
        difference=difference,
        standard_error=float(known.std(ddof=1)),
        p_value=(1 + beyond) / (1 + resamples),
        lower=difference - reach,
        upper=difference + reach,
        percentile_lower=low,
        percentile_upper=high,
    )


def _studentised(deviations: _F64, errors: _F64) -> _F64:
    """Return the sizes of deviations over their errors, ascending; without one infinite, so that it counts as large."""
    sizes = np.full(len(errors), np.inf)
    known = np.isfinite(deviations) & (errors > NOISE)
    sizes[known] = np.abs(deviations[known]) / errors[known]
    return np.sort(sizes)


def _differences(pair: tuple[_F64, _F64], block: int, starts: NDArray[np.int64]) -> tuple[_F64, _F64]:
    """Return the differences of Sharpe ratios in resamples, a month, and their standard errors, each of shape (R,).

    Parameters
    ----------
    pair
        Returns of shape (T,).
    block
        Months in a block.
    starts
        Shape (R, blocks): the first months of the blocks of each resample.
    """
    (ratios, pull), (other_ratios, other_pull) = (_ratios(each, block, starts) for each in pair)
    squares = ((pull - other_pull) ** 2).sum(axis=1)
    return ratios - other_ratios, np.sqrt(squares) / (starts.shape[1] * block)


def _ratios(series: _F64, block: int, starts: NDArray[np.int64]) -> tuple[_F64, _F64]:
    """Return the Sharpe ratios of resamples, and what each block adds to them by the delta method.

    With a resample's mean m, variance v, and ratio s, a month's value x adds (x − m) / √v − s / 2 · ((x − m)² / v − 1),
    over the number of months. That is linear in x and x², so that sums over blocks, of each block but once, do.

    Returns
    -------
    tuple of arrays
        Shapes (R,), NaN where a resample does not vary, and (R, blocks).
    """
    size = series.std()
    # Around zero and of size one, so that no digits are lost.
    values = (series - series.mean()) / size
    sums, squares = _circular_sums(values, block)[starts], _circular_sums(values**2, block)[starts]
    months = starts.shape[1] * block
    mean = sums.sum(axis=1, keepdims=True) / months
    variance = squares.sum(axis=1, keepdims=True) / months - mean**2
    variance[variance < NOISE] = np.nan
    deviation = np.sqrt(variance)
    ratio = (series.mean() / size + mean) / deviation
    tilt = ratio / (2 * variance)
    constant = block * (ratio / 2 - mean / deviation - tilt * mean**2)
    return ratio[:, 0], (1 / deviation + 2 * tilt * mean) * sums - tilt * squares + constant


def _circular_sums(values: _F64, block: int) -> _F64:
    """Return the sums over all blocks of consecutive months, the first following the last; shape (T,)."""
    around = np.concatenate([values, values[: block - 1]])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(around, block).sum(axis=1), dtype=np.float64)
