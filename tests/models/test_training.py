"""Training against plain Keras, and bit for bit against itself in another process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from deepfactor.config import TrainingConfig
from deepfactor.errors import TrainingError
from deepfactor.models.base import Network
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.training import _batches, fit

SAMPLES, WIDTH, SEEDS = 1000, 80, (11, 12)
SHORT = TrainingConfig(epochs=3, batch_size=128)


def made_up(samples: int = SAMPLES) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return inputs and targets with something to learn."""
    generator = np.random.default_rng(5)
    inputs = generator.uniform(-0.5, 0.5, (samples, WIDTH)).astype(np.float32)
    targets = 0.2 * inputs[:, 0] * inputs[:, 1] + 0.05 * inputs[:, 2] + generator.normal(0, 0.05, samples)
    return inputs, targets


def digest_of_training() -> str:
    """Train and return a digest of every weight."""
    inputs, targets = made_up()
    start = initial_network(WIDTH, HIDDEN_LAYERS["dfm2"], SEEDS)
    return hashlib.sha256(fit(start, inputs, targets, SEEDS, SHORT).network.to_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["dfm1", "dfm2"])
def test_the_same_numbers_as_keras(name: str) -> None:
    """From the same weights and the same batches, member by member, the short last batch included."""
    import keras
    import tensorflow as tf

    inputs, targets = made_up()
    start = initial_network(WIDTH, HIDDEN_LAYERS[name], SEEDS)
    fitted = fit(start, inputs, targets, SEEDS, SHORT)
    batches = -(-SAMPLES // SHORT.batch_size)
    for member in range(len(SEEDS)):
        widths = HIDDEN_LAYERS[name]
        model = keras.Sequential(
            [keras.Input((WIDTH,)), *(keras.layers.Dense(width, "relu") for width in widths), keras.layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(SHORT.learning_rate), "mse")
        pairs = zip(start.kernels, start.biases, strict=True)
        model.set_weights([each[member] for pair in pairs for each in pair])
        for epoch in range(SHORT.epochs):
            rows, _ = _batches(
                tf.constant(SEEDS, tf.int64), tf.constant(epoch, tf.int64), SAMPLES, batches, SHORT.batch_size
            )
            order = rows.numpy()[member].ravel()[:SAMPLES]
            history = model.fit(
                inputs[order], targets[order], batch_size=SHORT.batch_size, epochs=1, shuffle=False, verbose=0
            )
            assert fitted.losses[epoch, member] == pytest.approx(history.history["loss"][0], rel=1e-4)
        ours = [
            each[member] for pair in zip(fitted.network.kernels, fitted.network.biases, strict=True) for each in pair
        ]
        for mine, keras_weights in zip(ours, model.get_weights(), strict=True):
            np.testing.assert_allclose(mine, keras_weights, atol=1e-4)


@pytest.mark.parametrize("cores", [{0}, {0, 1}], ids=["one core", "two cores"])
def test_the_same_bits_in_another_process(cores: set[int]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.fail("this test compares one core with two, and needs a machine with two")
    code = "from tests.models.test_training import digest_of_training; print(digest_of_training())"
    other = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    assert other.stdout.strip() == digest_of_training()


def test_every_sample_is_seen_once_an_epoch_in_an_order_of_its_own() -> None:
    import tensorflow as tf

    orders = []
    for epoch in range(2):
        rows, counted = _batches(tf.constant(SEEDS, tf.int64), tf.constant(epoch, tf.int64), 10, 3, 4)
        flat = rows.numpy().reshape(len(SEEDS), -1)
        assert counted.numpy().ravel().tolist() == [1.0] * 10 + [0.0] * 2
        orders += [tuple(row[:10]) for row in flat]
        assert all(sorted(row[:10]) == list(range(10)) for row in flat)
    assert len(set(orders)) == 4


def test_a_member_does_not_depend_on_the_others() -> None:
    inputs, targets = made_up()
    both = fit(initial_network(WIDTH, (10, 5), SEEDS), inputs, targets, SEEDS, SHORT).network
    alone = fit(initial_network(WIDTH, (10, 5), SEEDS[1:]), inputs, targets, SEEDS[1:], SHORT).network
    for ours, theirs in zip(both.kernels, alone.kernels, strict=True):
        np.testing.assert_allclose(ours[1], theirs[0], atol=1e-5)


def test_it_learns() -> None:
    inputs, targets = made_up(4000)
    start = initial_network(WIDTH, HIDDEN_LAYERS["dfm1"], SEEDS)
    fitted = fit(start, inputs, targets, SEEDS, TrainingConfig(epochs=15, batch_size=128))
    # Five sixths of the variance is noise.
    assert fitted.losses[-1].max() < 0.9 * targets.var()


def test_progress_is_told_for_every_epoch() -> None:
    inputs, targets = made_up()
    told: list[tuple[int, float]] = []
    start = initial_network(WIDTH, (5,), SEEDS)
    fitted = fit(start, inputs, targets, SEEDS, SHORT, lambda epoch, loss: told.append((epoch, loss)))
    assert told == [(epoch + 1, fitted.losses[epoch].mean()) for epoch in range(3)]


def test_wild_targets_are_refused() -> None:
    inputs, targets = made_up()
    targets[3] = 1e30
    with pytest.raises(TrainingError, match="loss of epoch 1 is .*learning rate"):
        fit(initial_network(WIDTH, (5,), SEEDS), inputs, targets, SEEDS, SHORT)


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
