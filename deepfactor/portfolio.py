"""Portfolios formed from predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUINTILES = 5


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
