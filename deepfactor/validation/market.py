"""The market as a whole, month by month: what its prices say, and whether its index says the same."""

from __future__ import annotations

import math
from datetime import timedelta

import polars as pl

from deepfactor.months import Month, Window

# A record older than this is too old to be used (section 4 of the design).
_OLDEST_ACCOUNTS = timedelta(days=549)
# More than this within a month is rare enough for a stock that a hundred of them are a fault of the file.
_LARGE_MOVE = 2.0
# Dividends explain less than this between a close and a total-return price.
_RETURN_GAP = 0.2
_VALUE_TOLERANCE = 0.05
# A market value beyond three times net assets weighs no more, or a wrong price would be the market. On real Japanese
# prices this return has a correlation of .996 with TOPIX; without the bound wrong scales pull it down to .78.
_LARGEST_VALUE_TO_BOOK = 3.0
_RETURNS = ("weighted_return", "bounded_return")
_CORRELATION_MONTHS = 60
_FEWEST_MONTHS = 24


def price_months(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Return facts about each month's prices.

    Parameters
    ----------
    prices, fundamentals
        Raw tables.

    Returns
    -------
    DataFrame
        ``month``, and shares of its rows (0 to 1): with a close and a total return (``priced_share``), with a traded
        value (``traded_share``), with a market value (``valued_share``), with accounts of the last 18 months
        (``accounts_share``), whose return price is that of the month before (``unchanged_share``) or moved by more
        than a factor of two (``large_move_share``), whose total return differs by more than 20 % from the close's
        (``return_gap_share``), and whose market value differs by more than 5 % from close × shares
        (``value_gap_share``). ``trade_price_ratio`` is the median of close / (traded value / volume).
    """
    move, close_move = (_log_ratio(now, f"{now}_before") for now in ("total_return_price", "close"))
    returned = pl.any_horizontal(pl.col("total_return_price", "total_return").is_not_null())
    valued = pl.any_horizontal(pl.col("market_value", "shares_outstanding").is_not_null())
    gap = _log_ratio("market_value", pl.col("close") * pl.col("shares_outstanding")).abs()
    traded = _log_ratio("close", pl.col("traded_value") / pl.when(pl.col("volume") > 0).then("volume"))
    return (
        _with_accounts(_with_month_before(prices), fundamentals)
        .group_by("month")
        .agg(
            priced_share=(pl.col("close").is_not_null() & returned).mean(),
            traded_share=(pl.col("traded_value") > 0).fill_null(value=False).mean(),
            valued_share=valued.mean(),
            accounts_share=pl.col("newest").is_not_null().mean(),
            unchanged_share=(pl.col("total_return_price") == pl.col("total_return_price_before")).mean(),
            large_move_share=(move.abs() > math.log(_LARGE_MOVE)).mean(),
            return_gap_share=((move - close_move).abs() > math.log1p(_RETURN_GAP)).mean(),
            value_gap_share=(gap > math.log1p(_VALUE_TOLERANCE)).mean(),
            trade_price_ratio=traded.median().exp(),
        )
    )


def index_months(market: pl.DataFrame, prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Return facts about each month's index return and rate.

    Parameters
    ----------
    market, prices, fundamentals
        Raw tables; prices and accounts without the rows set aside.

    Returns
    -------
    DataFrame
        ``month``; ``rows`` of the month and ``returns``, how many of them have a market return; ``index_gap``, market
        return less the stocks' own (the one of :func:`weighted_returns` that is nearer in most months), and
        ``index_correlation`` of the two over the last 60 months; ``repeats``, other months with the same return, 0 left
        out; ``rate_change``, of the risk-free rate against the month before.
    """
    once = market.unique("month", keep="first").sort("month")
    beside = once.join(weighted_returns(prices, fundamentals), on="month", how="left", maintain_order="left")
    gaps = beside.select((pl.col(name) - pl.col("market_return")).abs().median() for name in _RETURNS).row(0)
    # One choice for all months: the better one of each month would forgive a wrong index.
    usual, bounded = (math.inf if gap is None else gap for gap in gaps)
    chosen = _RETURNS[0] if usual <= bounded else _RETURNS[1]
    change = pl.col("risk_free_rate") - pl.col("risk_free_rate").shift(1)
    return (
        beside.with_columns(
            index_gap=pl.col("market_return") - pl.col(chosen),
            index_correlation=_rolling_correlation("market_return", chosen),
            repeats=pl.when(pl.col("market_return") != 0).then(pl.len().over("market_return") - 1),
            rate_change=pl.when(pl.col("month").dt.offset_by("-1mo") == pl.col("month").shift(1)).then(change),
        )
        .join(market.group_by("month").agg(rows=pl.len(), returns=pl.col("market_return").count()), on="month")
        .select("month", "rows", "returns", "index_gap", "index_correlation", "repeats", "rate_change")
    )


def weighted_returns(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Return the stocks' return by month, weighted by their value in the month before.

    Returns
    -------
    DataFrame
        ``month``; ``weighted_return``, by market value; ``bounded_return``, by market value but at most three times net
        assets, without what doubled or halved. The first is exact where all prices are right, the second holds where
        some are wrong by large factors. Null where fewer than half of the stocks have such a value.
    """
    value = pl.coalesce("market_value", pl.col("close") * pl.col("shares_outstanding"))
    positive = pl.when(value > 0).then(value)
    bound = pl.when(pl.col("book") > 0).then(_LARGEST_VALUE_TO_BOOK * pl.col("book"))
    bounded = pl.when(bound.is_not_null()).then(pl.min_horizontal(positive, bound))
    weighed = _with_accounts(prices, fundamentals).select(*prices.columns, value=positive, bounded=bounded)
    given = pl.when(pl.col("total_return") > -1).then(pl.col("total_return").log1p())
    move = pl.coalesce(given, _log_ratio("total_return_price", "total_return_price_before"))
    moved = _with_month_before(weighed).with_columns(move=move).filter(pl.col("move").is_not_null())
    small = pl.col("move").abs() <= math.log(_LARGE_MOVE)
    return moved.group_by("month").agg(
        weighted_return=_weighted(pl.col("value_before")),
        bounded_return=_weighted(pl.when(small).then("bounded_before")),
    )


def _weighted(weight: pl.Expr) -> pl.Expr:
    simple = pl.col("move").exp() - 1
    mean = (weight * simple).sum() / pl.when(weight.sum() > 0).then(weight.sum())
    return pl.when(weight.count() * 2 >= pl.len()).then(mean)


def market_growth(market: pl.DataFrame, window: Window) -> dict[Month, float]:
    """Return how far the index stands above the window's first month; a month without a return stands still."""
    returns = dict(market.select("month", "market_return").iter_rows())
    level, levels = 1.0, {}
    for month in window.history:
        level *= 1.0 + max(returns.get(month.first_day) or 0.0, -0.9)
        levels[month] = level
    return levels


def _rolling_correlation(first: str, second: str) -> pl.Expr:
    both = pl.col(first).is_not_null() & pl.col(second).is_not_null()
    pair = [pl.when(both).then(name) for name in (first, second)]
    correlation = pl.rolling_corr(*pair, window_size=_CORRELATION_MONTHS, min_samples=_FEWEST_MONTHS)
    return pl.when(correlation.is_finite()).then(correlation)


def _log_ratio(numerator: str, denominator: str | pl.Expr) -> pl.Expr:
    """Return the logarithm of a ratio of positive values, else null."""
    above, below = pl.col(numerator), pl.col(denominator) if isinstance(denominator, str) else denominator
    return pl.when((above > 0) & (below > 0)).then((above / below).log())


def _with_month_before(prices: pl.DataFrame) -> pl.DataFrame:
    """Add the columns of the calendar month before, each with ``_before`` to its name; null if there is none."""
    before = prices.with_columns(pl.col("month").dt.offset_by("1mo"))
    # A stock that stands twice in a month is reported as such; here it must not multiply rows.
    once = before.unique(["security_id", "month"], keep="first", maintain_order=True)
    return prices.join(once, on=["security_id", "month"], how="left", maintain_order="left", suffix="_before")


def _with_accounts(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Add ``newest`` and ``book``, the day and the net assets of the newest accounts known by the end of the month.

    Both are null if the accounts are too old.
    """
    known = fundamentals.select("security_id", "available_from", newest="available_from", book="net_assets")
    return (
        prices.with_columns(end=pl.col("month").dt.month_end())
        .sort("end")
        .join_asof(
            known.drop_nulls(["security_id", "available_from"]).sort("available_from"),
            left_on="end",
            right_on="available_from",
            by="security_id",
            tolerance=_OLDEST_ACCOUNTS,
            check_sortedness=False,
        )
    )
