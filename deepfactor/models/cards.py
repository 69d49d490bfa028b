"""A model's card: everything that decided it, and what came of the training; the same for the same inputs.

What differs from run to run, seconds and memory, is no part of it (:func:`measured`).
"""

from __future__ import annotations

import hashlib
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.features import Samples
from deepfactor.models.base import Model
from deepfactor.models.targets import Calibration, Target
from deepfactor.months import Month
from deepfactor.ranks import rank_correlation

if TYPE_CHECKING:
    from deepfactor.models.ensembles import Ensemble

_LIBRARIES = ("numpy", "scikit-learn", "scikit-learn-intelex", "tensorflow", "tensorflow-cpu")


def data_card(
    samples: Samples, targets: NDArray[np.float64], target: Target, calibration: Calibration
) -> dict[str, Any]:
    """Return what a model was trained on: window, rows, hashes, target and calibration.

    Parameters
    ----------
    samples
        The training window.
    targets
        What was learned, shape (n,).
    target
        Which target that is.
    calibration
        From a score to a return.
    """
    return {
        "features": list(samples.features),
        "first_training_month": str(Month(int(samples.months.min()))),
        "last_training_month": str(Month(int(samples.months.max()))),
        "rows": len(samples.returns),
        "rows_left_out": samples.exclusions,
        "inputs_sha256": _digest(samples.inputs),
        "returns_sha256": _digest(samples.returns),
        "targets_sha256": _digest(targets),
        "target": target,
        "mean_target": float(targets.mean()),
        "variance_of_target": float(targets.var()),
        "mean_return": float(samples.returns.mean()),
        "calibration": {"level": calibration.level, "slope": calibration.slope},
    }


def ensemble_card(ensemble: Ensemble) -> dict[str, Any]:
    """Return seeds, failures and loss curves of an ensemble; the curves are in squared units of the target."""
    members = ensemble.members
    validated = np.isfinite(members[0].validation_losses).all()
    return {
        # As text: JSON readers round integers beyond 2**53.
        "seeds": [str(member.seed) for member in members],
        "failures": list(ensemble.failures),
        "kept_epoch_by_member": [member.epoch for member in members],
        "loss_by_member_and_epoch": [list(member.losses) for member in members],
        "validation_loss_by_member_and_epoch": [list(member.validation_losses) for member in members]
        if validated
        else None,
    }


def figures(model: Model, samples: Samples) -> dict[str, Any]:
    """Return what a model's forecasts of some samples were worth, in units of return.

    ``mean_squared_error`` beside ``variance_of_return``; ``rank_ic``, the mean over months of Spearman's correlation
    between forecast and return. Of the samples that the model was trained on they say how closely it fits them, not how
    well it forecasts.
    """
    forecast = model.member_predictions(samples.inputs).mean(axis=0)
    months = np.unique(samples.months)
    correlations = [
        rank_correlation(forecast[chosen], samples.returns[chosen]) or 0.0
        for chosen in samples.months == months[:, None]
    ]
    return {
        "first_month": str(Month(int(months[0]))),
        "last_month": str(Month(int(months[-1]))),
        "rows": len(forecast),
        "mean_squared_error": float(np.mean((forecast - samples.returns) ** 2)),
        "variance_of_return": float(samples.returns.var()),
        "rank_ic": float(np.mean(correlations)),
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that decide the weights."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def measured(seconds: float) -> dict[str, float]:
    """Return what a training took: seconds, and the most memory that its process has had, in bytes."""
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {"seconds": seconds, "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
