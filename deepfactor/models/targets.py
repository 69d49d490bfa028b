"""What a model is trained on, and how its score becomes a forecast of return again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepfactor.ranks import centred_ranks

Target = Literal["return", "excess", "rank"]

_F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """The map from a model's score to a return, ``level + slope × score``; the slope is positive.

    Attributes
    ----------
    level
        Return at a score of zero, as a fraction; the same for all stocks, so a bias of its own in the ledger.
    slope
        Return per unit of score.
    """

    level: float = 0.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.level) and np.isfinite(self.slope) and self.slope > 0):
            raise ValueError(f"level {self.level} and slope {self.slope}: finite, and the slope positive, they must be")

    def __call__(self, scores: _F64) -> _F64:
        """Return forecasts of return, as fractions."""
        return self.level + self.slope * scores

    def tensor(self) -> _F64:
        """Return level and slope as weights are stored, shape (2,)."""
        return np.array([self.level, self.slope])

    @classmethod
    def from_tensor(cls, tensor: NDArray[np.floating[Any]]) -> Calibration:
        """Read what :meth:`tensor` gives."""
        level, slope = tensor
        return cls(float(level), float(slope))


# For a score that is a return already.
UNCALIBRATED = Calibration()


def target_values(returns: _F64, months: NDArray[np.int64], target: Target) -> _F64:
    """Return what a model is trained on, shape (n,).

    ``return``: the total return itself (the paper). ``excess``: the return less the month's median. ``rank``: the
    return's percentile rank within the month, (rank − 1) / (n − 1) − ½ with ties averaged, in [−½, +½]; the median for
    a stock that is alone.

    Parameters
    ----------
    returns
        Total return of the month after, as a fraction, shape (n,).
    months
        Month of each sample, shape (n,); the median and the ranks are taken within it.
    target
        Which.
    """
    if target == "return":
        return returns
    values = np.empty_like(returns)
    for month in np.unique(months):
        chosen = months == month
        values[chosen] = centred_ranks(returns[chosen]) if target == "rank" else _excess(returns[chosen])
    return values


def _excess(returns: _F64) -> _F64:
    excess: _F64 = returns - np.median(returns)
    return excess


def calibrate(targets: _F64, returns: _F64, months: NDArray[np.int64]) -> Calibration:
    """Return the least-squares line from targets to returns, its slope taken within months.

    It is fitted to the targets and not to a model's scores: a model's fit to its own training samples would make the
    slope too large, and a score that fits nothing could turn the ranking around. Within a month a target rises with
    the return, so this slope is positive; for the return itself the line is the identity.

    If a score is the expected target, and what the target does not say of the return has nothing to do with the inputs,
    then the line at the score is the expected return.

    Parameters
    ----------
    targets
        What the model is trained on, shape (n,).
    returns
        The returns they come from, shape (n,).
    months
        Month of each sample, shape (n,).
    """
    within_targets, within_returns = (_less_the_mean(each, months) for each in (targets, returns))
    # Sums, not dot products: what BLAS gives depends on the number of its threads.
    slope = float(np.sum(within_targets * within_returns) / np.sum(within_targets**2))
    return Calibration(float(returns.mean() - slope * targets.mean()), slope)


def _less_the_mean(values: _F64, months: NDArray[np.int64]) -> _F64:
    _, index = np.unique(months, return_inverse=True)
    means = np.bincount(index, values) / np.bincount(index)
    deviation: _F64 = values - means[index]
    return deviation
