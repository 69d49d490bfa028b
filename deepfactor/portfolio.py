"""Portfolios formed from predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUINTILES = 5
_NAMES = {QUINTILES: "top quintile", 1: "bottom quintile"}


def ranks(predictions: NDArray[np.float64], security_ids: NDArray[np.str_]) -> NDArray[np.int64]:
    """Rank predictions from 1, the highest; ties in the order of the securities' names.

    Parameters
    ----------
    predictions
        Shape (n,).
    security_ids
        Shape (n,); decides ties, so that the order of the rows does not.
    """
    order = np.lexsort((security_ids, -predictions))
    result = np.empty(len(predictions), dtype=np.int64)
    result[order] = np.arange(1, len(predictions) + 1)
    return result


def quintiles(rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split ranks 1 … n into fifths: 5 holds the highest predictions, 1 the lowest; sizes differ by at most one."""
    return QUINTILES - (rank - 1) * QUINTILES // len(rank)


def quintile_portfolios(quintile: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the equally weighted fifths, and long the top, short the bottom: names and weights (portfolios, n).

    An empty fifth, of a market of fewer than five stocks, is left out, and with it the portfolio of its difference.

    Parameters
    ----------
    quintile
        Of each stock, shape (n,).
    """
    fifths = {
        number: (quintile == number) / np.sum(quintile == number)
        for number in range(QUINTILES, 0, -1)
        if (quintile == number).any()
    }
    weights = {_NAMES.get(number, f"quintile {number}"): each for number, each in fifths.items()}
    if 1 in fifths and QUINTILES in fifths:
        weights["long-short"] = fifths[QUINTILES] - fifths[1]
    return tuple(weights), np.stack(list(weights.values()))
