"""Ways in which a month's delivery goes wrong, and months that are unusual and right.

Each is a small pure function of a good month's raw tables, with what must come of it.
"""

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


def last_codes(tables: Tables) -> pl.Expr:
    """Whether a row is of the last tenth of the newest month's stocks, in the order of their codes."""
    codes = tables["prices"].filter(NEWEST)["security_id"].unique().sort()
    return pl.col("security_id") >= codes[round(0.9 * len(codes))]


def one(tables: Tables) -> pl.Expr:
    """Whether a row is of the quietest stock."""
    return quiet(tables)


def again(tables: Tables, name: str, older: int) -> Tables:
    """Deliver an older month under this month's date."""
    old = tables[name].filter(months(-older, -older)).with_columns(month=pl.lit(THIS))
    return append(keep(tables, name, ~NEWEST), name, old)


def other_codes(tables: Tables, name: str, where: pl.Expr, code: pl.Expr) -> Tables:
    """Write the codes of some rows in another way."""
    return update(tables, name, where, security_id=code)


def shifted_codes(tables: Tables) -> Tables:
    """Shift the codes of the month by one row."""
    newest = tables["prices"].filter(NEWEST).sort("security_id")
    codes = newest["security_id"]
    return append(
        keep(tables, "prices", ~NEWEST), "prices", newest.with_columns(security_id=pl.concat([codes[1:], codes[:1]]))
    )


def repeated_accounts(tables: Tables, where: pl.Expr) -> Tables:
    """Give the month's accounts of some firms the figures of their accounts before."""
    ordered = tables["fundamentals"].with_row_index("n").sort("security_id", "period_end", "available_from")
    older = {name: pl.col(name).shift(1).over("security_id") for name in FIGURES}
    changed = [pl.when(ANNOUNCED & where).then(value).otherwise(name).alias(name) for name, value in older.items()]
    return tables | {"fundamentals": ordered.with_columns(changed).sort("n").drop("n")}


def swapped(tables: Tables, name: str, where: pl.Expr, first: str, second: str) -> Tables:
    """Exchange two columns in some rows."""
    return update(tables, name, where, **{first: pl.col(second), second: pl.col(first)})


def first_of(tables: Tables, name: str) -> pl.DataFrame:
    """The first row of the newest month."""
    return tables[name].filter(NEWEST).head(1)


def split(tables: Tables, ratio: float, *, shares: bool = True, returns: bool = False) -> Tables:
    """Split a stock in the newest month; without its shares or with its total-return price the vendor is wrong."""
    where = NEWEST & one(tables)
    damaged = scale(tables, "prices", where, 1 / ratio, "close", *(["total_return_price"] if returns else []))
    if not shares:
        return scale(damaged, "prices", where, 1 / ratio, "market_value")
    return scale(damaged, "prices", where, ratio, "shares_outstanding", "volume")


def _prices(tables: Tables, where: pl.Expr, factor: float) -> Tables:
    return scale(tables, "prices", where, factor, *PRICES)


def _index(tables: Tables, value: pl.Expr, where: pl.Expr = NEWEST) -> Tables:
    ordered = tables["market"].sort("month")
    return update(tables | {"market": ordered}, "market", where, market_return=value)


def _accounts(tables: Tables, where: pl.Expr, factor: float, *columns: str) -> Tables:
    return scale(tables, "fundamentals", where, factor, *(columns or FIGURES))


def _another_market(tables: Tables) -> Tables:
    code = pl.format("X{}", "security_id")
    return append(tables, "prices", tables["prices"].filter(NEWEST & every(2)).with_columns(security_id=code))


