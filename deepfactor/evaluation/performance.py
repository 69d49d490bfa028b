"""How close forecasts came, and what a portfolio of them earned: by month, and over all months (Table 4 of the paper).

Everything is computed from frames, in NumPy within one month and model, so that the same forecasts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.portfolio import QUINTILES
from deepfactor.ranks import rank_correlation
from deepfactor.schemas import SIGNALS, Table

_F64 = NDArray[np.float64]

# A t statistic of a dozen months says little, of fewer nothing.
FEWEST_MONTHS_FOR_T = 12

ZERO, TRAINING_MEAN = "zero", "training mean"
"""The forecasts that need no model: no return, and the mean return of the training window, for every stock."""

FORECASTS = Table(
    "forecasts",
    ("month", "model", "security_id"),
    {
        **SIGNALS.columns,
        "realised": pl.Float64,  # total return of the month after, as a fraction; null: the stock has none
    },
)
PERFORMANCE = Table(
    "performance",
    ("month", "model"),
    {
        "month": pl.Date,  # the as-of month; the return is that of the month after
        "model": pl.String,
        "stocks": pl.Int64,  # with a forecast and a return
        "without_return": pl.Int64,  # with a forecast but no return; left out of everything
        "mae": pl.Float64,
        "rmse": pl.Float64,
        "rank_ic": pl.Float64,  # null where the forecast is the same for all stocks
        "long_short": pl.Float64,  # a fraction; null for a forecast that needs no model: it has no quintiles
    },
)


def with_realised(signals: pl.DataFrame, returns: pl.DataFrame) -> pl.DataFrame:
    """Return signals with the return that each stock had in the month after.

    Parameters
    ----------
    signals
        ``schemas.SIGNALS``, of any number of months.
    returns
        ``month``, ``security_id`` and ``total_return``, a fraction; the month is that of the return.

    Returns
    -------
    pl.DataFrame
        ``FORECASTS``.

    Raises
    ------
    SchemaError
        If signals are not what they should be, or a stock has two returns in a month.
    """
    before = returns.select(
        pl.col("month").dt.offset_by("-1mo"), "security_id", pl.col("total_return").alias("realised")
    )
    joined = signals.join(before, on=["month", "security_id"], how="left", validate="m:m")
    return FORECASTS.check(joined, "the signals with their returns")


def monthly_performance(forecasts: pl.DataFrame, training_means: Mapping[Any, float]) -> pl.DataFrame:
    """Return the performance of every month and model, and of the forecasts that need no model.

    A month of which no return is known is left out.

    Parameters
    ----------
    forecasts
        ``FORECASTS``.
    training_means
        Mean return of the training window by as-of month, a month being its first day.

    Returns
    -------
    pl.DataFrame
        ``PERFORMANCE``.
    """
    rows: list[dict[str, Any]] = []
    for (month,), of_month in forecasts.partition_by("month", as_dict=True).items():
        if of_month["realised"].null_count() == of_month.height:
            continue
        models = of_month.partition_by("model", as_dict=True)
        rows += [{"month": month, "model": model, **_performance(each)} for (model,), each in models.items()]
        # All models forecast the same stocks.
        stocks = next(iter(models.values()))
        for name, value in ((ZERO, 0.0), (TRAINING_MEAN, training_means[month])):
            rows.append({"month": month, "model": name, **_constant_performance(stocks, value)})
    return PERFORMANCE.check(pl.DataFrame(rows, schema=dict(PERFORMANCE.columns)), "the performance by month")


def summary(performance: pl.DataFrame, order: Sequence[str]) -> list[dict[str, Any]]:
    """Return each model's performance over all months.

    ``mae`` and ``rmse`` are means over months (Table 4 of Nakagawa, Uchida, Aoshima 2018), as is ``rank_ic``. Of the
    long-short return: ``annual_return`` is its mean × 12, ``annual_volatility`` its sample standard deviation × √12,
    ``sharpe_ratio`` the one over the other (Sharpe 1994; a portfolio of net zero needs no risk-free rate).
    ``rank_ic_t`` is the mean over its standard error, sample standard deviation / √months (Grinold, Kahn 2000), for at
    least a dozen months. What cannot be computed is none.

    Parameters
    ----------
    performance
        ``PERFORMANCE``.
    order
        Names of the models in the order of the rows; those that need no model come last.
    """
    rows = []
    for model in (*order, ZERO, TRAINING_MEAN):
        of_model = performance.filter(model=model)
        if of_model.is_empty():
            continue
        long_short = of_model["long_short"].drop_nulls().to_numpy()
        rank_ic = of_model["rank_ic"].drop_nulls().to_numpy()
        volatility = _deviation(long_short, 12.0)
        annual_return = float(long_short.mean() * 12) if len(long_short) else None
        rows.append(
            {
                "model": model,
                "months": of_model.height,
                "mae": float(of_model["mae"].to_numpy().mean()),
                "rmse": float(of_model["rmse"].to_numpy().mean()),
                "annual_return": annual_return,
                "annual_volatility": volatility,
                "sharpe_ratio": annual_return / volatility if annual_return is not None and volatility else None,
                "rank_ic": float(rank_ic.mean()) if len(rank_ic) else None,
                "rank_ic_t": _t_statistic(rank_ic),
            }
        )
    return rows


def _performance(forecasts: pl.DataFrame) -> dict[str, Any]:
    known = forecasts.drop_nulls("realised")
    prediction, realised = known["prediction"].to_numpy(), known["realised"].to_numpy()
    return {
        "stocks": known.height,
        "without_return": forecasts.height - known.height,
        **_errors(prediction, realised),
        "rank_ic": rank_correlation(prediction, realised),
        "long_short": _long_short(known["quintile"].to_numpy(), realised),
    }


def _constant_performance(forecasts: pl.DataFrame, value: float) -> dict[str, Any]:
    realised = forecasts["realised"].drop_nulls().to_numpy()
    counts = {"stocks": len(realised), "without_return": forecasts.height - len(realised)}
    return counts | _errors(np.full(len(realised), value), realised) | {"rank_ic": None, "long_short": None}


def _errors(prediction: _F64, realised: _F64) -> dict[str, float]:
    """Return mean absolute error and root mean squared error, as fractions a month."""
    difference = prediction - realised
    return {"mae": float(np.abs(difference).mean()), "rmse": float(np.sqrt((difference**2).mean()))}


def _long_short(quintile: NDArray[np.int64], realised: _F64) -> float | None:
    """Return the mean return of the highest fifth less that of the lowest; none if one of the two has no return."""
    top, bottom = realised[quintile == QUINTILES], realised[quintile == 1]
    return float(top.mean() - bottom.mean()) if len(top) and len(bottom) else None


def _deviation(values: _F64, periods: float) -> float | None:
    """Return the sample standard deviation of a year of so many periods; none of fewer than two values."""
    return float(values.std(ddof=1) * np.sqrt(periods)) if len(values) > 1 else None


def _t_statistic(values: _F64) -> float | None:
    deviation = _deviation(values, 1.0)
    if len(values) < FEWEST_MONTHS_FOR_T or not deviation:
        return None
    return float(values.mean() / deviation * np.sqrt(len(values)))
