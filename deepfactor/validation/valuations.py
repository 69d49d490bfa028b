"""Whether a price level can be true beside the accounts of the firm."""

from __future__ import annotations

import math
from datetime import timedelta

import polars as pl

from deepfactor.validation.neighbours import begins, change, positive_log

# A record older than this is too old to be used (section 4 of the design).
_OLDEST_ACCOUNTS = timedelta(days=549)
# One month's ratio may be odd for a stock that is right; a year's median is not.
_FEWEST_RATIOS = 12
# Two annual accounts, so that one firm's bad year or one misread figure does not decide.
_FEWEST_MONTHS = 24
# The number of shares that market value and price imply does not change by more within a month unless it was wrong.
_OTHER_SHARES = math.log(4.0)
# Account / market value. All of a firm's lie beyond these at once, for two years, only if its price, or its number of
# shares, is on another scale. Measured on Japan 2010-2018: the dearest real stock had medians of .019 (net assets),
# .026 (sales), .028 (total assets) and .004 (income); the cheapest 4.9, 14 and 43.
_DEAREST = {"net_assets": 0.03, "sales": 0.03, "total_assets": 0.03, "net_income": 0.002}
_CHEAPEST = {"net_assets": 20.0, "sales": 5.0, "total_assets": 20.0}


def with_ratios(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Add ``value`` (market value) and ``ratio_<account>``, each account of the newest accounts / market value.

    ``prices`` must be sorted by ``security_id`` and month, and so is what is returned. An account that is zero or
    negative says nothing of the scale and gives null; of the income the size counts.
    """
    accounts = (
        fundamentals.select("security_id", "available_from", "period_end", *_DEAREST)
        .drop_nulls(["security_id", "available_from", "period_end"])
        .sort("available_from", "period_end")
    )
    value = pl.coalesce("market_value", pl.col("close") * pl.col("shares_outstanding"))
    joined = (
        prices.with_columns(value=pl.when(value > 0).then(value), known=pl.col("month").dt.month_end())
        .with_row_index("place")
        .sort("known", maintain_order=True)
        .join_asof(
            accounts,
            left_on="known",
            right_on="available_from",
            by="security_id",
            tolerance=_OLDEST_ACCOUNTS,
            check_sortedness=False,
        )
        .sort("place")
    )
    ratios = {f"ratio_{name}": _positive(name) / pl.col("value") for name in _DEAREST}
    return joined.with_columns(**ratios).drop("place", "known", "available_from", "period_end", *_DEAREST)


def valuation_facts(prices: pl.DataFrame) -> pl.DataFrame:
    """Return what the accounts say about the scale of each price.

    Parameters
    ----------
    prices
        Of :func:`with_ratios`, with ``run``, which numbers the price levels of a stock.

    Returns
    -------
    DataFrame
        One row for each of ``prices``, in the same order:

        - ``level_book_to_price``: median of net assets / market value while price level and number of shares last;
          null if seldom known.
        - ``scale_by_accounts``: factor by which all of the accounts lie beyond anything credible, or 1. Where no
          market value is known, it is that of the price level if all that is known of the level is incredible.
    """
    implied = positive_log(pl.col("value") / pl.col("close"))
    moved = change(implied, "level_id").abs() > _OTHER_SHARES
    numbered = prices.with_columns(level_id=(begins() | (pl.col("run") != pl.col("run").shift(1))).cum_sum())
    numbered = numbered.with_columns(shares_id=(begins("level_id") | moved.fill_null(value=False)).cum_sum())
    known = numbered.filter(pl.col("value").is_not_null())
    judged = (
        numbered.select("level_id", "shares_id", "value")
        .join(_judged(known), on="shares_id", how="left", maintain_order="left")
        .with_columns(whole=pl.col("own").min().over("level_id"))
    )
    return judged.select(
        "level_book_to_price",
        scale_by_accounts=pl.when(pl.col("value").is_not_null())
        .then("own")
        .otherwise("whole")
        .fill_null(1.0)
        .clip(lower_bound=1.0),
    )


def _judged(prices: pl.DataFrame) -> pl.DataFrame:
    """Return for each stretch of one number of shares what the accounts say of it."""
    return prices.group_by("shares_id").agg(
        level_book_to_price=_median("net_assets", _FEWEST_RATIOS),
        own=pl.max_horizontal(_beyond(dear=True), _beyond(dear=False)),
    )


def _positive(name: str) -> pl.Expr:
    size = pl.col(name).abs() if name == "net_income" else pl.col(name)
    return pl.when(size > 0).then(size)


def _median(name: str, fewest: int) -> pl.Expr:
    ratio = pl.col(f"ratio_{name}")
    return pl.when(ratio.count() >= fewest).then(ratio.median())


def _beyond(*, dear: bool) -> pl.Expr:
    """Return the smallest factor by which an account lies beyond its bound; below 1 if one does not."""
    bounds = _DEAREST if dear else _CHEAPEST
    ratios = {name: _median(name, _FEWEST_MONTHS) for name in bounds}
    factors = [bounds[name] / ratio if dear else ratio / bounds[name] for name, ratio in ratios.items()]
    return pl.when(ratios["net_assets"].is_not_null()).then(pl.min_horizontal(*factors))
