"""The models a run can train, by name."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.config import TrainingConfig
from deepfactor.errors import ConfigurationError, HistoryError, TrainingError
from deepfactor.features import Samples
from deepfactor.models.base import Model, Network, TrainedModel, member_seeds
from deepfactor.models.cards import data_card, ensemble_card, figures, versions
from deepfactor.models.checks import check_samples
from deepfactor.models.names import MODELS
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.models.progress import Progress, log_progress
from deepfactor.models.targets import Calibration, calibrate, target_values
from deepfactor.months import Month

# The closeness of fit is told over the newest year: over all months support vectors would take half a minute.
_JUDGED_MONTHS = 12


def train_model(
    name: str, month: Month, samples: Samples, training: TrainingConfig, progress: Progress = log_progress
) -> TrainedModel:
    """Train a model on a month's training samples.

    Parameters
    ----------
    name
        One of ``MODELS``.
    month
        The as-of month, which decides the seeds.
    samples
        The training window.
    training
        The target, and how networks are trained; the other models have nothing to choose.
    progress
        Told of every epoch of a network.

    Returns
    -------
    TrainedModel
        The same bytes for the same arguments.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    HistoryError
        If nothing is left to train on after the validation months.
    TrainingError
        If the samples are not what they must be, or a member of the ensemble goes wrong at every attempt.
    """
    if name not in MODELS:
        raise ConfigurationError(f"there is no model {name!r}; choose from {', '.join(MODELS)}")
    check_samples(samples, month, training.minimum_rows)
    targets = target_values(samples.returns, samples.months, training.target)
    if np.ptp(targets) == 0:
        raise TrainingError(f"all {training.target} targets of {month} are {targets[0]}: nothing to learn")
    calibration = calibrate(targets, samples.returns, samples.months)
    lesson = _Lesson(name, month, samples, targets, calibration, training)
    model, details = _train_network(lesson, progress) if name in HIDDEN_LAYERS else _train_baseline(lesson)
    card = {
        "model": name,
        "as_of": str(month),
        **data_card(samples, targets, training.target, calibration),
        **details,
        "training_figures": figures(model, samples.where(_among_newest(samples, _JUDGED_MONTHS))),
        "weights_sha256": hashlib.sha256(model.to_bytes()).hexdigest(),
        "versions": versions(),
    }
    return TrainedModel(model, card)


def read_model(name: str, body: bytes) -> Model:
    """Read a model's weights from safetensors.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    IntegrityError
        If the weights are not those of such a model.
    """
    from deepfactor.models.forest import Forest
    from deepfactor.models.support_vectors import SupportVectors

    if name not in MODELS:
        raise ConfigurationError(f"there is no model {name!r}; choose from {', '.join(MODELS)}")
    kinds: dict[str, type[Forest] | type[SupportVectors]] = {"forest": Forest, "svr": SupportVectors}
    return kinds[name].from_bytes(body) if name in kinds else Network.from_bytes(body)


@dataclass(frozen=True)
class _Lesson:
    """What a model is to learn, from which samples, and how."""

    name: str
    month: Month
    samples: Samples
    targets: NDArray[np.float64]
    calibration: Calibration
    training: TrainingConfig


def _train_network(lesson: _Lesson, progress: Progress) -> tuple[Network, dict[str, Any]]:
    from deepfactor.models.ensembles import train_ensemble  # TensorFlow takes seconds to import
    from deepfactor.models.training import Labelled

    samples, training = lesson.samples, lesson.training
    kept = _among_newest(samples, training.validation_months)
    if kept.all():
        raise HistoryError(
            f"{lesson.month}: all {len(np.unique(samples.months))} training months are among the last "
            f"{training.validation_months}, which are kept for validation: lower training.validation_months"
        )
    training_set, validation_set = (Labelled(samples.inputs[rows], lesson.targets[rows]) for rows in (~kept, kept))
    measured_on = validation_set if kept.any() else None
    ensemble = train_ensemble(lesson.name, lesson.month, training_set, measured_on, training, progress)
    network = replace(ensemble.network(), calibration=lesson.calibration)
    return network, {
        "hidden_layers": list(HIDDEN_LAYERS[lesson.name]),
        "optimiser": "Adam",
        "loss": "mean squared error",
        "hyper_parameters": {key: value for key, value in asdict(training).items() if key != "accelerated"},
        **ensemble_card(ensemble),
        "validation_figures": figures(network, samples.where(kept)) if kept.any() else None,
    }


def _train_baseline(lesson: _Lesson) -> tuple[Model, dict[str, Any]]:
    from deepfactor.models import baselines  # scikit-learn takes a second to import

    inputs, targets, calibration = lesson.samples.inputs, lesson.targets, lesson.calibration
    if lesson.name == "linear":
        return baselines.fit_linear(inputs, targets, calibration), {}
    accelerated = lesson.training.accelerated
    details = {"accelerator": baselines.accelerator(accelerated)}
    if lesson.name == "svr":
        return baselines.fit_svr(inputs, targets, calibration, accelerated), details
    (seed,) = member_seeds(lesson.month, lesson.name, 1)
    forest = baselines.fit_forest(inputs, targets, calibration, seed, accelerated)
    return forest, details | {"seeds": [str(seed)]}


def _among_newest(samples: Samples, months: int) -> NDArray[np.bool_]:
    """Tell which samples are of the newest months, shape (n,)."""
    newest: NDArray[np.bool_] = samples.months > samples.months.max() - months
    return newest
