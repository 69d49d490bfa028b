"""Gates: what must hold before a month is published. Each leaves its number; without a number it does not bless."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.gate_config import GateConfig
from deepfactor.models.names import EXPLAINED_MODELS
from deepfactor.months import Month

LOGGER = logging.getLogger(__name__)


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
        Whether the value keeps to the threshold.
    meaning
        What the two numbers are, for people.
    hard
        Whether a month that does not pass may not be published; otherwise it is only warned of.
    """

    gate: str
    model: str | None
    value: float | None
    threshold: float
    passed: bool
    meaning: str
    hard: bool = True

    @property
    def refuses(self) -> bool:
        """Whether the month may not be published."""
        return self.hard and not self.passed

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


@dataclass(frozen=True)
class _Row:
    """A gate of an explanation: which way it is held against which threshold."""

    gate: str
    compare: Callable[[str, str | None, float, float, str], Gate]
    threshold: str
    meaning: str


_EXPLANATION = (
    _Row(
        "randomisation",
        at_most,
        "maximum_randomised_correlation",
        "mean rank correlation of a stock's relevances with those of the same model with its top layer drawn at "
        "random, 1 for an explanation that does not look at the model",
    ),
    _Row(
        "removal",
        at_least,
        "minimum_removal_share",
        "share of stocks whose prediction falls faster when inputs are taken away in the order of their relevance than "
        "in random order, a half by chance",
    ),
    _Row(
        "placebo",
        at_most,
        "maximum_placebo_ratio",
        "mean absolute relevance of a descriptor of pure noise, in one network of the kind that learned it too, over "
        "the mean of the real descriptors, 1 if noise is said to matter as much as they do",
    ),
    _Row(
        "members",
        at_least,
        "minimum_member_agreement",
        "correlation of the stocks' factor contributions that is to be expected with another ensemble from other seeds",
    ),
    _Row(
        "last month",
        at_least,
        "minimum_month_correlation",
        "mean rank correlation of the stocks' factor contributions with those that the same model gives them on the "
        "inputs of the month before",
    ),
)
# A single model has no members to agree.
_OF_ENSEMBLES = "members"


def judge(
    validation_passed: bool,
    results_passed: bool,
    universe: int,
    signals: pl.DataFrame,
    imbalances: Mapping[str, float],
    checks: Mapping[str, Mapping[str, Mapping[str, Any]]],
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
    checks
        By model and check, from ``attribution.checks`` and ``attribution.placebo``; without one, or where its ``value``
        is none, a model that can be explained fails. Only ``members`` may be left out, of a single model.
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
        if model in EXPLAINED_MODELS:
            verdicts += _judge_explanation(model, checks.get(model, {}), gates)
    return [replace(each, hard=each.gate not in gates.advisory) for each in verdicts]


def _judge_explanation(model: str, checks: Mapping[str, Mapping[str, Any]], gates: GateConfig) -> list[Gate]:
    verdicts = []
    for row in _EXPLANATION:
        if row.gate == _OF_ENSEMBLES and row.gate not in checks:
            continue
        value = checks.get(row.gate, {}).get("value")
        number = math.nan if value is None else float(value)
        verdicts.append(row.compare(row.gate, model, number, getattr(gates, row.threshold), row.meaning))
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
        "largest |inputs + bias + level + leak − prediction| / root mean square prediction",
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


def warn_of(month: Month, verdicts: Iterable[Gate]) -> None:
    """Log the gates that only warn and did not pass."""
    for each in verdicts:
        if not each.passed and not each.hard:
            LOGGER.warning(
                "%s: %s of %s is %s against %s (%s)",
                month,
                each.gate,
                each.model or "the month",
                "not known" if each.value is None else f"{each.value:.3g}",
                each.threshold,
                each.meaning,
            )
