"""Jumps of a price within a month, and what speaks for their being faults of the data.

A real jump leaves traces: the month's trades follow it, their number rises, the market value moves along. A fault has
no such traces, or is larger than any real move. The factors were measured on all jumps of about 3,700 Japanese stocks,
1999-2018.
"""

from __future__ import annotations

import math

import polars as pl

from deepfactor.validation.neighbours import change, positive_log

# The largest real move up was tenfold within a month; nothing real falls to a hundredth without being wound up.
_IMPOSSIBLE_RISE = math.log(20.0)
_IMPOSSIBLE_FALL = math.log(100.0)
# A smaller jump is judged only if the number of shares mirrors it.
_SMALLEST = math.log(1.8)
_JUDGED = math.log(2.5)
_LARGE = math.log(4.0)
_HUGE = math.log(8.0)
# A real jump, however late in the month, brings its own trades: its close was at most 0.70 of the jump (in logarithms)
# above the month's average traded price.
_ABOVE_TRADES = 0.72
# A real rise by more than 2.5 came with 1.8 times the usual volume or more; an unadjusted one with its inverse.
_INVERSE_VOLUME = 0.5
_HALF = math.log(2.0)
_USUAL_VOLUME = 12
_FEWEST_VOLUMES = 6
_FEWEST_AFTER = 3
_STILL = 0.25
# Share of a jump by which the close may lie off the month's trades if all of the month was traded at the new price.
_AT_ONCE = 0.1
_SOON = 0.2
# Quotes of half a year without trades are those of another source.
_LONGEST_IDLE = 6
# A price after a longer pause is a new beginning, for instance a listing after a restructuring.
LONGEST_PAUSE = 12


def find_jumps(prices: pl.DataFrame) -> pl.DataFrame:
    """Return the jumps of prices, with what speaks against them.

    Parameters
    ----------
    prices
        Prices that can be judged, sorted by stock and month, with ``series`` (numbering what can be compared),
        ``place`` (in the series), ``ordinal`` (of the month), ``level`` (logarithm of the total-return price) and
        ``value`` (market value).

    Returns
    -------
    DataFrame
        A row for each jump by a factor of 1.8 or more, in the same order: ``series``, ``place`` of the price after it,
        ``jump`` (difference of logarithms), whether it is a ``fault``, and whether it is the prices before that are on
        another scale (``new_scale``): shares were split or joined, or they are quotes of another source.
    """
    moved = prices.with_columns(jump=_change(pl.col("level")))
    jumped = moved.filter(pl.col("jump").abs() >= _SMALLEST)["series"].unique().implode()
    known = moved.filter(pl.col("series").is_in(jumped)).with_columns(
        above_trades=positive_log(pl.col("close") * pl.col("volume") / pl.col("traded_value")),
        idle=_idle(),
        value_change=_change(positive_log(pl.col("value"))),
        shares_change=_change(positive_log(_shares())),
        more=positive_log(pl.col("volume")) - positive_log(_usual_before()),
        more_after=positive_log(_usual_after()) - positive_log(_usual_before()),
    )
    return known.filter(pl.col("jump").abs() >= _SMALLEST).select(
        "series",
        "place",
        "jump",
        fault=pl.any_horizontal(
            _impossible(), _without_trades(), _inverse_volume(), _first_trades(), _mirrored(), _without_value()
        ),
        new_scale=pl.any_horizontal(_mirrored(), _inverse_volume(), _first_trades()),
    )


def _change(values: pl.Expr) -> pl.Expr:
    paused = change(pl.col("ordinal"), "series") > LONGEST_PAUSE
    return pl.when(~paused).then(change(values, "series"))


def _shares() -> pl.Expr:
    return pl.coalesce("shares_outstanding", pl.col("value") / pl.col("close"))


def _usual_before() -> pl.Expr:
    return _traded().rolling_median(_USUAL_VOLUME, min_samples=_FEWEST_VOLUMES).shift(1).over("series")


def _usual_after() -> pl.Expr:
    backwards = _traded().reverse().rolling_median(_USUAL_VOLUME, min_samples=_FEWEST_AFTER)
    return backwards.shift(1).reverse().over("series")


def _traded() -> pl.Expr:
    return pl.when(pl.col("volume") > 0).then(pl.col("volume"))


def _judged(size: float = _JUDGED) -> pl.Expr:
    return pl.col("jump").abs() >= size


def _impossible() -> pl.Expr:
    return ((pl.col("jump") > _IMPOSSIBLE_RISE) | (pl.col("jump") < -_IMPOSSIBLE_FALL)).fill_null(value=False)


def _without_trades() -> pl.Expr:
    """Return whether the month was traded at the price before, and only its close jumped."""
    return (_judged() & (pl.col("above_trades") / pl.col("jump") >= _ABOVE_TRADES)).fill_null(value=False)


def _inverse_volume() -> pl.Expr:
    """Return whether the volume moved against the price and stayed there, as where shares were split or joined.

    A crash has many trades too; so a fall counts only if the whole month was traded at the new price.
    """
    now, after = -pl.col("more") / pl.col("jump"), -pl.col("more_after") / pl.col("jump")
    against = (now >= _INVERSE_VOLUME) & (after >= _INVERSE_VOLUME)
    idler = (pl.col("more") <= 0.0) & (pl.col("more_after") <= -_HALF)
    rise = (pl.col("jump") >= _JUDGED) & (against | ((pl.col("jump") >= _HUGE) & idler))
    exactly = now.is_between(0.8, 1.25) & after.is_between(0.8, 1.25) & _at_once(_AT_ONCE)
    fall = (pl.col("jump") <= -_JUDGED) & (exactly | ((pl.col("jump") <= -_HUGE) & against & _at_once(_SOON)))
    return (rise | fall).fill_null(value=False)


def _at_once(share: float) -> pl.Expr:
    return (pl.col("above_trades") / pl.col("jump")).abs() <= share


def _idle() -> pl.Expr:
    """Return whether nothing was traded in any of the six months before."""
    untraded = (pl.col("volume") == 0).fill_null(value=False).cast(pl.Int32)
    return (untraded.rolling_sum(_LONGEST_IDLE).shift(1).over("series") == _LONGEST_IDLE).fill_null(value=False)


def _first_trades() -> pl.Expr:
    """Return whether the price jumped between quotes without trades and trades."""
    return (_judged(_LARGE) & pl.col("idle") & _at_once(_AT_ONCE)).fill_null(value=False)


def _mirrored() -> pl.Expr:
    """Return whether the number of shares undoes the jump: a split that the return price does not know of."""
    # A number of shares that is only implied by a market value is wrong wherever that value is late.
    size = pl.when(pl.col("shares_outstanding").is_not_null()).then(_SMALLEST).otherwise(_LARGE)
    undone = (pl.col("jump") + pl.col("shares_change")).abs() <= _STILL * pl.col("jump").abs()
    return ((pl.col("jump").abs() >= size) & undone).fill_null(value=False)


def _without_value() -> pl.Expr:
    """Return whether the market value stood still."""
    still = pl.col("value_change").abs() <= _STILL * pl.col("jump").abs()
    return (_judged(_LARGE) & still).fill_null(value=False)