DAMAGED_PRICES = [
    Corruption("the month is missing", lambda t: keep(t, "prices", ~NEWEST), Stopped("the month has no prices")),
    Corruption(
        "an older month is missing",
        lambda t: keep(t, "prices", ~months(-30, -30)),
        Stopped("an older month has no prices"),
    ),
    Corruption(
        "a stock stands twice", lambda t: append(t, "prices", first_of(t, "prices")), Stopped("stands twice in a month")
    ),
    Corruption(
        "a stock stands twice with two prices",
        lambda t: append(t, "prices", first_of(t, "prices").with_columns(close=pl.col("close") * 1.01)),
        Stopped("stands twice in a month"),
    ),
    Corruption(
        "the month stands twice",
        lambda t: append(t, "prices", t["prices"].filter(NEWEST)),
        Stopped("stands twice in a month"),
    ),
    Corruption(
        "a quarter of the stocks is missing",
        lambda t: keep(t, "prices", ~(NEWEST & every(4))),
        Stopped("fewer than 80 % of the month before"),
    ),
    Corruption(
        "a twentieth of the stocks is missing",
        lambda t: keep(t, "prices", ~(NEWEST & every(20))),
        Reported("few stocks gone"),
    ),
    Corruption(
        "all codes that begin with 9 are missing",
        lambda t: keep(t, "prices", ~(NEWEST & pl.col("security_id").str.starts_with("9"))),
        Stopped("a run of neighbouring codes is gone"),
    ),
    Corruption(
        "the file ends after nine tenths",
        lambda t: keep(t, "prices", ~(NEWEST & last_codes(t))),
        Stopped("a run of neighbouring codes is gone"),
    ),
    Corruption("last month's prices again", lambda t: again(t, "prices", 1), Stopped("the file was delivered again")),
    Corruption("last year's prices again", lambda t: again(t, "prices", 12), Stopped("an old file was delivered")),
    Corruption("prices of three years ago", lambda t: again(t, "prices", 36), Stopped("an old file was delivered")),
    Corruption(
        "an older month was delivered again",
        lambda t: append(
            keep(t, "prices", ~months(-20, -20)),
            "prices",
            t["prices"].filter(months(-21, -21)).with_columns(month=pl.lit((AS_OF + -20).first_day)),
        ),
        Reported("prices are new, in history"),
    ),
    Corruption("codes shifted by one row", shifted_codes, Stopped("doubled or halved")),
    Corruption(
        "close and total-return price exchanged",
        lambda t: swapped(t, "prices", NEWEST, *PRICES),
        Stopped("a fifth of the stocks have a total return that their close does not"),
    ),
    Corruption("all prices × 1,000", lambda t: _prices(t, NEWEST, 1e3), Stopped("are allowed")),
    Corruption("all prices / 1,000", lambda t: _prices(t, NEWEST, 1e-3), Stopped("are allowed")),
    Corruption("all prices × 10", lambda t: _prices(t, NEWEST, 10.0), Stopped("another unit")),
    Corruption("all prices in dollars", lambda t: _prices(t, NEWEST, 1 / 110), Stopped("another unit")),
    Corruption("half of the prices × 1,000", lambda t: _prices(t, NEWEST & every(2), 1e3), Stopped("are allowed")),
    Corruption("all prices negative", lambda t: _prices(t, NEWEST, -1.0), Stopped("the price is zero or negative")),
    Corruption("all prices zero", lambda t: _prices(t, NEWEST, 0.0), Stopped("the price is zero or negative")),
    Corruption(
        "total-return prices of another base",
        lambda t: scale(t, "prices", NEWEST, 1.5, "total_return_price"),
        Stopped("a fifth of the stocks have a total return that their close does not"),
    ),
    Corruption(
        "3 % of the closes are missing",
        lambda t: update(t, "prices", NEWEST & every(33), close=None),
        Reported("no values lost"),
    ),
    Corruption(
        "a tenth of the closes is missing",
        lambda t: update(t, "prices", NEWEST & every(10), close=None),
        Stopped("lack a price or a total return"),
    ),
    Corruption(
        "half of the total-return prices is missing",
        lambda t: update(t, "prices", NEWEST & every(2), total_return_price=None),
        Stopped("lack a price or a total return"),
    ),
    Corruption(
        "a close that is not a number",
        lambda t: update(t, "prices", NEWEST & one(t), close=float("nan")),
        Stopped("NaN or infinite values"),
    ),
    Corruption(
        "an infinite close",
        lambda t: update(t, "prices", NEWEST & one(t), close=float("inf")),
        Stopped("NaN or infinite values"),
    ),
    Corruption("volume in thousands", lambda t: scale(t, "prices", NEWEST, 1e-3, "volume"), Stopped("is not a price")),
    Corruption(
        "traded value in millions",
        lambda t: scale(t, "prices", NEWEST, 1e-6, "traded_value"),
        Stopped("is not a price"),
    ),
    Corruption(
        "volume and traded value in thousands",
        lambda t: scale(t, "prices", NEWEST, 1e-3, "volume", "traded_value"),
        Stopped("another unit"),
    ),
    Corruption(
        "market value in millions",
        lambda t: scale(t, "prices", NEWEST, 1e-6, "market_value"),
        Stopped("market values differ from close × shares"),
    ),
    Corruption(
        "shares in thousands, and market values with them",
        lambda t: scale(t, "prices", NEWEST, 1e-3, "shares_outstanding", "market_value"),
        Stopped("another unit"),
    ),
    Corruption(
        "no market values",
        lambda t: update(t, "prices", NEWEST, market_value=None, shares_outstanding=None),
        Stopped("have a market value or a number of shares"),
    ),
    Corruption(
        "nothing traded at all",
        lambda t: update(t, "prices", NEWEST, volume=0.0, traded_value=0.0),
        Stopped("values are zero"),
    ),
    Corruption(
        "the volumes of the month before",
        lambda t: tables_with_older(t, "volume", "traded_value"),
        Stopped("half of a column's values are those of the month before"),
    ),
    Corruption(
        "a price after the month",
        lambda t: append(t, "prices", first_of(t, "prices").with_columns(month=pl.lit(AFTER))),
        Stopped("became known after the as-of month"),
    ),
    Corruption("half a market more", _another_market, Reported("few new stocks")),
    Corruption(
        "codes with a prefix",
        lambda t: other_codes(t, "prices", NEWEST, pl.format("T{}", "security_id")),
        Stopped("another market, or codes of another form"),
    ),
    Corruption(
        "a code without its zero",
        lambda t: other_codes(t, "prices", NEWEST & one(t), pl.col("security_id").str.slice(1)),
        Reported("codes of a known form"),
    ),
    Corruption(
        "a row without a code",
        lambda t: update(t, "prices", NEWEST & one(t), security_id=None),
        Stopped("no security_id"),
    ),
    Corruption(
        "a column is missing", lambda t: t | {"prices": t["prices"].drop("volume")}, Stopped("a column is missing")
    ),
    Corruption(
        "numbers as text",
        lambda t: t | {"prices": t["prices"].with_columns(pl.col("close").cast(pl.String))},
        Stopped("a column is missing or of another type"),
    ),
]


