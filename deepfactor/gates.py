"""Gates: what must hold before a month is published. Each leaves its number; without a number it does not bless."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.config import GateConfig
from deepfactor.models.names import EXPLAINED_MODELS


@dataclass(frozen=True)
class Gate:
    """A gate's verdict.

    Attributes
    ----------
    gate
        Its name.
    model
        The model it looked at; none if it is about the month.
    value
        What was measured; none if nothing could be.
    threshold
        What it was held against.
    passed
        Whether the month may pass.
    meaning
        What the two numbers are, for people.
    """

    gate: str
    model: str | None
    value: float | None
    threshold: float
    passed: bool
    meaning: str

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON can hold it."""
        return asdict(self)


def at_most(gate: str, model: str | None, value: float, threshold: float, meaning: str) -> Gate:
    """Pass where the value is finite and not above the threshold."""
    known = math.isfinite(value)
    return Gate(gate, model, value if known else None, threshold, known and value <= threshold, meaning)


def at_least(gate: str, model: str | None, value: float, threshold: float, meaning: str) -> Gate:
    """Pass where the value is finite and not below the threshold."""
    known = math.isfinite(value)
    return Gate(gate, model, value if known else None, threshold, known and value >= threshold, meaning)


def judge(
    validation_passed: bool,
    results_passed: bool,
    universe: int,
    signals: pl.DataFrame,
    imbalances: Mapping[str, float],
    models: Iterable[str],
    gates: GateConfig,
) -> list[Gate]:
    """Judge a month by its numbers.

    Parameters
    ----------
    validation_passed
        The verdict on the raw data.
    results_passed
        The verdict on descriptors and signals.
    universe
        Number of stocks in the month's universe.
    signals
        ``schemas.SIGNALS`` of all models.
    imbalances
        By model, from ``attribution.accounts.ledger_imbalance``; without one a model that can be explained fails.
    models
        Those that must be there; a model without predictions fails every gate of its own.
    gates
        The thresholds.
    """
    verdicts = [
        at_least(
            "validation", None, float(validation_passed), 1.0, "1 if the raw data passed its expectations, else 0"
        ),
        at_least("results", None, float(results_passed), 1.0, "1 if descriptors and signals passed theirs, else 0"),
    ]
    for model in models:
        predictions = signals.filter(pl.col("model") == model)["prediction"].to_numpy()
        verdicts += _judge_model(model, predictions, universe, imbalances.get(model, math.nan), gates)
    return verdicts


def _judge_model(
    model: str, predictions: NDArray[np.float64], universe: int, imbalance: float, gates: GateConfig
) -> list[Gate]:
    some = predictions if len(predictions) else np.array([math.nan])
    ledger = at_most(
        "ledger",
        model,
        imbalance,
        gates.ledger_tolerance,
        "largest |inputs + bias + leak − prediction| / root mean square prediction",
    )
    return [
        *([ledger] if model in EXPLAINED_MODELS else []),
        at_least(
            "coverage",
            model,
            len(predictions) / universe if universe else math.nan,
            gates.minimum_coverage,
            "share of the universe that got a prediction",
        ),
        at_most(
            "credible size",
            model,
            float(np.abs(some).max()),
            gates.maximum_absolute_prediction,
            "largest |prediction|, as a fraction a month",
        ),
        at_least(
            "spread",
            model,
            float(some.std()) if np.isfinite(some).all() else math.nan,
            gates.minimum_spread,
            "standard deviation of the predictions across stocks",
        ),
    ]
