"""What becomes of an ensemble: which epoch is kept, and what happens to members that go wrong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from deepfactor.config import TrainingConfig
from deepfactor.errors import TrainingError
from deepfactor.models import ensembles
from deepfactor.models.base import Network, member_seeds
from deepfactor.models.ensembles import Ensemble, Member, fault, train_ensemble
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.progress import TrainingProgress
from deepfactor.models.training import Labelled, train_epochs
from deepfactor.months import Month
from tests.models.test_training import made_up

MONTH = Month.parse("2016-02")
BRIEF = TrainingConfig(members=3, epochs=4, batch_size=32, learning_rate=0.002, weight_decay=0.0)


def quiet(progress: TrainingProgress) -> None:
    assert progress.model == "dfm1"


def trained(training: TrainingConfig, data: Labelled, validation: Labelled | None = None) -> Ensemble:
    return train_ensemble("dfm1", MONTH, data, validation, training, quiet)


def broken_starts(monkeypatch: pytest.MonkeyPatch, spoil: dict[int, float]) -> None:
    """Let the first weights of members with these seeds be scaled; a factor of zero kills every unit."""

    def start(inputs: int, hidden: tuple[int, ...], seeds: list[int]) -> Network:
        network = initial_network(inputs, hidden, seeds)
        factors = np.array([spoil.get(seed, 1.0) for seed in seeds], dtype=np.float32)
        return Network(tuple(kernel * factors[:, None, None] for kernel in network.kernels), network.biases)

    monkeypatch.setattr(ensembles, "initial_network", start)


class TestEpochs:
    def test_without_validation_the_last_epoch_is_kept(self) -> None:
        data = made_up()
        seeds = member_seeds(MONTH, "dfm1", 3)
        ensemble = trained(BRIEF, data)
        *_, last = train_epochs(initial_network(80, HIDDEN_LAYERS["dfm1"], seeds), data, seeds, BRIEF)
        assert ensemble.network().to_bytes() == last.network.to_bytes()
        assert [member.epoch for member in ensemble.members] == [4, 4, 4]
        assert [member.seed for member in ensemble.members] == list(seeds)
        assert all(len(member.losses) == 4 for member in ensemble.members)
        assert ensemble.failures == ()

    def test_each_member_ends_with_its_best_epoch(self) -> None:
        training = replace(BRIEF, epochs=12, patience=3)
        held = made_up(400)
        noise = Labelled(held.inputs, np.random.default_rng(1).normal(0, 0.05, 400))
        ensemble = trained(training, made_up(), noise)
        for member in ensemble.members:
            curve = np.array(member.validation_losses)
            assert member.epoch == int(curve.argmin()) + 1
            scores = member.network.member_scores(noise.inputs)[0]
            assert ((scores - noise.targets) ** 2).mean() == pytest.approx(curve.min(), rel=1e-4)
        newest = max(member.epoch for member in ensemble.members)
        ran = len(ensemble.members[0].losses)
        assert ran == min(newest + training.patience, training.epochs)
        assert ran < training.epochs, "noise cannot be learned for long"


class TestGoingWrong:
    def test_a_dead_member_is_trained_again_from_another_seed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second = member_seeds(MONTH, "dfm1", 3), member_seeds(MONTH, "dfm1", 3, attempt=2)
        assert not set(first) & set(second)
        sound = trained(BRIEF, made_up())
        broken_starts(monkeypatch, {first[1]: 0.0})
        ensemble = trained(BRIEF, made_up())
        assert [member.seed for member in ensemble.members] == [first[0], second[1], first[2]]
        (failure,) = ensemble.failures
        assert (failure["member"], failure["attempt"], failure["seed"]) == (1, 1, str(first[1]))
        assert "for every sample" in failure["reason"]
        assert ensemble.members[0].losses == sound.members[0].losses
        assert ensemble.network().members == 3

    def test_a_loss_that_is_not_finite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (first, *_) = member_seeds(MONTH, "dfm1", 3)
        broken_starts(monkeypatch, {first: math.inf})
        ensemble = trained(BRIEF, made_up(), made_up(200))
        assert ensemble.failures[0]["reason"] == "the loss of epoch 1 is nan"
        assert np.isfinite([member.losses for member in ensemble.members]).all()

    def test_it_fails_where_every_attempt_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seeds = [member_seeds(MONTH, "dfm1", 3, attempt)[2] for attempt in (1, 2)]
        broken_starts(monkeypatch, dict.fromkeys(seeds, 0.0))
        with pytest.raises(TrainingError, match=r"2016-02 dfm1: members 2 went wrong in 2 attempts.*for every sample"):
            trained(replace(BRIEF, attempts=2), made_up())

    def test_wild_targets_are_refused(self) -> None:
        data = made_up()
        data.targets[3] = 1e30
        with pytest.raises(TrainingError, match="members 0, 1, 2 went wrong in 3 attempts.*learning rate"):
            trained(BRIEF, data)

    def test_worse_than_the_mean(self) -> None:
        data = made_up()
        network = initial_network(80, (4,), [1])
        # Outputs of almost no spread, a little beside the mean: a quarter more than the variance.
        level = np.array([[data.targets.mean() + data.targets.std() / 2]], np.float32)
        kernels = (network.kernels[0], network.kernels[1] * np.float32(1e-2))
        beside = replace(network, kernels=kernels, biases=(network.biases[0], level))
        assert "above that of predicting the mean" in str(fault(Member(beside, 1, 1, (0.1,), (math.nan,)), data))


def test_every_epoch_is_told() -> None:
    told: list[TrainingProgress] = []
    train_ensemble("dfm1", MONTH, made_up(), made_up(100), replace(BRIEF, patience=9), told.append)
    assert [each.epoch for each in told] == [1, 2, 3, 4]
    last = told[-1]
    assert (last.month, last.model, last.attempt, last.epochs, last.seconds_left) == (MONTH, "dfm1", 1, 4, 0.0)
    assert told[0].seconds_left > 0
    assert str(replace(last, loss=0.5, validation_loss=0.25)) == (
        "2016-02 dfm1: epoch 4 of 4, loss 0.500000, validation loss 0.250000, 0 s left"
    )
    assert str(replace(last, loss=0.5, validation_loss=math.nan, attempt=2, seconds_left=61.4)) == (
        "2016-02 dfm1, attempt 2: epoch 4 of 4, loss 0.500000, 61 s left"
    )