def tables_with_older(tables: Tables, *columns: str) -> Tables:
    """Give columns of the newest month the values of the month before."""
    ordered = tables["prices"].sort("security_id", "month")
    older = {name: pl.col(name).shift(1).over("security_id") for name in columns}
    return update(tables | {"prices": ordered}, "prices", NEWEST, **older)


SINGLE_PRICES = [
    Corruption("× 1,000 in the newest month", lambda t: _prices(t, NEWEST & one(t), 1e3), SetAside()),
    Corruption("/ 1,000 in the newest month", lambda t: _prices(t, NEWEST & one(t), 1e-3), SetAside()),
    Corruption("× 1,000 in an old month", lambda t: _prices(t, months(-30, -30) & one(t), 1e3), SetAside()),
    Corruption("× 1,000 for three months", lambda t: _prices(t, months(-2, 0) & one(t), 1e3), SetAside()),
    Corruption("/ 1,000 for half a year", lambda t: _prices(t, months(-40, -35) & one(t), 1e-3), SetAside()),
    Corruption("× 10 and back", lambda t: _prices(t, months(-20, -20) & one(t), 10.0), SetAside()),
    Corruption("a negative price", lambda t: _prices(t, NEWEST & one(t), -1.0), SetAside()),
    Corruption("a price of zero", lambda t: _prices(t, NEWEST & one(t), 0.0), SetAside()),
    Corruption("a negative volume", lambda t: scale(t, "prices", months(-9, -9) & one(t), -1.0, "volume"), SetAside()),
]

