"""Forecasts that need no model. A model that does not beat them has learnt nothing that is worth its cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import isfinite

import numpy as np
import polars as pl

from deepfactor.errors import HistoryError
from deepfactor.evaluation.forecasts import FORECASTS, checked_forecasts, checked_returns
from deepfactor.evaluation.portfolios import ranked
from deepfactor.months import TRAINING_MONTHS, Month
from deepfactor.schemas import Table

ZERO, TRAINING_MEAN, TRAILING_MEAN = "zero", "training mean", "own trailing mean"
"""No return; the mean return of all stocks in the training window; the mean of the stock's own returns before."""

NAIVE = (ZERO, TRAINING_MEAN, TRAILING_MEAN)

# As many as the descriptors of five years need.
FEWEST_MONTHS_FOR_A_MEAN = 36

TRAILING_MEANS = Table(
    "trailing_means",
    ("month", "security_id"),
    {
        "month": pl.Date,  # the as-of month, the last of the 60
        "security_id": pl.String,
        "months": pl.Int64,  # of the 60, with a return
        "trailing_mean": pl.Float64,  # of these, a fraction; null if there are too few
    },
)


def with_naive(forecasts: pl.DataFrame, training_means: Mapping[date, float], returns: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts of models and all forecasts that need none, of the same stocks and months.

    Parameters
    ----------
    forecasts
        ``FORECASTS`` of models.
    training_means
        Mean return of the training window by as-of month, a month being its first day.
    returns
        ``RETURNS`` from 59 months before the first as-of month on.

    Returns
    -------
    pl.DataFrame
        ``FORECASTS``.

    Raises
    ------
    HistoryError
        If a month has no training mean.
    """
    checked = checked_forecasts(forecasts)
    stocks = _stocks(checked, training_means)
    return checked_forecasts(pl.concat([checked, *_constant(stocks), _trailing(stocks, returns)]))


def constant_forecasts(forecasts: pl.DataFrame, training_means: Mapping[date, float]) -> pl.DataFrame:
    """Return zero and the training mean as forecasts for every stock and month; the parameters are ``with_naive``'s.

    They do not rank stocks: rank and quintile are null, and they have no portfolio.

    Returns
    -------
    pl.DataFrame
        ``FORECASTS``.
    """
    stocks = _stocks(checked_forecasts(forecasts), training_means)
    return checked_forecasts(pl.concat(_constant(stocks)), "the constant forecasts")


def trailing_mean_forecasts(
    forecasts: pl.DataFrame, training_means: Mapping[date, float], returns: pl.DataFrame
) -> pl.DataFrame:
    """Return the mean of each stock's own returns as its forecast; the parameters are ``with_naive``'s.

    It is that of the 60 months up to the as-of month, or the training mean where fewer than 36 of them have a return;
    :func:`trailing_means` says where. Stocks are ranked by it like by a model's prediction, ties in the order of names.

    Returns
    -------
    pl.DataFrame
        ``FORECASTS``.
    """
    stocks = _stocks(checked_forecasts(forecasts), training_means)
    return checked_forecasts(_trailing(stocks, returns), "the forecasts of trailing means")


def trailing_means(returns: pl.DataFrame, months: list[date]) -> pl.DataFrame:
    """Return the mean of each stock's returns over 60 calendar months, of which at least 36 have a return.

    Parameters
    ----------
    returns
        ``RETURNS``; those after an as-of month are not looked at for it.
    months
        The as-of months.

    Returns
    -------
    pl.DataFrame
        ``TRAILING_MEANS``, of stocks with any return in the 60 months.
    """
    known = checked_returns(returns).drop_nulls("total_return")
    if known.is_empty():
        return TRAILING_MEANS.empty()
    securities = known["security_id"].unique().sort()
    ordinal = (known["month"].dt.year().cast(pl.Int64) * 12 + known["month"].dt.month() - 1).to_numpy()
    first = int(ordinal.min())
    table = np.full((int(ordinal.max()) - first + 1, len(securities)), np.nan)
    table[ordinal - first, known["security_id"].cast(pl.Enum(securities)).to_physical().to_numpy()] = known[
        "total_return"
    ].to_numpy()
    parts = [TRAILING_MEANS.empty()]
    for month in months:
        end = Month.containing(month).ordinal - first + 1
        window = table[max(end - TRAINING_MONTHS, 0) : max(end, 0)]
        count = np.isfinite(window).sum(axis=0)
        mean = np.nansum(window, axis=0) / np.maximum(count, 1)
        columns = {"month": month, "security_id": securities, "months": count, "trailing_mean": mean}
        parts.append(pl.DataFrame(columns, schema_overrides=dict(TRAILING_MEANS.columns)).filter(pl.col("months") > 0))
    enough = pl.when(pl.col("months") >= FEWEST_MONTHS_FOR_A_MEAN).then("trailing_mean")
    return TRAILING_MEANS.check(pl.concat(parts).with_columns(trailing_mean=enough), "the trailing means")


def _stocks(forecasts: pl.DataFrame, training_means: Mapping[date, float]) -> pl.DataFrame:
    """Return month, stock, return and the month's training mean, of all stocks that any model forecasts."""
    months = forecasts["month"].unique().sort().to_list()
    lacking = [str(month) for month in months if not isfinite(training_means.get(month, float("nan")))]
    if lacking:
        raise HistoryError(f"there is no mean return of the training window of {', '.join(lacking)}")
    columns = {"month": months, "training_mean": [training_means[month] for month in months]}
    means = pl.DataFrame(columns, schema={"month": pl.Date, "training_mean": pl.Float64})
    stocks = forecasts.select("month", "security_id", "realised").unique()
    return stocks.join(means, on="month", how="left")


def _constant(stocks: pl.DataFrame) -> list[pl.DataFrame]:
    nothing = pl.lit(None, dtype=pl.Int64)
    return [
        _as_forecasts(stocks.with_columns(rank=nothing, quintile=nothing), name, prediction)
        for name, prediction in ((ZERO, pl.lit(0.0)), (TRAINING_MEAN, pl.col("training_mean")))
    ]


def _trailing(stocks: pl.DataFrame, returns: pl.DataFrame) -> pl.DataFrame:
    own = trailing_means(returns, stocks["month"].unique().to_list())
    joined = stocks.join(own, on=["month", "security_id"], how="left")
    chosen = joined.with_columns(prediction=pl.coalesce("trailing_mean", "training_mean"), model=pl.lit(TRAILING_MEAN))
    return _as_forecasts(ranked(chosen), TRAILING_MEAN, pl.col("prediction"))


def _as_forecasts(stocks: pl.DataFrame, name: str, prediction: pl.Expr) -> pl.DataFrame:
    columns = (pl.lit(name).alias("model"), prediction.alias("prediction"), pl.lit(0.0).alias("dispersion"))
    return stocks.with_columns(*columns).select(*FORECASTS.columns)
