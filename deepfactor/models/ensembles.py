"""An ensemble from first weights to the ones that are kept: early stopping, and members that go wrong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.config import TrainingConfig
from deepfactor.errors import TrainingError
from deepfactor.models.base import Network, member_seeds
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.progress import Progress, TrainingProgress
from deepfactor.models.training import Epoch, Labelled, train_epochs
from deepfactor.months import Month

LOGGER = logging.getLogger(__name__)

# Outputs that differ by less, relative to the targets, are one number with rounding.
_CONSTANT = 1e-6
# What a member has learned is judged on so many of its training samples: an error of 1 % of the variance, and cheap.
_JUDGED_ROWS = 20_000


@dataclass(frozen=True)
class Member:
    """A trained member of an ensemble, or one that went wrong.

    Attributes
    ----------
    network
        Its weights, an ensemble of one.
    seed
        What it was trained from.
    epoch
        The epoch whose weights were kept, from 1.
    losses, validation_losses
        Mean squared error by epoch, in squared units of the target; the latter NaN where nothing was kept for it.
    """

    network: Network
    seed: int
    epoch: int
    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]


@dataclass(frozen=True)
class Ensemble:
    """Members in order, and those that had to be trained again.

    Attributes
    ----------
    members
        One per place of the ensemble.
    failures
        For each time that a member went wrong its ``member``, ``attempt`` (from 1), ``seed`` and ``reason``.
    """

    members: tuple[Member, ...]
    failures: tuple[dict[str, Any], ...]

    def network(self) -> Network:
        """Return all members as one network."""
        networks = [member.network for member in self.members]
        kernels = zip(*(each.kernels for each in networks), strict=True)
        biases = zip(*(each.biases for each in networks), strict=True)
        return Network(tuple(map(np.concatenate, kernels)), tuple(map(np.concatenate, biases)))


def train_ensemble(
    model: str,
    month: Month,
    training_set: Labelled,
    validation_set: Labelled | None,
    training: TrainingConfig,
    progress: Progress,
) -> Ensemble:
    """Train an ensemble; what went wrong is trained again from other seeds.

    Parameters
    ----------
    model
        One of ``HIDDEN_LAYERS``.
    month
        The as-of month, which decides the seeds.
    training_set
        What is learned.
    validation_set
        Where given, each member ends with the weights of its epoch with the least loss on these samples, and training
        ends when for ``training.patience`` epochs no member had a smaller one.
    training
        Members, epochs, attempts, and what an epoch needs.
    progress
        Told of every epoch.

    Raises
    ------
    TrainingError
        If a member goes wrong at every attempt.
    """
    members: dict[int, Member] = {}
    failures: list[dict[str, Any]] = []
    for attempt in range(1, training.attempts + 1):
        places = [place for place in range(training.members) if place not in members]
        seeds = [member_seeds(month, model, training.members, attempt)[place] for place in places]
        told = _Told(progress, month, model, attempt, training.epochs)
        trained = _train(HIDDEN_LAYERS[model], training_set, validation_set, seeds, training, told)
        for place, member in zip(places, trained, strict=True):
            reason = fault(member, training_set)
            if reason is None:
                members[place] = member
                continue
            LOGGER.warning("%s %s: member %d went wrong: %s", month, model, place, reason)
            failures.append({"member": place, "attempt": attempt, "seed": str(member.seed), "reason": reason})
        if len(members) == training.members:
            return Ensemble(tuple(members[place] for place in range(training.members)), tuple(failures))
    wrong = ", ".join(str(place) for place in range(training.members) if place not in members)
    raise TrainingError(
        f"{month} {model}: members {wrong} went wrong in {training.attempts} attempts, in the last "
        f"because {failures[-1]['reason']}: lower the learning rate ({training.learning_rate}) or the weight "
        f"decay ({training.weight_decay}), or look for wild values in the training returns"
    )


def fault(member: Member, training_set: Labelled) -> str | None:
    """Return why a member is of no use; none if it has learned something.

    Its weights are judged on at most 20,000 training samples, evenly taken.
    """
    if not np.isfinite(member.losses).all():
        epoch = int(np.flatnonzero(~np.isfinite(member.losses))[0])
        return f"the loss of epoch {epoch + 1} is {member.losses[epoch]}"
    chosen = slice(None, None, -(-len(training_set) // _JUDGED_ROWS))
    targets = training_set.targets[chosen]
    outputs = member.network.member_scores(training_set.inputs[chosen])[0]
    if not np.isfinite(outputs).all():
        return "its outputs are not finite"
    if outputs.std() <= _CONSTANT * targets.std():
        return f"it gives {outputs[0]:.6g} for every sample"
    loss = float(np.mean((outputs - targets) ** 2))
    if loss > targets.var():
        return f"its mean squared error {loss:.6g} is above that of predicting the mean, {targets.var():.6g}"
    return None


@dataclass(frozen=True)
class _Told:
    """Tells of an attempt's epochs."""

    progress: Progress
    month: Month
    model: str
    attempt: int
    epochs: int

    def __call__(self, epoch: Epoch, seconds: float) -> None:
        left = seconds / epoch.number * (self.epochs - epoch.number)
        losses = float(epoch.losses.mean()), float(epoch.validation_losses.mean())
        self.progress(TrainingProgress(self.month, self.model, self.attempt, epoch.number, self.epochs, *losses, left))


def _train(
    hidden: Sequence[int],
    training_set: Labelled,
    validation_set: Labelled | None,
    seeds: Sequence[int],
    training: TrainingConfig,
    told: _Told,
) -> list[Member]:
    """Train members once, each to its best epoch, or to the last where there is nothing to tell the best by."""
    started = perf_counter()
    start = initial_network(training_set.inputs.shape[1], hidden, seeds)
    epochs: list[Epoch] = []
    best = np.full(len(seeds), np.inf)
    kept: dict[int, Epoch] = {}
    for epoch in train_epochs(start, training_set, seeds, training, validation_set):
        epochs.append(epoch)
        told(epoch, perf_counter() - started)
        better = np.ones(len(seeds), bool) if validation_set is None else epoch.validation_losses < best
        best = np.where(better, epoch.validation_losses, best)
        kept |= dict.fromkeys(map(int, np.flatnonzero(better)), epoch)
        if epoch.number - max((each.number for each in kept.values()), default=0) >= training.patience:
            break
    curves = np.stack([(each.losses, each.validation_losses) for each in epochs])
    # A member that never had a finite loss ends with its last weights, whose fault will be found.
    return [_member(place, seed, kept.get(place, epochs[-1]), curves[:, :, place]) for place, seed in enumerate(seeds)]


def _member(place: int, seed: int, epoch: Epoch, curves: NDArray[np.float64]) -> Member:
    own = slice(place, place + 1)
    network = Network(
        tuple(kernel[own] for kernel in epoch.network.kernels), tuple(bias[own] for bias in epoch.network.biases)
    )
    return Member(network, seed, epoch.number, tuple(curves[:, 0].tolist()), tuple(curves[:, 1].tolist()))
