"""Accounts that go wrong."""

from __future__ import annotations

import polars as pl

from tests.validation.corruptions.changes import (
    AFTER,
    ANNOUNCED,
    AS_OF,
    FIGURES,
    Corruption,
    Reported,
    SetAside,
    Stopped,
    Tables,
    append,
    every,
    keep,
    one,
    other_codes,
    scale,
    swapped,
    update,
)


def repeated_accounts(tables: Tables, where: pl.Expr) -> Tables:
    """Give the month's accounts of some firms the figures of their accounts before."""
    ordered = tables["fundamentals"].with_row_index("n").sort("security_id", "period_end", "available_from")
    older = {name: pl.col(name).shift(1).over("security_id") for name in FIGURES}
    changed = [pl.when(ANNOUNCED & where).then(value).otherwise(name).alias(name) for name, value in older.items()]
    return tables | {"fundamentals": ordered.with_columns(changed).sort("n").drop("n")}


def _accounts(tables: Tables, where: pl.Expr, factor: float, *columns: str) -> Tables:
    return scale(tables, "fundamentals", where, factor, *(columns or FIGURES))


def older_announcement(tables: Tables) -> pl.Expr:
    """The day of an announcement in the middle of the quietest stock's history."""
    days = tables["fundamentals"].filter(one(tables))["available_from"].unique().sort()
    return pl.lit(days[len(days) // 2])


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
