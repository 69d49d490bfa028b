"""What a run computes wrongly: tables are descriptors, signals and ledger."""

from __future__ import annotations

import polars as pl

from tests.validation.corruptions.changes import (
    BEFORE,
    NEWEST,
    Corruption,
    Reported,
    Stopped,
    Tables,
    append,
    keep,
    update,
)

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
