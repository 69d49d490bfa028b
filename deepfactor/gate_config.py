"""Configuration of the month's gates."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

AdvisoryGate = Literal[
    "coverage", "credible size", "spread", "randomisation", "removal", "placebo", "members", "last month"
]
"""Those that a configuration may let warn only; bad data and a ledger that does not close always stop a month."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class GateConfig:
    """Thresholds of the month's gates; there are no defaults, a gate without a threshold does not bless."""

    ledger_tolerance: float
    """Largest |inputs + bias + level + leak − prediction| relative to the predictions' scale."""
    minimum_coverage: float
    """Smallest share of the universe that gets a prediction."""
    maximum_absolute_prediction: float
    """Largest credible monthly return forecast, as a fraction."""
    minimum_spread: float
    """Smallest cross-sectional standard deviation of a model's predictions: a constant is no signal."""
    maximum_randomised_correlation: float
    """Largest mean rank correlation of an explanation with that of the same model with its top layer drawn anew."""
    minimum_removal_share: float
    """Smallest share of stocks whose prediction falls faster when inputs are taken away by relevance than at random."""
    maximum_placebo_ratio: float
    """Largest size that a descriptor of pure noise may be said to have, beside the mean of the real ones."""
    minimum_member_agreement: float
    """Smallest expected correlation of factor contributions with those of another ensemble from other seeds."""
    minimum_month_correlation: float
    """Smallest rank correlation of the model's factor contributions this month with those of last month's inputs."""
    advisory: tuple[AdvisoryGate, ...]
    """Gates that only warn where they fail; every other stops the month."""
