"""Accounts beside the same firm's other accounts: wrong units, figures delivered again, balances that do not add up."""

from __future__ import annotations

from functools import reduce

import polars as pl

from deepfactor.months import Month

# A unit mistake multiplies all of these at once; growth, losses and mergers never do so alike.
_SIZES = ("total_assets", "net_assets", "sales")
# Figures that two periods of a firm hardly share, even if one of them stays.
_IDENTITY = ("total_assets", "net_assets", "net_income", "sales")
_BALANCE_TOLERANCE = 0.05
# Of fewer accounts in a month neither their number nor a share of them says anything; each is judged by itself.
_FEWEST = 10


def account_facts(fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Return facts about each record of accounts.

    Parameters
    ----------
    fundamentals
        ``schemas.FUNDAMENTALS``.

    Returns
    -------
    DataFrame
        One row for each of ``fundamentals``, in the same order:

        - ``days_after_period``: from the end of the fiscal period to the announcement.
        - ``balance_gap``: what liabilities and net assets lack to assets, or exceed them by, over assets.
        - ``scale_gap``: factor (1 or more) by which assets, net assets and sales all lie off the firm's usual size, in
          the same direction; the smallest of the three. Of two records the older one is the usual size.
        - ``scale_change``: assets over those of the firm's record before; null for its first.
        - ``repeated``: whether assets, net assets, income and sales are all those of another period announced before.
        - ``first``: whether the firm has no record before; null within 18 months of the oldest record of all.
    """
    assets, stock = pl.col("total_assets"), "security_id"
    ordered = fundamentals.with_row_index("row").sort(stock, "available_from", "period_end", "row")
    deviations = [_off_usual(column) for column in _SIZES]
    same_sign = pl.all_horizontal(each > 0 for each in deviations) | pl.all_horizontal(each < 0 for each in deviations)
    smallest = pl.min_horizontal(each.abs() for each in deviations)
    known = reduce(lambda left, right: left & right, (pl.col(column).is_not_null() for column in _IDENTITY))
    first = pl.col("period_end").first().over(stock, *_IDENTITY)
    # Where the vendor's accounts begin, every firm's are its first.
    began = pl.col("available_from") > pl.col("available_from").min().dt.offset_by("18mo")
    return (
        ordered.with_columns(
            days_after_period=(pl.col("available_from") - pl.col("period_end")).dt.total_days(),
            balance_gap=pl.when(assets > 0).then(
                (assets - pl.col("total_liabilities") - pl.col("net_assets")).abs() / assets
            ),
            scale_gap=pl.when(pl.all_horizontal(each.is_not_null() for each in deviations)).then(
                pl.when(same_sign).then(smallest.exp()).otherwise(1.0)
            ),
            scale_change=_ratio_to_before("total_assets", stock),
            repeated=known & (pl.col("period_end") != first),
            first=pl.when(began).then(pl.int_range(pl.len()).over(stock) == 0),
        )
        .sort("row")
        .select("days_after_period", "balance_gap", "scale_gap", "scale_change", "repeated", "first")
    )


def account_months(fundamentals: pl.DataFrame, facts: pl.DataFrame, as_of: Month) -> pl.DataFrame:
    """Return facts about the accounts that became known in each month.

    Parameters
    ----------
    fundamentals, facts
        ``schemas.FUNDAMENTALS``, and :func:`account_facts` of it.
    as_of
        The month for which ``accounts_ratio`` is known.

    Returns
    -------
    DataFrame
        ``month``, ``accounts``; ``accounts_ratio``, how many there are for each one expected (the median of the same
        calendar month of the three years before; null where fewer than ten are); and, null for fewer than ten
        accounts, ``scale_change``, the median over firms, and the shares of the accounts that are a firm's first
        (``first_share``), are those of another period (``repeated_share``) or do not add up (``unbalanced_share``).
    """
    month = pl.col("available_from").dt.truncate("1mo").alias("month")
    by_month = (
        fundamentals.select(month)
        .hstack(facts)
        .group_by("month")
        .agg(
            accounts=pl.len(),
            scale_change=_of_many(pl.col("scale_change").median()),
            first_share=_of_many(pl.col("first").mean()),
            repeated_share=_of_many(pl.col("repeated").mean()),
            unbalanced_share=_of_many((pl.col("balance_gap") > _BALANCE_TOLERANCE).mean()),
        )
    )
    counts = dict(by_month.select("month", "accounts").iter_rows())
    expected = pl.Series([counts.get((as_of + -12 * years).first_day, 0) for years in (1, 2, 3)]).median()
    is_month = pl.col("month") == as_of.first_day
    ratio = pl.lit(None, pl.Float64)
    if isinstance(expected, float) and expected >= _FEWEST:
        ratio = pl.when(is_month).then(pl.col("accounts") / expected)
        # Without this row there would be nothing to judge where nothing was delivered.
        if as_of.first_day not in counts:
            absent = pl.DataFrame({"month": [as_of.first_day], "accounts": [0]})
            by_month = pl.concat([by_month, absent], how="diagonal_relaxed")
    return by_month.with_columns(accounts_ratio=ratio).sort("month")


def _of_many(statistic: pl.Expr) -> pl.Expr:
    return pl.when(pl.len() >= _FEWEST).then(statistic)


def _off_usual(column: str) -> pl.Expr:
    """Return the logarithm of a size over the firm's usual one; null where it is not positive."""
    size = pl.when(pl.col(column) > 0).then(pl.col(column).log())
    count = size.count()
    usual = pl.when(count > 2).then(size.median()).otherwise(size.drop_nulls().first())
    return size - usual.over("security_id")


def _ratio_to_before(column: str, stock: str) -> pl.Expr:
    size = pl.when(pl.col(column) > 0).then(column)
    return size / size.forward_fill().shift(1).over(stock)
