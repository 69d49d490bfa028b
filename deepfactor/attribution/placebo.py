"""A placebo: what an explanation says of a descriptor that is nothing but noise is what its words are worth.

A model of the same kind is trained beside the published one, with a seventeenth descriptor drawn at random.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.attribution.checks import Check
from deepfactor.attribution.relevance import relevance
from deepfactor.attribution.rules import network_rules
from deepfactor.config import Config, TrainingConfig
from deepfactor.descriptors import NAMES
from deepfactor.errors import TrainingError
from deepfactor.features import RankedPanel, Samples, prediction_samples, training_samples
from deepfactor.models.base import Network, member_seeds
from deepfactor.models.blas import one_thread
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.models.targets import target_values
from deepfactor.months import LAGS, Month, Window

PLACEBO = "PLACEBO"


def with_placebo(panel: RankedPanel, month: Month) -> RankedPanel:
    """Return the panel with a descriptor of noise: uniform ranks, drawn anew for every stock and month.

    It has no part in deciding which stocks are samples.

    Parameters
    ----------
    panel
        The described months.
    month
        The as-of month; decides the draws, which are the same for all models.
    """
    generator = np.random.Generator(np.random.Philox(member_seeds(month, PLACEBO, 1)[0]))
    return with_descriptor(panel, generator.uniform(-0.5, 0.5, panel.in_universe.shape).astype(np.float32))


def with_descriptor(panel: RankedPanel, values: NDArray[np.float32]) -> RankedPanel:
    """Return the panel with a seventeenth descriptor, which counts for none when stocks are chosen.

    Parameters
    ----------
    panel
        The described months.
    values
        Its ranks, shape (months, stocks); those of stocks outside the universe become 0, as all ranks are.
    """
    laid = np.where(panel.in_universe, values, np.float32(0))[..., None]
    return replace(
        panel,
        ranks=np.concatenate([panel.ranks, laid], axis=2),
        known=np.concatenate([panel.known, np.zeros(laid.shape, dtype=bool)], axis=2),
        descriptors=(*panel.descriptors, PLACEBO),
    )


def check_placebo(model: str, month: Month, panel: RankedPanel, config: Config) -> Check:
    """Train a model on the panel's descriptors, the last a placebo, and compare what they are said to matter.

    The model is one network, however many the published ensemble has, and is trained as each of its members. A
    descriptor's size is the mean absolute relevance of its inputs over the as-of month's stocks.

    Parameters
    ----------
    model
        One that can be explained.
    month
        The as-of month.
    panel
        From :func:`with_placebo`.
    config
        How stocks are chosen, models trained and predictions explained.

    Returns
    -------
    Check
        The placebo's size over the mean of the others', with each descriptor's share of all, ``shares``.

    Raises
    ------
    TrainingError
        If the network could not be trained.
    """
    window = Window(month)
    network = _train(model, month, training_samples(panel, window, config.universe), config.training)
    samples = prediction_samples(panel, window, config.universe)
    with one_thread():
        account = relevance(network, samples.inputs, network_rules(config.attribution.rules, len(network.kernels)))
    sizes = np.abs(account.inputs).mean(axis=0).reshape(len(LAGS), -1).sum(axis=0)
    if not sizes.any():
        return Check(math.nan, {"shares": None})
    shares = dict(zip((*NAMES, PLACEBO), (sizes / sizes.sum()).tolist(), strict=True))
    usual = sizes[:-1].mean()
    return Check(float(sizes[-1] / usual) if usual > 0 else math.nan, {"shares": shares})


def _train(model: str, month: Month, samples: Samples, training: TrainingConfig) -> Network:
    targets = target_values(samples.returns, samples.months, training.target)
    if model not in HIDDEN_LAYERS:
        from deepfactor.models.baselines import fit_linear  # scikit-learn takes a second to import

        return fit_linear(samples.inputs, targets)
    from deepfactor.models.ensembles import train_ensemble  # TensorFlow takes seconds to import
    from deepfactor.models.training import Labelled

    kept = samples.months > samples.months.max() - training.validation_months
    learned, measured = (Labelled(samples.inputs[rows], targets[rows]) for rows in (~kept, kept))
    single = replace(training, members=1)
    try:
        ensemble = train_ensemble(model, month, learned, measured if kept.any() else None, single, _silent)
    except TrainingError as error:
        raise TrainingError(f"the network beside {model} that has a placebo for a descriptor: {error}") from None
    return ensemble.network()


def _silent(_: Any) -> None:
    """Tell nobody: it is not the model whose training is shown."""
