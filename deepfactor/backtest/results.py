"""What a backtest leaves in the store: all its forecasts beside the returns that came, and what they were worth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from deepfactor.backtest.engine import Backtest
from deepfactor.backtest.plan import sources_of_returns
from deepfactor.config import Config
from deepfactor.endpoint import CONNECTIONS
from deepfactor.evaluation.forecasts import with_realised
from deepfactor.evaluation.naive import constant_forecasts
from deepfactor.evaluation.performance import monthly_performance
from deepfactor.evaluation.table_4 import table_4
from deepfactor.months import Month
from deepfactor.objects import frame_to_bytes, json_to_bytes
from deepfactor.runs import Run, read_record
from deepfactor.store import Store


@dataclass(frozen=True)
class Results:
    """A backtest's results in the store.

    Attributes
    ----------
    prefix
        ``backtests/<id>``, under which they lie.
    summary
        A row for each model, as in :data:`deepfactor.evaluation.table_4.TABLE_4`.
    without_returns
        The months whose forecasts cannot be held against a return yet.
    """

    prefix: str
    summary: list[dict[str, Any]]
    without_returns: tuple[Month, ...]


def store_results(backtest: Backtest, store: Store, config: Config) -> Results:
    """Evaluate the months that are done and store the results; the same months give the same bytes under the same id.

    ``inputs.json`` names the runs, those of the forecasts and those the returns are taken from; its hash is the id.
    ``signals.parquet``, ``performance.parquet`` and ``summary.json`` follow from it.

    Parameters
    ----------
    backtest
        At least one month of it is done.
    store, config
        Those of the backtest.

    Raises
    ------
    IntegrityError
        If an object of a run is missing or differs.
    """
    months = sorted(backtest.runs)
    sources = sources_of_returns(months, backtest.described)
    inputs = json_to_bytes(
        {
            "runs": {str(month): backtest.runs[month].run_id for month in months},
            "returns": {
                str(month + 1): {"as_of": str(source), "run_id": backtest.described[source].run_id}
                for month, source in sources.items()
            },
        }
    )
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        signals = list(pool.map(lambda month: _signals(backtest.runs[month], store), months))
        means = dict(pool.map(lambda month: _training_mean(backtest.runs[month], store, config.models[0]), months))
    forecasts = with_realised(pl.concat(signals), _returns(sources, backtest.described, store))
    performance = monthly_performance(pl.concat([forecasts, constant_forecasts(forecasts, means)]))
    rows = table_4(performance, config.models).to_dicts()
    prefix = f"backtests/{hashlib.sha256(inputs).hexdigest()[:16]}"
    bodies = {
        "signals.parquet": frame_to_bytes(forecasts),
        "performance.parquet": frame_to_bytes(performance),
        "summary.json": json_to_bytes(rows),
        "inputs.json": inputs,
    }
    for name, body in bodies.items():
        store.put_immutable(f"{prefix}/{name}", body)
    evaluated = set(performance["month"])
    return Results(prefix, rows, tuple(month for month in months if month.first_day not in evaluated))


def _signals(run: Run, store: Store) -> pl.DataFrame:
    return store.read_frame(read_record(run, store, "attribute").objects["signals.parquet"])


def _training_mean(run: Run, store: Store, model: str) -> tuple[date, float]:
    """Return the month's first day and the mean return of its training window, which every model's card holds."""
    card = read_record(run, store, f"train-{model}").objects[f"models/{model}/card.json"]
    return run.month.first_day, float(store.read_json(card)["mean_return"])


def _returns(sources: Mapping[Month, Month], described: Mapping[Month, Run], store: Store) -> pl.DataFrame:
    """Return month, stock and total return, each month from the newest run that has described it."""
    parts = [pl.DataFrame(schema={"month": pl.Date, "security_id": pl.String, "total_return": pl.Float64})]
    for source in sorted(set(sources.values())):
        wanted = [(month + 1).first_day for month, each in sources.items() if each == source]
        record = read_record(described[source], store, "describe")
        frame = store.read_frame(record.objects["descriptors.parquet"])
        parts.append(frame.filter(pl.col("month").is_in(wanted)).select("month", "security_id", "total_return"))
    return pl.concat(parts)
