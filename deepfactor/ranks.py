"""Ranks of numbers, and Spearman's correlation of two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_F64 = NDArray[np.float64]


def centred_ranks(values: _F64) -> _F64:
    """Return percentile ranks (rank − 1) / (n − 1) − ½, ties averaged, shape (n,); 0 for a value that is alone."""
    ordered = np.sort(values)
    # The mean place, from 0, of all that are equal.
    place = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") - 1) / 2
    centred: _F64 = place / max(len(values) - 1, 1) - (0.5 if len(values) > 1 else 0.0)
    return centred


def rank_correlation(a: _F64, b: _F64) -> float | None:
    """Return Spearman's rank correlation, ties averaged: Pearson's of the ranks; none where either is constant.

    Parameters
    ----------
    a, b
        Shape (n,).
    """
    x, y = centred_ranks(a), centred_ranks(b)
    # Sums, not dot products: what BLAS gives depends on the number of its threads.
    scale = np.sqrt(np.sum(x**2) * np.sum(y**2))
    return float(np.clip(np.sum(x * y) / scale, -1, 1)) if scale > 0 else None