DAMAGED_MARKET = [
    Corruption("the index is missing", lambda t: keep(t, "market", ~NEWEST), Stopped("market: the month has no row")),
    Corruption("no index return", lambda t: _index(t, pl.lit(None)), Stopped("the month has no market return")),
    Corruption(
        "the index stands twice", lambda t: append(t, "market", first_of(t, "market")), Stopped("a month stands twice")
    ),
    Corruption(
        "the index after the month",
        lambda t: append(t, "market", first_of(t, "market").with_columns(month=pl.lit(AFTER))),
        Stopped("market: a row became known after"),
    ),
    Corruption(
        "the index in percent",
        lambda t: _index(t, pl.col("market_return") * 100, pl.lit(value=True)),
        Stopped("percent where a fraction belongs"),
    ),
    Corruption("the index's level for its return", lambda t: _index(t, pl.lit(1_297.85)), Stopped("beyond ±50 %")),
    Corruption(
        "the index with another sign",
        lambda t: _index(t, -pl.col("market_return"), pl.lit(value=True)),
        Stopped("correlation of less than 0.8"),
    ),
    Corruption(
        "the index a month late",
        lambda t: _index(t, pl.col("market_return").shift(1), pl.lit(value=True)),
        Stopped("correlation of less than 0.8"),
    ),
    Corruption(
        "the index of the month before",
        lambda t: _index(t, pl.col("market_return").shift(1)),
        Stopped("another month's, another sign"),
    ),
    Corruption(
        "the index 10 % off", lambda t: _index(t, pl.col("market_return") - 0.1), Stopped("differs from the stocks'")
    ),
    Corruption(
        "a yearly rate",
        lambda t: scale(t, "market", NEWEST, 12.0, "risk_free_rate"),
        Reported("rate like the month before's"),
    ),
    Corruption(
        "a rate in percent",
        lambda t: scale(t, "market", pl.lit(value=True), 100.0, "risk_free_rate"),
        Stopped("a yearly rate"),
    ),
    Corruption(
        "no rate",
        lambda t: update(t, "market", NEWEST, risk_free_rate=None),
        Stopped("the month has no risk-free rate"),
    ),
]

DAMAGED_ACCOUNTS = [
    Corruption("one firm in millions", lambda t: _accounts(t, ANNOUNCED & one(t), 1e-3), SetAside("fundamentals")),
    Corruption(
        "one firm in thousands, years ago",
        lambda t: _accounts(t, (pl.col("available_from") == older_announcement(t)) & one(t), 1e3),
        SetAside("fundamentals"),
    ),
    Corruption("all in millions", lambda t: _accounts(t, ANNOUNCED, 1e-6), Stopped("thousands for millions")),
    Corruption("all in thousands", lambda t: _accounts(t, ANNOUNCED, 1e-3), Stopped("thousands for millions")),
    Corruption(
        "assets and liabilities exchanged",
        lambda t: swapped(t, "fundamentals", ANNOUNCED & one(t), "total_assets", "total_liabilities"),
        SetAside("fundamentals"),
    ),
    Corruption(
        "assets and liabilities exchanged in all",
        lambda t: swapped(t, "fundamentals", ANNOUNCED, "total_assets", "total_liabilities"),
        Stopped("assets differ from liabilities and net assets"),
    ),
    Corruption(
        "net assets of another sign",
        lambda t: _accounts(t, ANNOUNCED & one(t), -1.0, "net_assets"),
        SetAside("fundamentals"),
    ),
    Corruption(
        "liabilities 10 % off",
        lambda t: _accounts(t, ANNOUNCED & one(t), 1.2, "total_liabilities"),
        Reported("balance of the month's accounts"),
    ),
    Corruption(
        "negative assets", lambda t: _accounts(t, ANNOUNCED & one(t), -1.0, "total_assets"), SetAside("fundamentals")
    ),
    Corruption(
        "known before the period ended",
        lambda t: update(t, "fundamentals", ANNOUNCED & one(t), period_end=pl.col("period_end").dt.offset_by("1y")),
        SetAside("fundamentals"),
    ),
    Corruption(
        "a fiscal year of another century",
        lambda t: update(t, "fundamentals", ANNOUNCED & one(t), period_end=pl.col("period_end").dt.offset_by("-100y")),
        SetAside("fundamentals"),
    ),
    Corruption(
        "announced in the future",
        lambda t: update(t, "fundamentals", ANNOUNCED & one(t), available_from=pl.lit(AFTER)),
        Stopped("fundamentals: a row became known after"),
    ),
    Corruption(
        "none announced", lambda t: keep(t, "fundamentals", ~ANNOUNCED), Stopped("a part of them was not delivered")
    ),
    Corruption(
        "a third not announced",
        lambda t: keep(t, "fundamentals", ~(ANNOUNCED & every(3))),
        Reported("as many accounts as usual"),
    ),
    Corruption(
        "none for two years",
        lambda t: keep(t, "fundamentals", pl.col("available_from") < (AS_OF + -24).first_day),
        Stopped("have accounts of the last 18 months"),
    ),
    Corruption(
        "figures of the period before",
        lambda t: repeated_accounts(t, pl.lit(value=True)),
        Stopped("an old file was delivered"),
    ),
    Corruption(
        "one firm's figures of the period before", lambda t: repeated_accounts(t, one(t)), Reported("figures are new")
    ),
    Corruption(
        "accounts twice",
        lambda t: append(t, "fundamentals", t["fundamentals"].filter(ANNOUNCED).head(1)),
        Stopped("stand twice with the same announcement"),
    ),
    Corruption(
        "no sales", lambda t: update(t, "fundamentals", ANNOUNCED, sales=None), Stopped("a figure's values are missing")
    ),
    Corruption(
        "sales of zero",
        lambda t: update(t, "fundamentals", ANNOUNCED, sales=0.0),
        Stopped("a figure's values are zero"),
    ),
    Corruption(
        "codes with a suffix",
        lambda t: other_codes(t, "fundamentals", ANNOUNCED, pl.format("{}.T", "security_id")),
        Stopped("accounts are of firms that had none before"),
    ),
]


