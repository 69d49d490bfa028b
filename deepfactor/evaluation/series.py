"""Figures by month as arrays: what all tests ask of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepfactor.errors import SchemaError

_F64 = NDArray[np.float64]

NOISE = 1e-10
"""What varies by less than this part of its size is rounding, and no variation."""

# Below it, squares lose their digits, and then vanish.
_SMALLEST = 1e-140


def finite_series(values: _F64, name: str) -> _F64:
    """Return values as floats, shape (T,).

    Raises
    ------
    SchemaError
        If they are not finite numbers in one dimension.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise SchemaError(f"{name}: one value a month is needed, not an array of shape {series.shape}")
    bad = np.flatnonzero(~np.isfinite(series))
    if len(bad):
        raise SchemaError(
            f"{name}: {len(bad)} of {len(series)} values are not finite, the first at place {bad[0]}; "
            "leave out months of which nothing is known"
        )
    return series


def paired_series(one: _F64, other: _F64, name: str) -> tuple[_F64, _F64]:
    """Return two series of the same months as floats, each of shape (T,).

    Raises
    ------
    SchemaError
        If they are not finite numbers, or not as many.
    """
    first, second = finite_series(one, f"the first {name}"), finite_series(other, f"the second {name}")
    if len(first) != len(second):
        raise SchemaError(f"{len(first)} and {len(second)} months of {name}: give those of the months that both have")
    return first, second


def varies(series: _F64, beside: _F64 | None = None) -> bool:
    """Return whether values differ by more than rounding, of themselves or of what they were computed from."""
    size = np.abs(series if beside is None else beside).max()
    return bool(np.ptp(series) > max(NOISE * size, _SMALLEST))
