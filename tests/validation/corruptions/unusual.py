"""Months that are unusual and right."""

from __future__ import annotations

import polars as pl

from tests.validation.corruptions.changes import (
    ANNOUNCED,
    FIGURES,
    NEWEST,
    PRICES,
    THIS,
    Change,
    Tables,
    append,
    every,
    keep,
    one,
    quiet,
    scale,
    split,
)
from tests.validation.corruptions.market import index_return


def index_of(tables: Tables, factor: float) -> Tables:
    """Move the whole market, its index too."""
    moved = scale(tables, "prices", NEWEST, factor, *PRICES, "market_value", "traded_value")
    return index_return(moved, (1.0 + pl.col("market_return")) * factor - 1.0)


def jump(tables: Tables, factor: float, trades: float) -> Tables:
    """Move one stock, with the trades to show for it."""
    moved = scale(tables, "prices", NEWEST & one(tables), factor, *PRICES, "market_value")
    traded = scale(moved, "prices", NEWEST & one(tables), trades, "volume")
    return scale(traded, "prices", NEWEST & one(tables), trades * factor, "traded_value")


def merger(tables: Tables) -> Tables:
    """Double a firm by new shares, and take the firm that it bought off the market."""
    bought = quiet(tables, skip=1)
    grown = scale(tables, "prices", NEWEST & one(tables), 2.0, "shares_outstanding", "market_value")
    gone = keep(grown, "prices", ~(NEWEST & bought))
    return keep(gone, "constituents", ~(NEWEST & bought)) if "constituents" in tables else gone


def listings(tables: Tables) -> Tables:
    """List as many new stocks as a tenth of the market."""
    fresh = tables["prices"].filter(NEWEST & every(10)).sort("security_id")
    taken = set(tables["prices"]["security_id"].to_list())
    codes = [code for code in (str(number) for number in range(1001, 9999, 13)) if code not in taken][: fresh.height]
    prices = [(1.3 * pl.col(name)).round(2).alias(name) for name in (*PRICES, "market_value", "traded_value")]
    return append(tables, "prices", fresh.with_columns(*prices, security_id=pl.Series(codes)))


def announced_again(tables: Tables, factor: float, period: str = "0mo") -> Tables:
    """Announce a firm's accounts once more in the month, with other figures or of another period."""
    firms = tables["fundamentals"]
    newest = firms.filter(one(tables), ~ANNOUNCED).sort("period_end").tail(1)
    figures = [pl.col(name) * factor for name in FIGURES]
    fresh = newest.with_columns(
        *figures, available_from=pl.lit(THIS).dt.offset_by("11d"), period_end=pl.col("period_end").dt.offset_by(period)
    )
    return append(tables, "fundamentals", fresh)


def suspended(tables: Tables) -> Tables:
    """Leave out stocks that did not trade in the month."""
    return keep(tables, "prices", ~(NEWEST & (quiet(tables) | quiet(tables, skip=3))))


# Months that are unusual and right: they pass with all of their rows.
UNUSUAL: dict[str, Change] = {
    "a crash of 25 %": lambda t: index_of(t, 0.75),
    "a rally of 20 %": lambda t: index_of(t, 1.2),
    "a split by ten": lambda t: split(t, 10.0),
    "ten shares joined into one": lambda t: split(t, 0.1),
    "a stock rises fivefold": lambda t: jump(t, 5.0, 8.0),
    "a firm fails and loses 95 %": lambda t: jump(t, 0.05, 10.0),
    "a large merger": merger,
    "a tenth of the market is listed at once": listings,
    "a short month with few trades": lambda t: scale(t, "prices", NEWEST, 0.4, "volume", "traded_value"),
    "stocks suspended": suspended,
    "a large restatement": lambda t: announced_again(t, 0.6),
    "another fiscal year": lambda t: announced_again(t, 1.1, "2mo"),
    "a third of the value paid as a dividend": lambda t: scale(
        t, "prices", NEWEST & one(t), 0.67, "close", "market_value", "traded_value"
    ),
    "twice the shares, sold to new owners": lambda t: scale(
        t, "prices", NEWEST & one(t), 2.0, "shares_outstanding", "market_value"
    ),
}
