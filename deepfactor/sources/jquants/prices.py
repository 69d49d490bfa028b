"""Month-end prices, turnover and total returns, from the daily bars of two months."""

from __future__ import annotations

import polars as pl

from deepfactor.months import Month
from deepfactor.schemas import PRICES


def month_prices(month: Month, bars_before: pl.DataFrame, bars: pl.DataFrame, dividends: pl.DataFrame) -> pl.DataFrame:
    """Return the prices of a month, without shares.

    The close is the last one of the month: a stock that did not trade on the last session keeps the close of its last
    trade, and one that did not trade in the month has no row. The return runs from the last close of the month before
    to that close, so that it depends on two months only, and no later month changes it; without a close in the month
    before there is none.

    Parameters
    ----------
    month
        The month.
    bars_before, bars
        Columns of :data:`deepfactor.sources.jquants.endpoints.BARS`, of the month before and of the month.
    dividends
        As :func:`deepfactor.sources.jquants.dividends.known_dividends` gives them.

    Returns
    -------
    pl.DataFrame
        ``schemas.PRICES`` with ``shares_outstanding`` null, and beside it ``Code`` and ``day``, the last trade's.
    """
    turnover = bars.group_by("Code").agg(volume=pl.col("Vo").sum(), traded_value=pl.col("Va").sum())
    returns = _returns(last_trades(bars_before), last_trades(bars), pl.concat([bars_before, bars]), dividends)
    return (
        last_trades(bars)
        .join(turnover, on="Code")
        .join(returns, on="Code", how="left")
        .with_columns(
            pl.lit(month.first_day).alias("month"),
            pl.col("Code").alias("security_id"),
            *(pl.lit(None, dtype=pl.Float64).alias(name) for name in PRICES.columns if name not in _DELIVERED),
        )
        .select(*PRICES.columns, "Code", "day")
        .sort("Code")
    )


_DELIVERED = ("month", "security_id", "close", "total_return", "volume", "traded_value")


def last_trades(bars: pl.DataFrame) -> pl.DataFrame:
    """Return ``Code``, ``day`` and ``close`` of each stock's last trade."""
    traded = bars.filter(pl.col("C") > 0).sort("Code", "Date")
    return traded.group_by("Code", maintain_order=True).agg(day=pl.col("Date").last(), close=pl.col("C").last())


def splits_of(bars: pl.DataFrame) -> pl.DataFrame:
    """Return ``Code``, ``ExDate`` and ``AdjFactor`` of the days on which a stock's price was split or merged."""
    return bars.filter(pl.col("AdjFactor") > 0, pl.col("AdjFactor") != 1).select("Code", "AdjFactor", ExDate="Date")


def _returns(start: pl.DataFrame, end: pl.DataFrame, bars: pl.DataFrame, dividends: pl.DataFrame) -> pl.DataFrame:
    """Return ``Code`` and ``total_return``, daily returns compounded, each dividend reinvested on its ex-date.

    Without a trade on the ex-date, the next close is the first that lacks the dividend, and takes it.
    """
    spans = end.join(start.select("Code", before="day", close_before="close"), on="Code")
    within = (pl.col("ExDate") > pl.col("before")) & (pl.col("ExDate") <= pl.col("day"))
    splits = splits_of(bars)
    factor = spans.join(splits, on="Code").filter(within).group_by("Code").agg(factor=pl.col("AdjFactor").product())
    closes = bars.filter(pl.col("C") > 0).select("Code", "Date", taken_at="C", taken_on="Date").sort("Date")
    taken = (
        spans.join(dividends, on="Code")
        .filter(within)
        .sort("ExDate")
        .join_asof(closes, left_on="ExDate", right_on="Date", by="Code", strategy="forward", check_sortedness=False)
    )
    # Before the ex-date one share, after it 1 / factor of them: the dividend is one on each of the old ones.
    since = splits.select("Code", "AdjFactor", split="ExDate")
    shrunk = (
        taken.join(since, on="Code")
        .filter(pl.col("split").is_between("ExDate", "taken_on"))
        .group_by("Code", "ExDate")
        .agg(shrunk=pl.col("AdjFactor").product())
    )
    reinvested = (
        taken.join(shrunk, on=["Code", "ExDate"], how="left")
        .group_by("Code", "taken_on", "taken_at")
        .agg(paid=(pl.col("amount") * pl.col("shrunk").fill_null(1.0)).sum())
        .sort("taken_on")
        .group_by("Code", maintain_order=True)
        .agg(reinvested=(1 + pl.col("paid") / pl.col("taken_at")).product())
    )
    growth = pl.col("close") / (pl.col("close_before") * pl.col("factor").fill_null(1.0))
    return (
        spans.join(factor, on="Code", how="left")
        .join(reinvested, on="Code", how="left")
        .select("Code", total_return=growth * pl.col("reinvested").fill_null(1.0) - 1)
    )
