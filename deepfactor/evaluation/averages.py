"""Figures over months, each with its uncertainty: means, annualised returns, shares of months."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.series import varies
from deepfactor.evaluation.sharpe import sharpe_ratio
from deepfactor.evaluation.significance import mean_test

_F64 = NDArray[np.float64]

YEAR = 12


def known(values: pl.Series) -> _F64:
    """Return the values of the months that have one, shape (months,)."""
    return values.drop_nulls().to_numpy().astype(np.float64)


def mean(values: _F64) -> float | None:
    """Return the arithmetic mean over months; none of none."""
    return float(values.mean()) if len(values) else None


def mean_with_error(name: str, values: _F64) -> dict[str, float | None]:
    """Return ``name``, the mean over months, and ``<name>_se``, the standard error of Newey and West (1987).

    The error is that of :func:`deepfactor.evaluation.significance.mean_test`, and none where that is: of fewer than a
    dozen months, or of a constant.
    """
    test = mean_test(values)
    return {name: mean(values), f"{name}_se": None if test is None else test.mean.standard_error}


def t_statistic(values: _F64) -> float | None:
    """Return the mean over its standard error, as ``mean_with_error`` has them; none where there is no error."""
    test = mean_test(values)
    return None if test is None else test.mean.t


def annualised(returns: _F64) -> dict[str, float | None]:
    """Return a portfolio's return, volatility and Sharpe ratio a year, each with its standard error.

    ``annual_return`` is the mean × 12, its error that of ``mean_with_error`` × 12. ``annual_volatility`` is the sample
    standard deviation × √12; the error of a standard deviation s is s √((κ − 1) / (4 T)), κ being the kurtosis of the
    months, 3 for normal ones (Cramér 1946, by the delta method). ``sharpe_ratio`` is the one over the other (Sharpe
    1994; a portfolio of net zero needs no risk-free rate; that of a quintile is one of total returns), its error that
    of :func:`deepfactor.evaluation.sharpe.sharpe_ratio` (Mertens 2002). What cannot be computed is none; errors of
    fewer than a dozen months are.

    Parameters
    ----------
    returns
        Shape (months,), fractions a month.
    """
    figures = mean_with_error("annual_return", returns * YEAR)
    volatility = float(returns.std(ddof=1)) * sqrt(YEAR) if len(returns) > 1 else None
    enough = len(returns) >= FEWEST_MONTHS_FOR_T
    estimate = sharpe_ratio(returns) if enough else None
    figures["annual_volatility"] = volatility
    figures["annual_volatility_se"] = _deviation_error(returns) * sqrt(YEAR) if enough else None
    figures["sharpe_ratio"] = ratio(returns, sqrt(YEAR))
    figures["sharpe_ratio_se"] = None if estimate is None else estimate.standard_error
    return figures


def ratio(values: _F64, scale: float = 1.0) -> float | None:
    """Return the mean over the sample standard deviation, times ``scale``; none where values do not vary."""
    if len(values) < 2 or not varies(values):
        return None
    return float(values.mean() / values.std(ddof=1)) * scale


def share_of_months(name: str, hits: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return ``name``, the share of months that are hits, with ``<name>_lower`` and ``<name>_upper``.

    The bounds are those of the 95 % score interval (Wilson 1927), which supposes that months do not depend on each
    other; none of fewer than a dozen months.
    """
    months = len(hits)
    share = float(hits.mean()) if months else None
    if share is None or months < FEWEST_MONTHS_FOR_T:
        return {name: share, f"{name}_lower": None, f"{name}_upper": None}
    z = NormalDist().inv_cdf(0.975)
    scale = 1 + z**2 / months
    centre = (share + z**2 / (2 * months)) / scale
    reach = z / scale * sqrt(share * (1 - share) / months + z**2 / (4 * months**2))
    return {name: share, f"{name}_lower": max(centre - reach, 0.0), f"{name}_upper": min(centre + reach, 1.0)}


def _deviation_error(values: _F64) -> float:
    deviations = values - values.mean()
    variance = float((deviations**2).mean())
    kurtosis = float((deviations**4).mean()) / variance**2 if variance > 0 else 1.0
    return float(values.std(ddof=1)) * sqrt(max(kurtosis - 1, 0.0) / (4 * len(values)))
