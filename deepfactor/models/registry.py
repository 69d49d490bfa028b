"""The models a run can train, by name."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from deepfactor.config import TrainingConfig
from deepfactor.errors import ConfigurationError, TrainingError
from deepfactor.features import FEATURES, Samples
from deepfactor.models.base import Network, TrainedModel, card_seeds, member_seeds
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.months import Month

MODELS = (*HIDDEN_LAYERS, "linear")


def train_model(name: str, month: Month, samples: Samples, training: TrainingConfig) -> TrainedModel:
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
        How networks are trained; the linear model has nothing to choose.

    Returns
    -------
    TrainedModel
        The same bytes for the same arguments.

    Raises
    ------
    ConfigurationError
        If there is no such model.
    TrainingError
        If the samples hold NaN or infinity, or all targets are the same, or the loss is not finite.
    """
    if name not in MODELS:
        raise ConfigurationError(f"there is no model {name!r}; choose from {', '.join(MODELS)}")
    _check(samples)
    network, details = (
        _train_network(name, month, samples, training) if name in HIDDEN_LAYERS else _train_linear(samples)
    )
    card = {
        "model": name,
        "as_of": str(month),
        "features": list(FEATURES),
        "first_training_month": str(Month(int(samples.months.min()))),
        "last_training_month": str(Month(int(samples.months.max()))),
        "rows": len(samples.returns),
        "rows_left_out": samples.exclusions,
        "inputs_sha256": hashlib.sha256(np.ascontiguousarray(samples.inputs).tobytes()).hexdigest(),
        "targets_sha256": hashlib.sha256(np.ascontiguousarray(samples.returns).tobytes()).hexdigest(),
        "mean_target": float(samples.returns.mean()),
        "variance_of_target": float(samples.returns.var()),
        **details,
    }
    return TrainedModel(network, card)


def _train_network(
    name: str, month: Month, samples: Samples, training: TrainingConfig
) -> tuple[Network, dict[str, Any]]:
    from deepfactor.models.training import fit  # TensorFlow takes seconds to import

    seeds = member_seeds(month, name, training.members)
    start = initial_network(samples.inputs.shape[1], HIDDEN_LAYERS[name], seeds)
    fitted = fit(start, samples.inputs, samples.returns, seeds, training)
    return fitted.network, {
        "hidden_layers": list(HIDDEN_LAYERS[name]),
        "members": training.members,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "optimiser": "Adam",
        "loss": "mean squared error",
        "seeds": card_seeds(seeds),
        "loss_by_epoch_and_member": fitted.losses.tolist(),
    }


def _train_linear(samples: Samples) -> tuple[Network, dict[str, Any]]:
    from deepfactor.models.baselines import fit_linear  # scikit-learn takes a second to import

    network = fit_linear(samples.inputs, samples.returns)
    errors = samples.returns - network.member_predictions(samples.inputs)[0]
    return network, {"members": 1, "loss": "least squares", "loss_by_epoch_and_member": [[float((errors**2).mean())]]}


def _check(samples: Samples) -> None:
    bad = ~np.isfinite(samples.inputs)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise TrainingError(
            f"the training inputs hold {samples.inputs[row, column]} in {FEATURES[column]} of "
            f"{samples.security_ids[row]}, {Month(int(samples.months[row]))}; descriptors must give null instead"
        )
    if not np.isfinite(samples.returns).all():
        row = int(np.flatnonzero(~np.isfinite(samples.returns))[0])
        raise TrainingError(
            f"the return after {Month(int(samples.months[row]))} of {samples.security_ids[row]} is "
            f"{samples.returns[row]}; remove the price it comes from"
        )
    if np.ptp(samples.returns) == 0:
        raise TrainingError(f"all {len(samples.returns)} training returns are {samples.returns[0]}: nothing to learn")
