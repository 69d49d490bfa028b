"""What the month's page tells of a stock when it is asked: the contribution of each input, compactly."""

from __future__ import annotations

import json
import math

import numpy as np
import polars as pl

from deepfactor.descriptors import NAMES, REGISTRY
from deepfactor.errors import SchemaError
from deepfactor.months import LAGS

# So many inputs of a stock are told one by one, the others as their sum.
LARGEST = 10

_INPUTS = len(LAGS) * len(NAMES)
# A rank is kept in single precision.
_ROUNDING = 1e-6


def stock_details(stocks: pl.DataFrame, attribution: pl.DataFrame) -> str:
    """Return as JSON what is told of each stock.

    Contributions are whole basis points, which is what percent with two digits shows; each is rounded by itself, by
    the same rule as every other figure of the page. No text of the data is in it, and no ``<``, so that it cannot end
    the element that holds it.

    ================  ==================================================================================================
    key               value
    ================  ==================================================================================================
    descriptors       name and formula of each; inputs are counted lag by lag, and within a lag in this order
    lags              in months
    contributions     for each stock, in the order of ``stocks``, those of its 80 inputs
    unknown           for each stock the inputs that stand for a descriptor there is not
    largest           for each stock the ten inputs that go furthest, the furthest first
    above             for each of those, of how many of a hundred stocks it stands above, never more than is true
    dispersions       for each of those, the standard deviation of its contribution between the members
    others            for each stock the sum of all inputs but those
    ================  ==================================================================================================

    Parameters
    ----------
    stocks
        ``MonthReport.stocks()``.
    attribution
        ``schemas.ATTRIBUTION`` of the same model, sorted by its key.

    Raises
    ------
    SchemaError
        If they are not of the same stocks, or a stock lacks some of its inputs.
    """
    _check(stocks, attribution)
    order = stocks["security_id"].arg_sort().arg_sort().to_numpy()
    columns = [sorted(NAMES).index(name) for name in NAMES]
    shape = (stocks.height, len(LAGS), len(NAMES))
    contributions, dispersions, ranks, known = (
        attribution[column].to_numpy().reshape(shape)[order][:, :, columns].reshape(-1, _INPUTS)
        for column in ("relevance", "dispersion", "input", "known")
    )
    ordered = np.argsort(-np.abs(contributions), axis=1, kind="stable")
    largest, others = ordered[:, :LARGEST], ordered[:, LARGEST:]
    above = np.floor((0.5 + np.take_along_axis(ranks, largest, 1).astype(np.float64) + _ROUNDING) * 100).astype(int)
    content = {
        "descriptors": [[each.name, each.formula] for each in REGISTRY],
        "lags": LAGS,
        "contributions": _basis_points(contributions.tolist()),
        "unknown": [np.flatnonzero(~row).tolist() for row in known],
        "largest": largest.tolist(),
        "above": above.tolist(),
        "dispersions": _basis_points(np.take_along_axis(dispersions, largest, 1).tolist()),
        "others": _basis_points([list(map(math.fsum, np.take_along_axis(contributions, others, 1).tolist()))])[0],
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _check(stocks: pl.DataFrame, attribution: pl.DataFrame) -> None:
    found = attribution.group_by("security_id").agg(inputs=pl.len())
    scored = stocks.select("security_id", scored=True)
    both = scored.join(found, on="security_id", how="full", coalesce=True).sort("security_id")
    wrong = both.filter(pl.col("scored").is_null() | pl.col("inputs").ne_missing(_INPUTS))
    if wrong.height:
        raise SchemaError(
            f"attribution: not {_INPUTS} inputs of each of {stocks.height} stocks with a signal and of no other, "
            f"such as {wrong['security_id'][0]!r}; attribute the month again"
        )


def _basis_points(rows: list[list[float]]) -> list[list[int]]:
    """Round as ``numbers.percent`` does; exactly, which NumPy's rounding is not."""
    return [[round(round(value * 100, 2) * 100) for value in row] for row in rows]
