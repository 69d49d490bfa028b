"""What the portfolios have to trade, and what is left of their return after paying for it."""

from __future__ import annotations

from math import isfinite

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.averages import YEAR, annualised, mean_with_error
from deepfactor.evaluation.missing import MISSING_RETURN, earned, known_months
from deepfactor.evaluation.portfolios import LONG_SHORT, portfolio_returns
from deepfactor.evaluation.significance import mean_test
from deepfactor.portfolio import QUINTILES
from deepfactor.schemas import Table

_F64 = NDArray[np.float64]

BASIS_POINTS = 10.0
"""Costs of each purchase and each sale, in ten-thousandths of what is traded, where nothing else is said."""

_PER_UNIT = 1e4

AFTER_COSTS = "long-short after costs"

TRADING = Table(
    "trading",
    ("month", "model"),
    {
        "month": pl.Date,  # the as-of month, at whose close is traded; the return is that of the month after
        "model": pl.String,
        "turnover_top": pl.Float64,  # share of the leg that is replaced; null in a first month
        "turnover_bottom": pl.Float64,
        "long_short": pl.Float64,  # before costs, a fraction
        "cost": pl.Float64,  # a fraction; null where a turnover is
        "after_costs": pl.Float64,  # long_short less cost
    },
)
TRADING_SUMMARY = Table(
    "trading_summary",
    ("model",),
    {
        "model": pl.String,
        "months": pl.Int64,  # with a turnover; all figures are theirs
        "turnover_top": pl.Float64,  # mean, a month
        "turnover_top_se": pl.Float64,
        "turnover_bottom": pl.Float64,
        "turnover_bottom_se": pl.Float64,
        "annual_return_before_costs": pl.Float64,
        "annual_return_before_costs_se": pl.Float64,
        "annual_cost": pl.Float64,
        "annual_cost_se": pl.Float64,
        "annual_return": pl.Float64,  # after costs, as is all that follows
        "annual_return_se": pl.Float64,
        "annual_volatility": pl.Float64,
        "annual_volatility_se": pl.Float64,
        "sharpe_ratio": pl.Float64,
        "sharpe_ratio_se": pl.Float64,
        "break_even": pl.Float64,  # basis points a side; null where nothing is earned before costs, or nothing traded
        "break_even_se": pl.Float64,
    },
)


def trading(
    forecasts: pl.DataFrame, missing_return: float = MISSING_RETURN, basis_points: float = BASIS_POINTS
) -> pl.DataFrame:
    """Return turnover, costs and the return after costs of each model's long-short portfolio, by month.

    At the close of a month a leg's weights have drifted: a weight w whose stock returned r has become w (1 + r) / Σ w
    (1 + r). It is traded back to the new quintile's equal weights; ``turnover`` is half the sum of the absolute changes
    (as in DeMiguel, Garlappi, Uppal 2009, who do not halve), stocks that left or entered with their whole weight: 0 if
    nothing is traded, 1 if the whole leg is replaced. A stock without a return drifts by ``missing_return``, and is
    sold or kept like any other.

    Every purchase and every sale costs ``basis_points``: ``cost`` is 2 (turnover_top + turnover_bottom) · basis_points
    / 10,000, taken from the return of the month that follows. What is traded to bring both legs back to the size of the
    capital is not counted, nor are borrowing fees and the price impact of large orders.

    A model's first month has no turnover, nor has one without its calendar month before, or without stocks in a leg in
    one of the two.

    Parameters
    ----------
    forecasts
        ``FORECASTS``.
    missing_return
        What a stock without a return earns, a fraction.
    basis_points
        Costs of each side.

    Returns
    -------
    pl.DataFrame
        ``TRADING``, of the months and models that have a long-short return.

    Raises
    ------
    ConfigurationError
        If a parameter is not what it should be.
    """
    if not (isfinite(basis_points) and basis_points >= 0):
        raise ConfigurationError(f"basis_points {basis_points}: give costs of no less than 0")
    held = known_months(forecasts).with_columns(earned(missing_return))
    legs = pl.concat(
        [TRADING.empty().select("month", "model", "turnover_top", "turnover_bottom")]
        + [_turnovers(model, each) for (model,), each in held.partition_by("model", as_dict=True).items()]
    )
    traded = pl.col("turnover_top") + pl.col("turnover_bottom")
    table = (
        portfolio_returns(held.drop("earned"), missing_return)
        .filter(portfolio=LONG_SHORT)
        .select("month", "model", pl.col("portfolio_return").alias("long_short"))
        .join(legs, on=["month", "model"], how="left")
        .with_columns(cost=2 * traded * (basis_points / _PER_UNIT))
        .with_columns(after_costs=pl.col("long_short") - pl.col("cost"))
    )
    return TRADING.check(table, "what is traded")


