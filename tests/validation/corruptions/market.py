"""The index's return and the risk-free rate that go wrong."""

from __future__ import annotations

import polars as pl

from tests.validation.corruptions.changes import (
    AFTER,
    NEWEST,
    Corruption,
    Reported,
    Stopped,
    Tables,
    append,
    first_of,
    keep,
    scale,
    update,
)


def index_return(tables: Tables, value: pl.Expr, where: pl.Expr = NEWEST) -> Tables:
    ordered = tables["market"].sort("month")
    return update(tables | {"market": ordered}, "market", where, market_return=value)


DAMAGED_MARKET = [
    Corruption("the index is missing", lambda t: keep(t, "market", ~NEWEST), Stopped("market: the month has no row")),
    Corruption("no index return", lambda t: index_return(t, pl.lit(None)), Stopped("the month has no market return")),
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
        lambda t: index_return(t, pl.col("market_return") * 100, pl.lit(value=True)),
        Stopped("percent where a fraction belongs"),
    ),
    Corruption(
        "the index's level for its return", lambda t: index_return(t, pl.lit(1_297.85)), Stopped("beyond ±50 %")
    ),
    Corruption(
        "the index with another sign",
        lambda t: index_return(t, -pl.col("market_return"), pl.lit(value=True)),
        Stopped("correlation of less than 0.8"),
    ),
    Corruption(
        "the index a month late",
        lambda t: index_return(t, pl.col("market_return").shift(1), pl.lit(value=True)),
        Stopped("correlation of less than 0.8"),
    ),
    Corruption(
        "the index of the month before",
        lambda t: index_return(t, pl.col("market_return").shift(1)),
        Stopped("another month's, another sign"),
    ),
    Corruption(
        "the index 10 % off",
        lambda t: index_return(t, pl.col("market_return") - 0.1),
        Stopped("differs from the stocks'"),
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
