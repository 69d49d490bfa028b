"""Stocks made by hand, for tests of what is found in their prices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from deepfactor.months import Month
from deepfactor.schemas import FUNDAMENTALS, PRICES

START = Month.parse("2005-01")
VOLUME, SHARES = 1e5, 1e6
NOTHING = FUNDAMENTALS.empty()


def stock(levels: Sequence[float | None], code: str = "1301", **columns: Sequence[float | None]) -> pl.DataFrame:
    """One stock from ``START`` on, a row a month; None: it skips the month. ``columns`` replace others."""
    kept = [n for n, level in enumerate(levels) if level is not None]
    price = [levels[n] for n in kept]
    volume = columns.get("volume", [VOLUME] * len(kept))
    shares = columns.get("shares_outstanding", [SHARES] * len(kept))
    close = columns.get("close", price)
    content = {
        "month": [(START + n).first_day for n in kept],
        "security_id": [code] * len(kept),
        "close": close,
        "total_return_price": price,
        "total_return": [None] * len(kept),
        "volume": volume,
        "traded_value": _product(close, volume),
        "shares_outstanding": shares,
        "market_value": _product(close, shares),
    }
    return pl.DataFrame(content | columns, schema=dict(PRICES.columns))


def bare(levels: Sequence[float | None], code: str = "1301") -> pl.DataFrame:
    """The same with prices only, so that nothing can witness for or against them."""
    unknown = ("volume", "traded_value", "shares_outstanding", "market_value")
    return stock(levels, code).with_columns(pl.lit(None, pl.Float64).alias(name) for name in unknown)


def accounts(years: int = 20, code: str = "1301", **figures: float) -> pl.DataFrame:
    """The same accounts every year, known from ``START`` on."""
    known = [(START + 12 * n).first_day for n in range(years)]
    content = {"security_id": [code] * years, "period_end": known, "available_from": known}
    given = {name: [figures.get(name)] * years for name in FUNDAMENTALS.columns if name not in content}
    return pl.DataFrame(content | given, schema=dict(FUNDAMENTALS.columns))


def walk(steps: Sequence[float]) -> list[float]:
    """Prices with these differences of logarithms."""
    levels, level = [], 0.0
    for step in steps:
        level += step
        levels.append(100.0 * math.exp(level))
    return levels


def _product(ones: Sequence[float | None], others: Sequence[float | None]) -> list[float | None]:
    return [None if one is None or other is None else one * other for one, other in zip(ones, others, strict=True)]
