"""How close forecasts came, and what a portfolio of them earned, by month and model.

Everything is computed from frames, in NumPy within one month and model, so that the same forecasts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.evaluation.forecasts import FORECASTS as FORECASTS
from deepfactor.evaluation.forecasts import with_realised as with_realised
from deepfactor.evaluation.missing import MISSING_RETURN, known_months
from deepfactor.evaluation.portfolios import LONG_SHORT, portfolio_returns
from deepfactor.ranks import rank_correlation
from deepfactor.schemas import Table

_F64 = NDArray[np.float64]

# A t statistic of a dozen months says little, of fewer nothing.
FEWEST_MONTHS_FOR_T = 12

PERFORMANCE = Table(
    "performance",
    ("month", "model"),
    {
        "month": pl.Date,  # the as-of month; the return is that of the month after
        "model": pl.String,
        "stocks": pl.Int64,  # with a forecast and a return
        "without_return": pl.Int64,  # with a forecast but no return; long_short alone counts them
        "mae": pl.Float64,  # null if no stock has a return
        "rmse": pl.Float64,
        "rank_ic": pl.Float64,  # null where the forecast is the same for all stocks
        "hit_rate": pl.Float64,  # share of stocks on the right side of the median; null where none is on a side
        "long_short": pl.Float64,  # a fraction; null for a forecast that has no quintiles, or lacks the first or fifth
    },
)


def monthly_performance(forecasts: pl.DataFrame, missing_return: float = MISSING_RETURN) -> pl.DataFrame:
    """Return the performance of every model in every month.

    ``mae`` and ``rmse`` are the mean absolute error and the root of the mean squared error over stocks, as fractions a
    month. ``rank_ic`` is the rank correlation of forecasts and returns (Spearman 1904), the information coefficient of
    Grinold, Kahn (2000). ``hit_rate`` is the share of stocks whose forecast lies on the same side of the median
    forecast as the return of the median return; stocks that are the median say nothing and are left out. All of these
    leave out stocks without a return. ``long_short`` does not (:mod:`deepfactor.evaluation.missing`); it is that of
    :func:`deepfactor.evaluation.portfolios.portfolio_returns`. A month that is not known yet is left out.

    Parameters
    ----------
    forecasts
        ``FORECASTS``, with those that need no model (:mod:`deepfactor.evaluation.naive`).
    missing_return
        What a stock without a return earns in a portfolio, a fraction.

    Returns
    -------
    pl.DataFrame
        ``PERFORMANCE``.
    """
    known = known_months(forecasts)
    rows = pl.DataFrame(list(_rows(known)), schema=dict(PERFORMANCE.columns)).drop("long_short")
    earned = (
        portfolio_returns(known, missing_return)
        .filter(portfolio=LONG_SHORT)
        .select("month", "model", pl.col("portfolio_return").alias("long_short"))
    )
    return PERFORMANCE.check(rows.join(earned, on=["month", "model"], how="left"), "the performance by month")


def _rows(forecasts: pl.DataFrame) -> Iterator[dict[str, Any]]:
    prediction, realised = forecasts["prediction"].to_numpy(), forecasts["realised"].to_numpy()
    lengths = forecasts.select(pl.struct("month", "model").rle().alias("run")).unnest("run").unnest("value")
    end = 0
    for length, month, model in lengths.select("len", "month", "model").iter_rows():
        start, end = end, end + length
        there = np.isfinite(realised[start:end])
        pair = prediction[start:end][there], realised[start:end][there]
        counts = {"stocks": len(pair[0]), "without_return": length - len(pair[0])}
        yield {"month": month, "model": model, **counts, **(_accuracy(*pair) if there.any() else {})}


def _accuracy(prediction: _F64, realised: _F64) -> dict[str, float | None]:
    difference = prediction - realised
    return {
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt((difference**2).mean())),
        "rank_ic": rank_correlation(prediction, realised),
        "hit_rate": _hit_rate(prediction, realised),
    }


def _hit_rate(prediction: _F64, realised: _F64) -> float | None:
    """Return the share of stocks that are on the same side of the median in both; none if none is on a side."""
    sides = np.sign(prediction - np.median(prediction)) * np.sign(realised - np.median(realised))
    told = sides[sides != 0]
    return float((told > 0).mean()) if len(told) else None
