"""Frames of forecasts, written out or at random, with all the holes that the real ones have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from deepfactor.evaluation.forecasts import FORECASTS, RETURNS
from deepfactor.months import Month
from deepfactor.portfolio import quintiles, ranks

Row = dict[str, Any]
FIRST = Month.parse("2010-01")


def month(number: int) -> date:
    """Return the month so many after January 2010."""
    return (FIRST + number).first_day


def forecasts(number: int, model: str, stocks: Mapping[str, tuple[float, float | None]]) -> pl.DataFrame:
    """Return the forecasts of one month: prediction and return of each stock."""
    names, predictions = np.array(list(stocks)), np.array([each[0] for each in stocks.values()])
    rank = ranks(predictions, names)
    columns = {
        "month": month(number),
        "model": model,
        "security_id": names,
        "prediction": predictions,
        "dispersion": 0.0,
        "rank": rank,
        "quintile": quintiles(rank),
        "realised": [each[1] for each in stocks.values()],
    }
    return pl.DataFrame(columns, schema=dict(FORECASTS.columns))


def returns(rows: list[tuple[int, str, float | None]]) -> pl.DataFrame:
    """Return returns, given number of the month, stock and return."""
    columns = [(month(number), stock, value) for number, stock, value in rows]
    return pl.DataFrame(columns, schema=dict(RETURNS.columns), orient="row")


def random_forecasts(seed: int, *, most_stocks: int = 14, most_months: int = 6) -> pl.DataFrame:
    """Return forecasts of two models for stocks that come and go, have ties, lack returns, or have lost everything.

    Now and then a month is missing, is not known yet, has fewer stocks than quintiles, or one prediction for all.
    """
    random = np.random.default_rng(seed)
    names = [f"{number:02}" for number in range(random.integers(1, most_stocks + 1))]
    parts = [FORECASTS.empty()]
    for number in range(random.integers(1, most_months + 1)):
        if random.random() < 0.1:
            continue
        realised = {name: max(round(random.normal(0, 0.2), 2), -1.0) for name in names}
        realised |= {name: None for name in names if random.random() < 0.15}
        realised |= {name: -1.0 for name in names if random.random() < 0.05}
        unknown, same = random.random() < 0.1, random.random() < 0.1
        there = [name for name in names if random.random() < 0.8]
        for model in ("one", "two"):
            if not there or random.random() < 0.05:
                continue
            predicted = {name: 0.01 if same else round(random.normal(0, 0.02), 2) for name in there}
            stocks = {name: (predicted[name], None if unknown else realised[name]) for name in there}
            parts.append(forecasts(number, model, stocks))
    return pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=seed % 1000)


def by_month(frame: pl.DataFrame) -> dict[str, dict[date, list[Row]]]:
    """Return the rows of the months in which any stock has a return, by model and month, for slow oracles."""
    rows = frame.to_dicts()
    known = {row["month"] for row in rows if row["realised"] is not None}
    result: dict[str, dict[date, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: (row["model"], row["month"], row["security_id"])):
        if row["month"] in known:
            result.setdefault(row["model"], {}).setdefault(row["month"], []).append(row)
    return result
