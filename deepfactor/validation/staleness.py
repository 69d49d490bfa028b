"""Prices that are not prices: quotes carried on while nothing is traded."""

from __future__ import annotations

import polars as pl

from deepfactor.validation.neighbours import begins

# Adjusting a price back for later dividends moves its last digits.
_SAME = 1e-6


def staleness(prices: pl.DataFrame) -> pl.DataFrame:
    """Return for how long each price has stood unchanged.

    Parameters
    ----------
    prices
        Raw table, sorted by ``security_id`` and month.

    Returns
    -------
    DataFrame
        One row for each of ``prices``, in the same order:

        - ``untraded_months``: number of months without any trade among those over which the close (where there is
          none, the return price) stays the same, before and after; 0 where the stock trades, or where its volume is
          not known.
        - ``unchanged_months``: the same for months with trades; 0 where it does not trade.
    """
    same = pl.coalesce(_kept("close"), _kept("total_return_price"), pl.col("total_return") == 0.0)
    same = same.fill_null(value=False) & ~begins()
    return prices.with_columns(stretch=(~same).cum_sum()).select(
        untraded_months=_count(pl.col("volume") == 0), unchanged_months=_count(pl.col("volume") > 0)
    )


def _kept(name: str) -> pl.Expr:
    before = pl.col(name).shift(1)
    return (pl.col(name) - before).abs() <= _SAME * before.abs()


def _count(condition: pl.Expr) -> pl.Expr:
    known = condition.fill_null(value=False)
    return pl.when(known).then(known.sum().over("stretch")).otherwise(0).cast(pl.Int64)
