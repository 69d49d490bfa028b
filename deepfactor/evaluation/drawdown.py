"""Returns compounded over months, and how far and how long they stayed below what had been reached before."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.months import Month
from deepfactor.schemas import Table

_F64 = NDArray[np.float64]

RESAMPLES, SEED = 1_000, 2018
"""Of the bootstrap, where nothing else is said."""

# Below a high by less than this part of it is rounding.
_ROUNDING = 1e-12

SERIES = Table(
    "series",
    ("month", "model", "portfolio"),
    {
        "month": pl.Date,  # the as-of month; the return is that of the month after
        "model": pl.String,
        "portfolio": pl.String,
        "portfolio_return": pl.Float64,  # a fraction; null: there is none
    },
)
CUMULATED = Table(
    "cumulated",
    ("model", "portfolio", "close"),
    {
        "model": pl.String,
        "portfolio": pl.String,
        "close": pl.Date,  # the month at whose close it is so much; the first is that before the first return
        "wealth": pl.Float64,  # 1 at the first close
        "drawdown": pl.Float64,  # wealth over the highest until then, less 1; 0 at a high, else negative
    },
)
DRAWDOWNS = Table(
    "drawdowns",
    ("model", "portfolio"),
    {
        "model": pl.String,
        "portfolio": pl.String,
        "months": pl.Int64,  # with a return
        "months_without_return": pl.Int64,  # between the first and the last; wealth stays as it is
        "depth": pl.Float64,  # the lowest drawdown; 0 if there is none
        "depth_resampled": pl.Float64,  # median depth of the same months in random order, drawn with replacement
        "depth_resampled_worst": pl.Float64,  # of these, what one in twenty falls below
        "start": pl.Date,  # the month at whose close the deepest began: the high before it; null if there is none
        "trough": pl.Date,  # at whose close it was deepest
        "end": pl.Date,  # at whose close the high was reached again; null: still under water
        "length": pl.Int64,  # months from start to end, or to the last close
        "recovered": pl.Boolean,  # whether the end has come
        "longest": pl.Int64,  # most months from a high to its being reached again, or to the last close
    },
)


def cumulated(series: pl.DataFrame) -> pl.DataFrame:
    """Return what one unit has become at each close, and its drawdown.

    Wealth is Π (1 + r), a return of a long-short portfolio being that of its top less that of its bottom leg: at the
    start of each month both legs are as large as the capital then is, gains and losses are added to it, and cash earns
    nothing. Capital that is lost stays lost: after a return of -1 or less, which a short leg can bring about, wealth is
    0.

    Parameters
    ----------
    series
        ``SERIES``, or a table that has its columns, such as ``portfolios.PORTFOLIO_RETURNS``.

    Returns
    -------
    pl.DataFrame
        ``CUMULATED``.
    """
    parts = [CUMULATED.empty()]
    for (model, portfolio), each in _checked(series).partition_by("model", "portfolio", as_dict=True).items():
        wealth = _wealth(each["portfolio_return"].to_numpy())
        closes = [each["month"][0], *each["month"].dt.offset_by("1mo")]
        columns = {"close": closes, "wealth": wealth, "drawdown": _drawdown(wealth)}
        frame = pl.DataFrame(columns).with_columns(model=pl.lit(model), portfolio=pl.lit(portfolio))
        parts.append(frame.select(*CUMULATED.columns))
    return CUMULATED.check(pl.concat(parts), "the cumulated returns")


def drawdowns(series: pl.DataFrame, resamples: int = RESAMPLES, seed: int = SEED) -> pl.DataFrame:
    """Return the deepest drawdown of each portfolio, and how deep one could have been expected to be.

    The drawdown is wealth over its highest value until then, less 1; the deepest, with the months it took, is the first
    if there are two. ``depth_resampled`` is a bootstrap of single months (Efron 1979): the depth depends on the order
    of the months, and theirs is only one. It supposes that months do not depend on each other, and is none of fewer
    than a dozen.

    Parameters
    ----------
    series
        As for ``cumulated``.
    resamples, seed
        Number of the bootstrap's draws, and where they start.

    Returns
    -------
    pl.DataFrame
        ``DRAWDOWNS``.

    Raises
    ------
    ConfigurationError
        If there are fewer than 100 resamples.
    """
    if resamples < 100:
        raise ConfigurationError(f"{resamples} resamples: give at least 100")
    rows = []
    for (model, portfolio), each in _checked(series).partition_by("model", "portfolio", as_dict=True).items():
        returns = each["portfolio_return"].to_numpy()
        months = [Month.containing(month) for month in each["month"]]
        closes = [months[0], *(month + 1 for month in months)]
        rows.append(
            {
                "model": model,
                "portfolio": portfolio,
                "months": len(returns),
                "months_without_return": months[-1] - months[0] + 1 - len(returns),
                **_deepest(_drawdown(_wealth(returns)), closes),
                **_resampled(returns, resamples, seed),
            }
        )
    return DRAWDOWNS.check(pl.DataFrame(rows, schema=dict(DRAWDOWNS.columns)), "the drawdowns")


def _checked(series: pl.DataFrame) -> pl.DataFrame:
    """Return the months with a return, sorted by model, portfolio and month."""
    columns = [name for name in SERIES.columns if name in series.columns]
    checked = SERIES.check(series.select(columns), "the returns to be cumulated").drop_nulls("portfolio_return")
    bad = checked.filter(~pl.col("portfolio_return").is_finite())
    if bad.height:
        raise SchemaError(f"the returns to be cumulated: {bad.height} are not finite, the first {bad.row(0)}")
    return checked.sort("model", "portfolio", "month")


def _wealth(returns: _F64) -> _F64:
    """Return wealth from 1 on, along the last axis: shape (…, T) to (…, T + 1)."""
    growth = np.maximum(1 + returns, 0.0)
    start = np.ones((*growth.shape[:-1], 1))
    return np.concatenate([start, np.cumprod(growth, axis=-1)], axis=-1)


def _drawdown(wealth: _F64) -> _F64:
    drawdown: _F64 = wealth / np.maximum.accumulate(wealth, axis=-1) - 1
    return np.where(drawdown < -_ROUNDING, drawdown, 0.0)


def _deepest(drawdown: _F64, closes: list[Month]) -> dict[str, Any]:
    high = np.flatnonzero(drawdown == 0)
    trough = int(drawdown.argmin())
    last = len(drawdown) - 1
    # From each high to the next; the last one may still be waiting for it.
    spans = [
        closes[b] - closes[a] for a, b in zip(high, [*high[1:], last], strict=True) if (drawdown[a : b + 1] < 0).any()
    ]
    figures: dict[str, Any] = {"depth": float(drawdown[trough]), "longest": max(spans, default=0)}
    if drawdown[trough] == 0:
        return figures | {"start": None, "trough": None, "end": None, "length": 0, "recovered": True}
    start = int(high[high < trough].max())
    after = high[high > trough]
    end = int(after.min()) if len(after) else None
    return figures | {
        "start": closes[start].first_day,
        "trough": closes[trough].first_day,
        "end": None if end is None else closes[end].first_day,
        "length": closes[last if end is None else end] - closes[start],
        "recovered": end is not None,
    }


def _resampled(returns: _F64, resamples: int, seed: int) -> dict[str, float | None]:
    if len(returns) < FEWEST_MONTHS_FOR_T:
        return {"depth_resampled": None, "depth_resampled_worst": None}
    drawn = np.random.default_rng(seed).integers(len(returns), size=(resamples, len(returns)))
    depths = _drawdown(_wealth(returns[drawn])).min(axis=1)
    return {
        "depth_resampled": float(np.quantile(depths, 0.5)),
        "depth_resampled_worst": float(np.quantile(depths, 0.05)),
    }
