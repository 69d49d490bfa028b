"""Month-end prices that go wrong: the whole month, and single rows."""

from __future__ import annotations

import polars as pl

from tests.validation.corruptions.changes import (
    AFTER,
    AS_OF,
    NEWEST,
    PRICES,
    Corruption,
    Reported,
    SetAside,
    Stopped,
    Tables,
    again,
    append,
    every,
    first_of,
    keep,
    last_codes,
    months,
    one,
    other_codes,
    scale,
    split,
    swapped,
    update,
)


def shifted_codes(tables: Tables) -> Tables:
    """Shift the codes of the month by one row."""
    newest = tables["prices"].filter(NEWEST).sort("security_id")
    codes = newest["security_id"]
    return append(
        keep(tables, "prices", ~NEWEST), "prices", newest.with_columns(security_id=pl.concat([codes[1:], codes[:1]]))
    )


def _another_market(tables: Tables) -> Tables:
    code = pl.format("X{}", "security_id")
    return append(tables, "prices", tables["prices"].filter(NEWEST & every(2)).with_columns(security_id=code))


def tables_with_older(tables: Tables, *columns: str) -> Tables:
    """Give columns of the newest month the values of the month before."""
    ordered = tables["prices"].sort("security_id", "month")
    older = {name: pl.col(name).shift(1).over("security_id") for name in columns}
    return update(tables | {"prices": ordered}, "prices", NEWEST, **older)


def _prices(tables: Tables, where: pl.Expr, factor: float) -> Tables:
    return scale(tables, "prices", where, factor, *PRICES)


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


def still(tables: Tables, since: int) -> Tables:
    """Let a stock's quotes stand since a month, though it is traded."""
    where = months(since + 1, 0) & one(tables)
    last = tables["prices"].filter(one(tables), months(since, since))
    return update(tables, "prices", where, **{name: pl.lit(last[name].item()) for name in PRICES})


def untraded(tables: Tables, since: int) -> Tables:
    """Let a stock's quotes stand since a month, without a trade."""
    return update(still(tables, since), "prices", months(since + 1, 0) & one(tables), volume=0.0, traded_value=0.0)


SINGLE_PRICES = [
    Corruption("× 1,000 in the newest month", lambda t: _prices(t, NEWEST & one(t), 1e3), SetAside()),
    Corruption("/ 1,000 in the newest month", lambda t: _prices(t, NEWEST & one(t), 1e-3), SetAside()),
    Corruption("× 1,000 in an old month", lambda t: _prices(t, months(-30, -30) & one(t), 1e3), SetAside()),
    Corruption("× 1,000 for three months", lambda t: _prices(t, months(-2, 0) & one(t), 1e3), SetAside()),
    Corruption("/ 1,000 for half a year", lambda t: _prices(t, months(-40, -35) & one(t), 1e-3), SetAside()),
    Corruption("× 10 and back", lambda t: _prices(t, months(-20, -20) & one(t), 10.0), SetAside()),
    Corruption(
        "the close × 10, not its return", lambda t: scale(t, "prices", NEWEST & one(t), 10.0, "close"), SetAside()
    ),
    Corruption(
        "the close × 10 alone, in an old month",
        lambda t: scale(t, "prices", months(-30, -30) & one(t), 10.0, "close"),
        SetAside(),
    ),
    Corruption(
        "the market value × 1,000", lambda t: scale(t, "prices", NEWEST & one(t), 1e3, "market_value"), SetAside()
    ),
    Corruption(
        "the shares / 1,000",
        lambda t: scale(t, "prices", NEWEST & one(t), 1e-3, "shares_outstanding"),
        Reported("value agrees with shares"),
    ),
    Corruption(
        "the total-return price begins anew",
        lambda t: scale(t, "prices", NEWEST & one(t), 0.1, "total_return_price"),
        SetAside(),
    ),
    Corruption("a split without new shares", lambda t: split(t, 10.0, shares=False), SetAside()),
    # All older prices are on another scale: in a market of 80 stocks too many to set aside.
    Corruption(
        "a split that the return does not know of",
        lambda t: split(t, 10.0, returns=True),
        Stopped("the price lies on another scale"),
    ),
    Corruption(
        "a stock on another scale throughout",
        lambda t: scale(t, "prices", one(t), 100.0, *PRICES, "market_value"),
        Stopped("close × volume is more than twenty times"),
    ),
    Corruption("quotes that stand without trades", lambda t: untraded(t, -9), SetAside()),
    Corruption("quotes that stand though traded", lambda t: still(t, -13), Reported("prices move")),
    Corruption("a negative price", lambda t: _prices(t, NEWEST & one(t), -1.0), SetAside()),
    Corruption("a price of zero", lambda t: _prices(t, NEWEST & one(t), 0.0), SetAside()),
    Corruption("a negative volume", lambda t: scale(t, "prices", months(-9, -9) & one(t), -1.0, "volume"), SetAside()),
]
