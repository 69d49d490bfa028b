"""Columns of one row that contradict each other, which a real move never does.

Each pair of columns has a ratio that real events change for good (a split changes close / return price, an issue of
shares market value / close). A ratio that jumps and comes back, or jumps in the newest month without anything that
explains it, is a fault of that row.
"""

from __future__ import annotations

import math

import polars as pl

from deepfactor.validation.neighbours import change, neighbour, positive_log

# As for prices: from this factor on, and back within three months.
_LARGE = math.log(4.0)
_SAME = math.log(2.0)
_LONGEST = 3
# The nearest right rows of each row of so few wrong ones: so many rows before, and after (negative).
_SIDES = [(ahead, ahead - length - 1) for length in range(1, _LONGEST + 1) for ahead in range(1, length + 1)]
# Closes of neighbouring months that differ by less are on one scale.
_ONE_SCALE = math.log(1.25)
# A merger multiplies the market value by less within a month.
_LARGEST_MERGER = math.log(20.0)
# Volume or traded value in thousands; a single wrong day makes less.
_OTHER_UNIT = math.log(20.0)


def contradictions(prices: pl.DataFrame) -> pl.DataFrame:
    """Return how far the columns of each row contradict each other.

    Parameters
    ----------
    prices
        Raw table with ``value`` (market value) and ``level`` (logarithm of the total-return price, or of one made of
        returns), sorted by ``security_id`` and month.

    Returns
    -------
    DataFrame
        One row for each of ``prices``, in the same order:

        - ``contradiction``: the largest factor by which a ratio of close, return price, market value and number of
          shares stands off those before and after it; in the newest month off that before, if nothing explains it;
          else 1.
        - ``odd_trades``: factor by which close × volume / traded value lies off 1 while the price does not move, else
          1; counted from a factor of 20 on.
    """
    ratios = {
        "adjustment": positive_log(pl.col("close")) - pl.col("level"),
        "implied_shares": positive_log(pl.col("value") / pl.col("close")),
        "shares": positive_log(pl.col("shares_outstanding")),
    }
    newest = pl.col("month") == pl.col("month").max()
    known = prices.with_columns(
        **ratios, newest=newest, price=positive_log(pl.col("close")), worth=positive_log(pl.col("value"))
    )
    returning = [*map(_off_both_sides, ratios), _off_around_a_split()]
    return known.select(
        contradiction=pl.max_horizontal(*returning, *_newest(), pl.lit(0.0)).exp(),
        odd_trades=_odd_trades().exp(),
    )


def _off_both_sides(name: str) -> pl.Expr:
    """Return by how much a value stands off both sides, if it does for at most three months and these agree."""
    return pl.max_horizontal(_off(pl.col(name), *sides) for sides in _SIDES)


def _off_around_a_split() -> pl.Expr:
    """Return the same of a close beside a split, which changes close × shares as little as the return price.

    The close must be on neither side's scale: else it is the number of shares that is late, or early.
    """
    close = pl.col("adjustment")
    found = []
    for before, after in _SIDES:
        apart = [(close - neighbour(close, side)).abs() > _ONE_SCALE for side in (before, after)]
        found.append(pl.when(pl.all_horizontal(apart)).then(_off(close + pl.col("shares"), before, after)))
    return pl.max_horizontal(found)


def _off(value: pl.Expr, before: int, after: int) -> pl.Expr:
    """Return by how much a value stands off two others that agree; null if it hardly does."""
    one, other = neighbour(value, before), neighbour(value, after)
    least = pl.min_horizontal((value - one).abs(), (value - other).abs())
    returns = ((one - other).abs() < _SAME) & ((value > one) == (value > other))
    return pl.when(returns & (least > _LARGE)).then(least)


def _newest() -> list[pl.Expr]:
    """Return by how much a ratio of the newest month stands off the month before without an explanation."""
    moved = {name: change(pl.col(name)) for name in ("adjustment", "implied_shares", "shares", "worth", "price")}
    adjusted = moved["adjustment"]
    undone = {
        name: ((adjusted + moved[name]).abs() < _SAME).fill_null(value=False) for name in ("shares", "implied_shares")
    }
    # A market value that stands still beside a new close is a split's, unless the month was traded at the old price.
    followed = (_above_trades().abs() < adjusted.abs() / 2).fill_null(moved["shares"].is_null())
    split = undone["shares"] | (undone["implied_shares"] & followed)
    # Without a value nothing tells a wrong close from a split.
    told = pl.any_horizontal(moved["implied_shares"].is_not_null(), moved["shares"].is_not_null())
    grown = (moved["worth"] - moved["price"] + adjusted.fill_null(0.0)).abs()
    odd_close = (adjusted.abs() > _LARGE) & ~split & told & ~_back(pl.col("adjustment"))
    odd_value = (grown > _LARGEST_MERGER) & ~_back(pl.col("implied_shares") + pl.col("adjustment").fill_null(0.0))
    return [
        pl.when(pl.col("newest") & odd_close).then(adjusted.abs()).otherwise(0.0),
        pl.when(pl.col("newest") & odd_value).then(grown).otherwise(0.0),
    ]


def _back(value: pl.Expr) -> pl.Expr:
    """Return whether a month agrees with one before the last few, so that it is these that are wrong."""
    agrees = [(value - neighbour(value, ago)).abs() < _SAME for ago in range(2, _LONGEST + 2)]
    return pl.any_horizontal(agrees).fill_null(value=False)


def _above_trades() -> pl.Expr:
    """Return by how much the close lies above the month's average traded price."""
    return positive_log(pl.col("close") * pl.col("volume") / pl.col("traded_value"))


def _odd_trades() -> pl.Expr:
    trades = _above_trades().abs()
    moves = change(pl.col("price")).abs()
    still = pl.max_horizontal(moves.fill_null(0.0), moves.shift(-1).fill_null(0.0)) < _SAME
    return pl.when(still & (trades > _OTHER_UNIT)).then(trades).otherwise(0.0)
