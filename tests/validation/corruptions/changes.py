"""What a corruption is, and the changes of raw tables that many of them are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from deepfactor.months import Month

AS_OF = Month.parse("2016-02")
THIS, BEFORE, AFTER = AS_OF.first_day, (AS_OF + -1).first_day, (AS_OF + 1).first_day

Tables = dict[str, pl.DataFrame]
Change = Callable[[Tables], Tables]

NEWEST = pl.col("month") == THIS
ANNOUNCED = pl.col("available_from") >= THIS
PRICES = ("close", "total_return_price")
AMOUNTS = ("net_income", "net_assets", "operating_profit", "total_assets", "total_liabilities", "operating_cash_flow")
FIGURES = (*AMOUNTS, "sales")


@dataclass(frozen=True)
class Stopped:
    """The month must not pass, and one of the faults must say this."""

    saying: str


@dataclass(frozen=True)
class SetAside:
    """The rows that were changed, and no others, must be set aside, and the month must pass."""

    table: str = "prices"


@dataclass(frozen=True)
class Reported:
    """The month passes with all rows, and the expectation of this name tells."""

    by: str


@dataclass(frozen=True)
class Corruption:
    """A change of a good month, and what must come of it."""

    name: str
    change: Change
    outcome: Stopped | SetAside | Reported


def months(first: int, last: int) -> pl.Expr:
    """Whether a row is of a month between two, counted from the as-of month."""
    return pl.col("month").is_between((AS_OF + first).first_day, (AS_OF + last).first_day)


def update(tables: Tables, name: str, where: pl.Expr, **values: pl.Expr | float | None) -> Tables:
    """Give columns of some rows other values."""
    changed = [pl.when(where).then(value).otherwise(pl.col(column)).alias(column) for column, value in values.items()]
    return tables | {name: tables[name].with_columns(changed)}


def scale(tables: Tables, name: str, where: pl.Expr, factor: float, *columns: str) -> Tables:
    """Multiply columns of some rows."""
    return update(tables, name, where, **{column: pl.col(column) * factor for column in columns})


def keep(tables: Tables, name: str, where: pl.Expr) -> Tables:
    """Keep some rows."""
    return tables | {name: tables[name].filter(where)}


def append(tables: Tables, name: str, rows: pl.DataFrame) -> Tables:
    """Add rows."""
    return tables | {name: tables[name].vstack(rows.select(tables[name].columns))}


def quiet(tables: Tables, count: int = 1, skip: int = 0) -> pl.Expr:
    """Whether a row is of one of the stocks that are there throughout, move little, and report the month's accounts."""
    prices = tables["prices"].sort("security_id", "month")
    move = (pl.col("total_return_price") / pl.col("total_return_price").shift(1)).log().abs().max()
    split = pl.col("shares_outstanding").n_unique()
    firms = tables["fundamentals"]
    reporting = firms.filter(ANNOUNCED, pl.col("net_assets") > 0.3 * pl.col("total_assets"))["security_id"]
    stocks = (
        prices.group_by("security_id")
        .agg(rows=pl.len(), move=move, split=split)
        .filter(pl.col("rows") == prices["month"].n_unique(), pl.col("security_id").is_in(reporting.implode()))
        .sort("split", "move", "security_id")["security_id"]
    )
    return pl.col("security_id").is_in(stocks.slice(skip, count).implode())


def every(count: int, start: int = 0, by: str = "security_id") -> pl.Expr:
    """Whether a row is of every so-manieth stock."""
    return pl.col(by).rank("dense").cast(pl.Int64) % count == start


def one(tables: Tables) -> pl.Expr:
    """Whether a row is of the quietest stock."""
    return quiet(tables)


def last_codes(tables: Tables) -> pl.Expr:
    """Whether a row is of the last tenth of the newest month's stocks, in the order of their codes."""
    codes = tables["prices"].filter(NEWEST)["security_id"].unique().sort()
    return pl.col("security_id") >= codes[round(0.9 * len(codes))]


def again(tables: Tables, name: str, older: int) -> Tables:
    """Deliver an older month under this month's date."""
    old = tables[name].filter(months(-older, -older)).with_columns(month=pl.lit(THIS))
    return append(keep(tables, name, ~NEWEST), name, old)


def other_codes(tables: Tables, name: str, where: pl.Expr, code: pl.Expr) -> Tables:
    """Write the codes of some rows in another way."""
    return update(tables, name, where, security_id=code)


def first_of(tables: Tables, name: str) -> pl.DataFrame:
    """The first row of the newest month."""
    return tables[name].filter(NEWEST).head(1)


def swapped(tables: Tables, name: str, where: pl.Expr, first: str, second: str) -> Tables:
    """Exchange two columns in some rows."""
    return update(tables, name, where, **{first: pl.col(second), second: pl.col(first)})


def split(tables: Tables, ratio: float, *, shares: bool = True, returns: bool = False) -> Tables:
    """Split a stock in the newest month; without its shares or with its total-return price the vendor is wrong."""
    where = NEWEST & one(tables)
    damaged = scale(tables, "prices", where, 1 / ratio, "close", *(["total_return_price"] if returns else []))
    if not shares:
        return scale(damaged, "prices", where, 1 / ratio, "market_value")
    return scale(damaged, "prices", where, ratio, "shares_outstanding", "volume")
