"""Price levels: which prices of a stock stand apart from its others by a jump that no return explains.

A vendor's wrong price is seldom alone: a scale is wrong for months, then corrected. So not the jump is judged, but the
level between jumps, against the level at which most of the stock's prices lie.
"""

from __future__ import annotations

import math

import polars as pl

# A change within a month by more than this factor may be a change of level; the suites decide from which size on.
JUMP = 4.0
# Two levels closer than this factor are the same one: a price that jumps and comes back seldom comes back exactly.
_SAME = math.log(2.0)
# A price after a longer pause is a new beginning, for instance a listing after a restructuring.
_LONGEST_PAUSE = 12
# A level this short between two like levels is a spike, not a stock that rose and fell.
_LONGEST_SPIKE = 3
# One month's book-to-price may be odd for a stock that is right; a year's median is not.
_FEWEST_RATIOS = 12
_PLAUSIBLE_BOOK_TO_PRICE = (0.01, 12.0)


def price_levels(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Return facts about the level of every price.

    Parameters
    ----------
    prices, fundamentals
        Raw tables.

    Returns
    -------
    DataFrame
        One row for each of ``prices``, in the same order:

        - ``rise_from_level``: factor by which the price lies off the stock's usual level, where a rise separates
          them (1: it does not). Nothing real rises twentyfold in a month.
        - ``fall_from_level``: the same where only a fall separates them, as for a stock that failed.
        - ``spike``: factor by which the price stands off the like levels before and after it, at most three months
          apart.
        - ``change``: factor by which it stands above, or below, the price before; null for the first.
        - ``level_book_to_price``: median net assets / market value over the level, null if seldom known.
    """
    ordered = prices.with_row_index("row").with_columns(_ordinal()).sort("security_id", "ordinal", "row")
    levelled = _with_level(_with_book_to_price(ordered, fundamentals))
    apart = (pl.col("level") - pl.col("usual")).abs()
    rising = pl.when(pl.col("level") > pl.col("usual")).then("usual_before").otherwise("usual_after")
    spike = pl.min_horizontal(pl.col("from_before").abs(), pl.col("from_after").abs())
    is_spike = (
        (pl.col("from_before").sign() == pl.col("from_after").sign())
        & ((pl.col("from_before") - pl.col("from_after")).abs() < _SAME)
        & (pl.col("level_length") <= _LONGEST_SPIKE)
    )
    return (
        levelled.with_columns(
            rise_from_level=pl.when(rising).then(apart.exp()).otherwise(1.0).fill_null(1.0),
            fall_from_level=pl.when(~rising).then(apart.exp()).otherwise(1.0).fill_null(1.0),
            spike=pl.when(is_spike).then(spike.exp()).otherwise(1.0).fill_null(1.0),
        )
        .sort("row")
        .select("rise_from_level", "fall_from_level", "spike", "change", "level_book_to_price")
    )


def _ordinal() -> pl.Expr:
    month = pl.col("month")
    return (month.dt.year().cast(pl.Int32) * 12 + month.dt.month()).alias("ordinal")


def _with_book_to_price(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Add ``book_to_price`` from the newest accounts of the last 18 months."""
    books = (
        fundamentals.select("security_id", "available_from", "period_end", book="net_assets")
        .drop_nulls()
        .sort("available_from", "period_end")
    )
    value = pl.coalesce("market_value", pl.col("close") * pl.col("shares_outstanding"))
    return (
        prices.with_columns(known=pl.col("month").dt.month_end(), value=value)
        .sort("known", maintain_order=True)
        .join_asof(
            books,
            left_on="known",
            right_on="available_from",
            by="security_id",
            tolerance="549d",
            check_sortedness=False,
        )
        .sort("security_id", "ordinal", "row")
        .with_columns(book_to_price=pl.when(pl.col("value") > 0).then(pl.col("book") / pl.col("value")))
    )


def _with_level(ordered: pl.DataFrame) -> pl.DataFrame:
    """Add the level of each price: the sum of the logarithms of all jumps so far; and how it compares.

    Prices that are not positive have no level; the one after is compared with the one before.
    """
    price = pl.col("total_return_price")
    given = pl.when(pl.col("total_return") > -1).then(pl.col("total_return").log1p())
    valid = ordered.filter((price > 0) | (price.is_null() & given.is_not_null()))
    stock = "security_id"
    change = pl.coalesce(price.log().diff().over(stock), given)
    paused = pl.col("ordinal").diff().over(stock) > _LONGEST_PAUSE
    jump = pl.when((change.abs() > math.log(JUMP)) & ~paused).then(change).otherwise(0.0).fill_null(0.0)
    levels = (
        valid.with_columns(jump=jump, change=change.abs().exp())
        .with_columns(level=pl.col("jump").cum_sum().over(stock), run=(pl.col("jump") != 0).cum_sum().over(stock))
        .with_columns(
            level_length=pl.len().over(stock, "run"),
            from_before=pl.col("jump").first().over(stock, "run"),
            level_book_to_price=_median_ratio().over(stock, "run"),
        )
        .with_columns(from_after=_next_jump())
        .with_columns(usual=_usual().over(stock))
        .with_columns(_usual_beside(stock))
    )
    facts = levels.select(
        "row",
        "change",
        "level",
        "usual",
        "level_length",
        "from_before",
        "from_after",
        "level_book_to_price",
        "usual_before",
        "usual_after",
    )
    return ordered.select("row").join(facts, on="row", how="left")


def _median_ratio() -> pl.Expr:
    ratio = pl.col("book_to_price")
    return pl.when(ratio.count() >= _FEWEST_RATIOS).then(ratio.median())


def _next_jump() -> pl.Expr:
    """Return how far the price lies off the level after its own, seen from there; null if there is none."""
    stock = "security_id"
    starts = pl.when(pl.col("jump") != 0).then(-pl.col("jump"))
    return starts.shift(-1).over(stock).fill_null(strategy="backward").over(stock)


def _usual() -> pl.Expr:
    """Return the level of most prices, leaving out those that the accounts contradict."""
    contradicted = ~pl.col("level_book_to_price").is_between(*_PLAUSIBLE_BOOK_TO_PRICE)
    level = pl.col("level")
    agreed = level.filter(~contradicted.fill_null(value=False))
    return pl.coalesce(agreed.median(), level.median())


def _usual_beside(stock: str) -> list[pl.Expr]:
    """Return whether the stock has prices at its usual level before, and after, each price."""
    usual = (pl.col("level") - pl.col("usual")).abs() < _SAME
    at = pl.when(usual).then(pl.col("ordinal"))
    return [
        (pl.col("ordinal") > at.min().over(stock)).alias("usual_before"),
        (pl.col("ordinal") < at.max().over(stock)).alias("usual_after"),
    ]
