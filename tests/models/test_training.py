"""Training against plain Keras, and bit for bit against itself in another process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from deepfactor.config import TrainingConfig
from deepfactor.models.backend import tf
from deepfactor.models.base import Network
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.shuffling import shuffled_rows
from deepfactor.models.training import Epoch, Labelled, train_epochs

SAMPLES, WIDTH, SEEDS = 1000, 80, (11, 12)
SHORT = TrainingConfig(epochs=3, batch_size=128, learning_rate=0.001, weight_decay=0.0)


def made_up(samples: int = SAMPLES) -> Labelled:
    """Return inputs and targets with something to learn."""
    generator = np.random.default_rng(5)
    inputs = generator.uniform(-0.5, 0.5, (samples, WIDTH)).astype(np.float32)
    targets = 0.2 * inputs[:, 0] * inputs[:, 1] + 0.05 * inputs[:, 2] + generator.normal(0, 0.05, samples)
    return Labelled(inputs, targets)


def trained(
    network: Network,
    data: Labelled,
    training: TrainingConfig = SHORT,
    seeds: tuple[int, ...] = SEEDS,
    validation: Labelled | None = None,
) -> list[Epoch]:
    return list(train_epochs(network, data, seeds, training, validation))


def digest_of_training(name: str = "dfm2") -> str:
    """Train and return a digest of every weight."""
    start = initial_network(WIDTH, HIDDEN_LAYERS[name], SEEDS)
    return hashlib.sha256(trained(start, made_up())[-1].network.to_bytes()).hexdigest()


def order_of(epoch: int) -> NDArray[np.int32]:
    """Return the members' rows in the order of an epoch."""
    numbers = tf.constant(SEEDS, tf.int64), tf.constant(epoch, tf.int64), tf.constant(SAMPLES)
    order: NDArray[np.int32] = shuffled_rows(*numbers, 1024).numpy()
    return order[:, :SAMPLES]


@pytest.mark.parametrize("decay", [0.0, 2.0])
@pytest.mark.parametrize("name", ["dfm1", "dfm2"])
def test_the_same_numbers_as_keras(name: str, decay: float) -> None:
    """From the same weights and the same batches, member by member, the short last batch included."""
    import keras

    data, training = made_up(), replace(SHORT, weight_decay=decay)
    start = initial_network(WIDTH, HIDDEN_LAYERS[name], SEEDS)
    epochs = trained(start, data, training)
    for member in range(len(SEEDS)):
        widths = HIDDEN_LAYERS[name]
        model = keras.Sequential(
            [keras.Input((WIDTH,)), *(keras.layers.Dense(width, "relu") for width in widths), keras.layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(SHORT.learning_rate, weight_decay=decay or None), "mse")
        pairs = zip(start.kernels, start.biases, strict=True)
        model.set_weights([each[member] for pair in pairs for each in pair])
        for epoch in range(SHORT.epochs):
            order = order_of(epoch)[member]
            history = model.fit(
                data.inputs[order],
                data.targets[order],
                batch_size=SHORT.batch_size,
                epochs=1,
                shuffle=False,
                verbose=0,
            )
            assert epochs[epoch].losses[member] == pytest.approx(history.history["loss"][0], rel=1e-4)
        network = epochs[-1].network
        ours = [each[member] for pair in zip(network.kernels, network.biases, strict=True) for each in pair]
        for mine, keras_weights in zip(ours, model.get_weights(), strict=True):
            np.testing.assert_allclose(mine, keras_weights, atol=1e-4)


@pytest.mark.parametrize("cores", [{0}, {0, 1}], ids=["one core", "two cores"])
def test_the_same_bits_in_another_process(cores: set[int]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.fail("this test compares one core with two, and needs a machine with two")
    # There, another model is trained before.
    code = (
        "from tests.models.test_training import digest_of_training as train; "
        f"train('dfm1') if {len(cores) == 2} else None; print(train())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    assert other.stdout.strip() == digest_of_training()


def test_a_member_does_not_depend_on_the_others() -> None:
    both = trained(initial_network(WIDTH, (10, 5), SEEDS), made_up())[-1].network
    alone = trained(initial_network(WIDTH, (10, 5), SEEDS[1:]), made_up(), seeds=SEEDS[1:])[-1].network
    for ours, theirs in zip(both.kernels, alone.kernels, strict=True):
        np.testing.assert_allclose(ours[1], theirs[0], atol=1e-5)


@pytest.mark.parametrize("samples", [5, 128, 129, 1000])
def test_losses_are_those_of_the_batches_alone(samples: int) -> None:
    """What fills up a batch or the program counts nothing: with a rate of almost zero the loss is that of the start."""
    data = made_up(samples)
    start = initial_network(WIDTH, (6,), SEEDS)
    still = replace(SHORT, epochs=1, learning_rate=1e-12)
    (epoch,) = trained(start, data, still, validation=data)
    expected = ((start.member_scores(data.inputs) - data.targets) ** 2).mean(axis=1)
    np.testing.assert_allclose(epoch.losses, expected, rtol=1e-5)
    np.testing.assert_allclose(epoch.validation_losses, expected, rtol=1e-5)


def test_validation_samples_teach_nothing() -> None:
    start = initial_network(WIDTH, (10, 5), SEEDS)
    without = trained(start, made_up())[-1]
    measured = trained(start, made_up(), validation=made_up(300))[-1]
    for ours, theirs in zip(without.network.kernels, measured.network.kernels, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.isnan(without.validation_losses).all()
    held = made_up(300)
    expected = ((measured.network.member_scores(held.inputs) - held.targets) ** 2).mean(axis=1)
    np.testing.assert_allclose(measured.validation_losses, expected, rtol=1e-5)


def test_it_learns() -> None:
    data = made_up(4000)
    start = initial_network(WIDTH, HIDDEN_LAYERS["dfm1"], SEEDS)
    losses = trained(start, data, replace(SHORT, epochs=15))[-1].losses
    # Five sixths of the variance is noise.
    assert losses.max() < 0.9 * data.targets.var()


def test_a_member_that_breaks_disturbs_no_other() -> None:
    start = initial_network(WIDTH, (10, 5), SEEDS)
    broken = Network(tuple(kernel.copy() for kernel in start.kernels), start.biases)
    broken.kernels[0][0, 0, 0] = np.nan
    sound, beside = trained(start, made_up())[-1], trained(broken, made_up())[-1]
    assert np.isnan(beside.losses[0])
    assert beside.losses[1] == sound.losses[1]


def test_initial_weights_are_glorots() -> None:
    network = initial_network(WIDTH, HIDDEN_LAYERS["dfm2"], SEEDS)
    assert [kernel.shape for kernel in network.kernels] == [
        (2, 80, 80),
        (2, 80, 80),
        (2, 80, 50),
        (2, 50, 50),
        (2, 50, 10),
        (2, 10, 10),
        (2, 10, 1),
    ]
    assert isinstance(network, Network)
    for kernel in network.kernels:
        limit = np.sqrt(6 / sum(kernel.shape[1:]))
        assert np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.35)
    assert all((bias == 0).all() for bias in network.biases)
