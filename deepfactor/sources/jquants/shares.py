"""Shares outstanding at a day, from the newest statement known then and the splits since."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

# A split takes effect two or three sessions after its ex-date; over New Year that is a week.
_SETTLEMENT = timedelta(days=7)


def share_counts(statements: pl.DataFrame) -> pl.DataFrame:
    """Return the share counts that statements report, issued less treasury.

    Parameters
    ----------
    statements
        Columns of :data:`deepfactor.sources.jquants.endpoints.STATEMENTS` and ``available_from``.

    Returns
    -------
    pl.DataFrame
        ``Code``, ``period_end``, ``disclosed``, ``DiscNo``, ``available_from``, ``shares``; oldest first.
    """
    return (
        statements.select(
            "Code",
            "DiscNo",
            "available_from",
            period_end="CurPerEn",
            disclosed="DiscDate",
            shares=pl.col("ShOutFY") - pl.col("TrShFY").fill_null(0.0),
        )
        .filter(pl.col("shares") > 0, pl.col("period_end").is_not_null())
        .sort("period_end", "disclosed", "DiscNo")
    )


def shares_outstanding(counts: pl.DataFrame, splits: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Return each stock's shares on the day of its price.

    A statement's count contains a split if its period ended after the split had taken effect, and does not if it was
    published before the ex-date. In between, companies do either (a split on the first day of the new year is often
    in the old year's count): what is nearer to the count before decides.

    Parameters
    ----------
    counts
        As :func:`share_counts` gives them, only those that were known.
    splits
        ``Code``, ``ExDate``, ``AdjFactor`` (.5 where one share becomes two).
    prices
        ``Code`` and ``day``.

    Returns
    -------
    pl.DataFrame
        ``Code``, ``shares_outstanding``.
    """
    newest = counts.group_by("Code", maintain_order=True).last()
    before = (
        counts.join(newest.select("Code", newest_end="period_end"), on="Code")
        .filter(pl.col("period_end") < pl.col("newest_end"))
        .sort("period_end", "disclosed", "DiscNo")
        .group_by("Code", maintain_order=True)
        .agg(shares_before=pl.col("shares").last())
    )
    current = newest.join(before, on="Code", how="left").join(prices.select("Code", "day"), on="Code")
    since = (
        current.join(splits, on="Code")
        .filter(pl.col("ExDate") <= pl.col("day"), ~_contained())
        .group_by("Code")
        .agg(factor=pl.col("AdjFactor").product())
    )
    return current.join(since, on="Code", how="left").select(
        "Code", shares_outstanding=pl.col("shares") / pl.col("factor").fill_null(1.0)
    )


def _contained() -> pl.Expr:
    """Tell whether a count contains a split."""
    growth = (pl.col("shares") / pl.col("shares_before")).log()
    split = -pl.col("AdjFactor").log()
    looks_contained = ((growth - split).abs() < growth.abs()).fill_null(pl.col("ExDate") <= pl.col("period_end"))
    return (
        pl.when(pl.col("ExDate") <= pl.col("period_end") - _SETTLEMENT)
        .then(pl.lit(value=True))
        .when(pl.col("ExDate") > pl.col("disclosed"))
        .then(pl.lit(value=False))
        .otherwise(looks_contained)
    )
