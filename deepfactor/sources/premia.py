"""Planted premia: which part of the next month's return follows from what is known, and how it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from deepfactor.sources.firms import Flags, Matrix, Vector

Form = Literal["linear", "interactions", "none"]

# Expected return a month per standard deviation of a term. A term is a score, or a product of scores joined by "_x_".
# Together about .6 %, against a dispersion of about 11 %: an information coefficient of .05, as of a good real model.
PREMIA: Mapping[Form, Mapping[str, float]] = {
    "linear": {"value": 0.0035, "quality": 0.0030, "momentum": 0.0025, "low_risk": 0.0020, "size": 0.0015},
    # Three quarters of the variance lie in products, which no linear model of the scores can see: cheap firms pay if
    # they are profitable, past winners if they are calm.
    "interactions": {
        "value": 0.0022,
        "quality": 0.0018,
        "low_risk": 0.0015,
        "size": 0.0012,
        "value_x_quality": 0.0036,
        "momentum_x_low_risk": 0.0034,
    },
    "none": {},
}


def scores(
    book_to_price: Vector, return_on_equity: Vector, total_return: Matrix, value: Vector, listed: Flags
) -> dict[str, Vector]:
    """Return each firm's scores: ranks over the listed firms with mean 0 and variance 1; 0 where nothing is known.

    Parameters
    ----------
    book_to_price, return_on_equity, value
        As known at the end of the month.
    total_return
        Returns up to the month (months × firms), NaN where there is none.
    listed
        Which firms are listed.
    """
    recent = total_return[-12:-1]
    momentum = np.prod(1 + recent, axis=0) if len(recent) == 11 else np.full(listed.size, np.nan)
    return {
        "value": _score(book_to_price, listed),
        "quality": _score(return_on_equity, listed),
        "momentum": _score(momentum, listed),
        "low_risk": _score(-_volatility(total_return[-60:]), listed),
        "size": _score(-value, listed),
    }


def expected_excess(premia: Mapping[str, float], known: Mapping[str, Vector], listed: Flags) -> Vector:
    """Return the expected return of the next month above that of all listed firms; 0 for the others."""
    expected = np.zeros(listed.size)
    for term, premium in premia.items():
        expected += premium * np.prod([known[name] for name in term.split("_x_")], axis=0)
    return np.where(listed, expected - expected[listed].mean(), 0.0).round(8)


def _volatility(returns: Matrix) -> Vector:
    """Return the standard deviation of each column; NaN with fewer than 36 values."""
    known = ~np.isnan(returns)
    count = known.sum(axis=0)
    enough = np.where(count >= 36, count, np.nan)
    mean = np.where(known, returns, 0.0).sum(axis=0) / enough
    return np.asarray(np.sqrt((np.where(known, returns - mean, 0.0) ** 2).sum(axis=0) / (enough - 1)))


def _score(values: Vector, listed: Flags) -> Vector:
    known = np.flatnonzero(listed & np.isfinite(values))
    result = np.zeros(values.size)
    if known.size > 1:
        order = known[np.argsort(values[known], kind="stable")]
        # Equally spaced ranks of n firms have variance (n + 1) / (n - 1) / 12 on the unit interval.
        spread = np.sqrt(12.0 * (known.size - 1) / (known.size + 1))
        result[order] = (np.arange(known.size) / (known.size - 1) - 0.5) * spread
    return result