def trading_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Return each model's mean turnover, its return after costs, and the costs at which nothing is left.

    ``break_even`` is mean(long_short) / mean(traded), traded being 2 (turnover_top + turnover_bottom), in basis points.
    Its error is that of a ratio of means (Cochran 1977): the error of the mean of long_short − break_even · traded,
    over mean(traded). The other formulas are those of :mod:`deepfactor.evaluation.averages`.

    Parameters
    ----------
    table
        ``TRADING``.

    Returns
    -------
    pl.DataFrame
        ``TRADING_SUMMARY``.
    """
    checked = TRADING.check(table, "what is traded")
    rows = []
    for (model,), of_model in checked.partition_by("model", as_dict=True).items():
        each = of_model.drop_nulls(["turnover_top", "turnover_bottom", "long_short"])
        top, bottom, gross, cost, net = (
            each[name].to_numpy() for name in ("turnover_top", "turnover_bottom", "long_short", "cost", "after_costs")
        )
        rows.append(
            {
                "model": model,
                "months": each.height,
                **mean_with_error("turnover_top", top),
                **mean_with_error("turnover_bottom", bottom),
                **mean_with_error("annual_return_before_costs", gross * YEAR),
                **mean_with_error("annual_cost", cost * YEAR),
                **annualised(net),
                **_break_even(gross, 2 * (top + bottom)),
            }
        )
    return TRADING_SUMMARY.check(pl.DataFrame(rows, schema=dict(TRADING_SUMMARY.columns)), "the summary of trading")


def after_costs(table: pl.DataFrame) -> pl.DataFrame:
    """Return the long-short portfolio after costs as ``drawdown.SERIES``, without months that have no turnover.

    Parameters
    ----------
    table
        ``TRADING``.
    """
    kept = TRADING.check(table, "what is traded").drop_nulls("after_costs")
    portfolio, value = pl.lit(AFTER_COSTS).alias("portfolio"), pl.col("after_costs").alias("portfolio_return")
    return kept.select("month", "model", portfolio, value)


def _break_even(gross: _F64, traded: _F64) -> dict[str, float | None]:
    if not len(gross) or gross.mean() <= 0 or traded.mean() <= 0:
        return {"break_even": None, "break_even_se": None}
    level = float(gross.mean() / traded.mean())
    test = mean_test(gross - level * traded)
    error = None if test is None else test.mean.standard_error / float(traded.mean()) * _PER_UNIT
    return {"break_even": level * _PER_UNIT, "break_even_se": error}


def _turnovers(model: str, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the turnover of both legs of one model, given its forecasts of all known months, sorted."""
    months = forecasts["month"].unique().sort()
    stocks = forecasts["security_id"].unique().sort()
    turnovers = {
        name: _leg_turnover(forecasts.filter(quintile=quintile), months, stocks)
        for name, quintile in (("turnover_top", QUINTILES), ("turnover_bottom", 1))
    }
    return pl.DataFrame({"month": months, "model": model, **turnovers}, schema_overrides={"model": pl.String})


def _leg_turnover(leg: pl.DataFrame, months: pl.Series, stocks: pl.Series) -> pl.Series:
    rows = leg["month"].replace_strict(months, pl.int_range(len(months), eager=True)).to_numpy()
    columns = leg["security_id"].cast(pl.Enum(stocks)).to_physical().to_numpy()
    weights, growth = np.zeros((2, len(months), len(stocks)))
    weights[rows, columns] = 1.0
    growth[rows, columns] = 1.0 + leg["earned"].to_numpy()
    held = weights.sum(axis=1, keepdims=True)
    weights /= np.maximum(held, 1.0)
    drifted = weights * growth
    value = drifted.sum(axis=1, keepdims=True)
    # A leg that has lost everything has nothing left to sell: what is bought is all its turnover, a half.
    drifted = np.divide(drifted, value, out=np.zeros_like(drifted), where=value > 0)
    changes = 0.5 * np.abs(weights[1:] - drifted[:-1]).sum(axis=1)
    followed = (months.dt.offset_by("1mo").shift() == months).fill_null(value=False).to_numpy()[1:]
    there = followed & (held[1:, 0] > 0) & (held[:-1, 0] > 0)
    series = pl.Series([None, *np.where(there, changes, np.nan).tolist()], dtype=pl.Float64)
    return series.fill_nan(None)