def older_announcement(tables: Tables) -> pl.Expr:
    """The day of an announcement in the middle of the quietest stock's history."""
    days = tables["fundamentals"].filter(one(tables))["available_from"].unique().sort()
    return pl.lit(days[len(days) // 2])


DAMAGED_CONSTITUENTS = [
    Corruption("no members", lambda t: keep(t, "constituents", ~NEWEST), Stopped("the month has no constituents")),
    Corruption(
        "half of the members", lambda t: keep(t, "constituents", ~(NEWEST & every(2))), Stopped("members are missing")
    ),
    Corruption(
        "members without the end of the list",
        lambda t: keep(t, "constituents", ~(NEWEST & last_codes(t))),
        Stopped("a run of neighbouring codes is gone"),
    ),
    Corruption(
        "a member twice", lambda t: append(t, "constituents", first_of(t, "constituents")), Stopped("stands twice")
    ),
    Corruption(
        "members with another code",
        lambda t: other_codes(t, "constituents", NEWEST, pl.format("{}.T", "security_id")),
        Stopped("no price in the month"),
    ),
    Corruption("members of ten years ago", lambda t: again(t, "constituents", 120), Stopped("no price in the month")),
    Corruption("members of two years ago", lambda t: again(t, "constituents", 24), Reported("few members gone")),
    Corruption(
        "members after the month",
        lambda t: append(t, "constituents", first_of(t, "constituents").with_columns(month=pl.lit(AFTER))),
        Stopped("constituents: a row became known after"),
    ),
]

CORRUPTIONS = [*DAMAGED_PRICES, *SINGLE_PRICES, *DAMAGED_MARKET, *DAMAGED_ACCOUNTS, *DAMAGED_CONSTITUENTS]


def index_of(tables: Tables, factor: float) -> Tables:
    """Move the whole market, its index too."""
    moved = scale(tables, "prices", NEWEST, factor, *PRICES, "market_value", "traded_value")
    return _index(moved, (1.0 + pl.col("market_return")) * factor - 1.0)


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


ONE_MODEL = pl.col("model") == "linear"
LAST_MODEL_STOCK = ONE_MODEL & (pl.col("rank") == 1)


def recompute(tables: Tables, **values: pl.Expr) -> Tables:
    """Change signals, and the ledger with them, as a wrong computation would."""
    signals = tables["signals"].with_columns(**values)
    booked = signals.select("model", "security_id", "prediction")
    ledger = tables["ledger"].drop("prediction").join(booked, on=["model", "security_id"], maintain_order="left")
    return tables | {"signals": signals, "ledger": ledger}


def _descriptor(tables: Tables, name: str, value: pl.Expr) -> Tables:
    return update(tables, "descriptors", NEWEST, **{name: value})


def _exchanged(tables: Tables) -> Tables:
    """Give each stock of a model the prediction of another."""
    mirrored = pl.col("prediction").sort_by("rank").reverse().gather(pl.col("rank") - 1).over("model")
    changed = recompute(tables, prediction=pl.when(ONE_MODEL).then(mirrored).otherwise("prediction"))
    rank = pl.col("prediction").rank("ordinal", descending=True).over("model").cast(pl.Int64)
    signals = changed["signals"].with_columns(rank=rank)
    return changed | {"signals": signals.with_columns(quintile=5 - (pl.col("rank") - 1) * 5 // pl.len().over("model"))}


# What a run computed wrongly: tables are descriptors, signals and ledger.
DAMAGED_RESULTS = [
    Corruption(
        "a descriptor that is not a number", lambda t: _descriptor(t, "ROE", pl.lit(float("nan"))), Stopped("NaN")
    ),
    Corruption(
        "a descriptor without values", lambda t: _descriptor(t, "PER", pl.lit(None)), Stopped("fewer than half")
    ),
    Corruption(
        "a descriptor in thousands", lambda t: _descriptor(t, "PBR", pl.col("PBR") * 1e3), Stopped("a unit is wrong")
    ),
    Corruption(
        "a volatility in percent", lambda t: _descriptor(t, "60VOL", pl.col("60VOL") * 100), Stopped("beyond 200 %")
    ),
    Corruption(
        "a descriptor of another sign", lambda t: _descriptor(t, "LEVERAGE", -pl.col("LEVERAGE")), Stopped("below zero")
    ),
    Corruption(
        "a descriptor of the month before",
        lambda t: (
            t
            | {
                "descriptors": t["descriptors"]
                .sort("security_id", "month")
                .with_columns(CAP=pl.when(NEWEST).then(pl.col("CAP").shift(1).over("security_id")).otherwise("CAP"))
            }
        ),
        Stopped("are those of the month before"),
    ),
    Corruption(
        "a stock described twice",
        lambda t: append(t, "descriptors", t["descriptors"].filter(NEWEST, pl.col("in_universe")).head(1)),
        Stopped("stands twice"),
    ),
    Corruption("the month not described", lambda t: keep(t, "descriptors", ~NEWEST), Stopped("universe is empty")),
    Corruption("a model is missing", lambda t: keep(t, "signals", ~ONE_MODEL), Stopped("has no predictions")),
    Corruption(
        "an unknown model",
        lambda t: append(t, "signals", t["signals"].filter(ONE_MODEL).with_columns(model=pl.lit("other"))),
        Stopped("does not name"),
    ),
    Corruption(
        "constant predictions",
        lambda t: recompute(t, prediction=pl.when(ONE_MODEL).then(0.01).otherwise("prediction")),
        Stopped("hardly differ"),
    ),
    Corruption(
        "a prediction that is not a number",
        lambda t: recompute(t, prediction=pl.when(LAST_MODEL_STOCK).then(float("nan")).otherwise("prediction")),
        Stopped("NaN"),
    ),
    Corruption(
        "no prediction",
        lambda t: recompute(t, prediction=pl.when(~LAST_MODEL_STOCK).then("prediction")),
        Stopped("a row has no prediction"),
    ),
    Corruption(
        "predictions in percent",
        lambda t: recompute(t, prediction=pl.col("prediction") * 100),
        Stopped("more than 20 % a month"),
    ),
    Corruption("a stock is missing", lambda t: keep(t, "signals", ~LAST_MODEL_STOCK), Stopped("lacks stocks")),
    Corruption(
        "a stock stands twice in a model",
        lambda t: append(t, "signals", t["signals"].head(1)),
        Stopped("stands twice in a model"),
    ),
    Corruption(
        "ranks of another order",
        lambda t: t | {"signals": t["signals"].with_columns(rank=pl.col("rank").reverse().over("model"))},
        Stopped("ranks are not"),
    ),
    Corruption(
        "fifths of another order",
        lambda t: t | {"signals": t["signals"].with_columns(quintile=6 - pl.col("quintile"))},
        Stopped("fifths do not follow"),
    ),
    Corruption(
        "a stock of another universe",
        lambda t: update(t, "signals", pl.col("rank") == 1, security_id=pl.lit("0000")),
        Stopped("not in the month's universe"),
    ),
    Corruption(
        "predictions of other stocks",
        lambda t: t | {"signals": t["signals"].with_columns(prediction=pl.col("prediction").reverse().over("model"))},
        Stopped("not the one that the ledger accounts for"),
    ),
    Corruption("a model that ranks the wrong way round", _exchanged, Reported("models agree")),
    Corruption(
        "signals of another month",
        lambda t: t | {"signals": t["signals"].with_columns(month=pl.lit(BEFORE))},
        Stopped("a signal is of another month"),
    ),
]
