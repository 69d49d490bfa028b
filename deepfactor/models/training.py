"""Training an ensemble as one XLA-compiled program per epoch: shuffling, batches, gradients and Adam included.

``keras.Model.fit`` spends most of its time in Python between batches of so small a network. Here the members are
stacked in one batched product and the whole epoch runs without returning to Python.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# TensorFlow reads these once, at import. The compiled program does not use oneDNN, whose rounding depends on the
# machine; and what TensorFlow logs below errors is about itself.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf

from deepfactor.config import TrainingConfig
from deepfactor.errors import TrainingError
from deepfactor.models.base import Network

LOGGER = logging.getLogger(__name__)

# Keras's Adam (Kingma, Ba 2015).
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7

Tensors = list[tf.Tensor]
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Fitted:
    """A trained ensemble.

    Attributes
    ----------
    network
        The weights after the last epoch.
    losses
        Mean squared error over each epoch, shape (epochs, members).
    """

    network: Network
    losses: NDArray[np.float64]


def fit(
    network: Network,
    inputs: NDArray[np.float32],
    targets: NDArray[np.float64],
    seeds: Sequence[int],
    training: TrainingConfig,
    progress: Progress = lambda epoch, loss: LOGGER.info("epoch %d: loss %.6f", epoch, loss),
) -> Fitted:
    """Train an ensemble on squared error with Adam.

    Parameters
    ----------
    network
        Initial weights.
    inputs
        Shape (n, features).
    targets
        Shape (n,).
    seeds
        One per member; decides the order of its batches.
    training
        Epochs, batch size and learning rate.
    progress
        Called after each epoch with its number, from 1, and the members' mean loss.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    compiled = _compile_epoch(len(inputs), training)
    x, y = tf.constant(inputs), tf.constant(targets, dtype=tf.float32)
    order = tf.constant(np.array(seeds, dtype=np.int64))
    weights = [tf.constant(each) for each in _interleave(network)]
    state = (weights, [tf.zeros_like(each) for each in weights], [tf.zeros_like(each) for each in weights])
    losses = []
    for epoch in range(training.epochs):
        state, loss = compiled(x, y, order, tf.constant(epoch, tf.int64), state)
        losses.append(loss.numpy().astype(np.float64))
        if not np.isfinite(losses[-1]).all():
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {losses[-1]}: lower the learning rate ({training.learning_rate}) "
                "or look for wild values in the training returns"
            )
        progress(epoch + 1, float(losses[-1].mean()))
    trained = [each.numpy() for each in state[0]]
    return Fitted(Network(tuple(trained[0::2]), tuple(each[:, 0] for each in trained[1::2])), np.stack(losses))


def _interleave(network: Network) -> list[NDArray[np.float32]]:
    pairs = zip(network.kernels, network.biases, strict=True)
    return [np.asarray(each, np.float32) for kernel, bias in pairs for each in (kernel, bias[:, None, :])]


def _compile_epoch(samples: int, training: TrainingConfig) -> Callable[..., Any]:
    """Return the compiled epoch for this many samples."""
    batch = min(training.batch_size, samples)
    batches = -(-samples // batch)

    def epoch(x: tf.Tensor, y: tf.Tensor, seeds: tf.Tensor, number: tf.Tensor, state: tuple[Tensors, ...]) -> Any:
        order, counted = _batches(seeds, number, samples, batches, batch)

        def step(index: tf.Tensor, state: tuple[Tensors, ...], total: tf.Tensor) -> Any:
            rows, weight = order[:, index], counted[index]
            loss, gradients = _loss_and_gradients(state[0], tf.gather(x, rows), tf.gather(y, rows), weight)
            count = tf.cast(number * batches, tf.float32) + tf.cast(index, tf.float32) + 1.0
            return (
                index + 1,
                _adam(state, gradients, count, training.learning_rate),
                total + loss * tf.reduce_sum(weight),
            )

        start = (tf.constant(0), state, tf.zeros(seeds.shape[0]))
        _, state, total = tf.while_loop(lambda index, *_: index < batches, step, start)
        return state, total / samples

    return tf.function(epoch, jit_compile=True)  # type: ignore[no-any-return]


def _batches(seeds: tf.Tensor, epoch: tf.Tensor, samples: int, batches: int, batch: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return each member's shuffled rows (members, batches, batch) and what counts of them (batches, batch).

    The last batch may be short; it is filled with rows that count nothing.
    """
    orders = []
    for member in range(seeds.shape[0]):
        draws = tf.random.stateless_uniform(
            [samples], tf.stack([seeds[member], epoch]), minval=None, maxval=None, dtype=tf.int32
        )
        orders.append(tf.argsort(draws, stable=True))
    fill = batches * batch - samples
    rows = tf.pad(tf.stack(orders), [[0, 0], [0, fill]])
    counted = tf.pad(tf.ones(samples), [[0, fill]])
    return tf.reshape(rows, (seeds.shape[0], batches, batch)), tf.reshape(counted, (batches, batch))


def _loss_and_gradients(weights: Tensors, x: tf.Tensor, y: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
    """Return each member's mean squared error, and its gradients; x: (members, batch, features)."""
    with tf.GradientTape() as tape:
        tape.watch(weights)
        errors = tf.square(_forward(weights, x) - y)
        loss = tf.reduce_sum(counted * errors, axis=1) / tf.reduce_sum(counted)
        total = tf.reduce_sum(loss)  # members share no weight, so each gets its own gradient
    return loss, tape.gradient(total, weights)


def _forward(weights: Tensors, x: tf.Tensor) -> tf.Tensor:
    for kernel, bias in zip(weights[0:-2:2], weights[1:-2:2], strict=True):
        x = tf.nn.relu(tf.matmul(x, kernel) + bias)
    return (tf.matmul(x, weights[-2]) + weights[-1])[..., 0]


def _adam(state: tuple[Tensors, ...], gradients: Tensors, count: tf.Tensor, rate: float) -> tuple[Tensors, ...]:
    weights, means, squares = state
    means = [mean + (gradient - mean) * (1 - _BETA_1) for mean, gradient in zip(means, gradients, strict=True)]
    squares = [
        square + (tf.square(gradient) - square) * (1 - _BETA_2)
        for square, gradient in zip(squares, gradients, strict=True)
    ]
    scale = rate * tf.sqrt(1 - tf.pow(_BETA_2, count)) / (1 - tf.pow(_BETA_1, count))
    moved = [
        weight - scale * mean / (tf.sqrt(square) + _EPSILON)
        for weight, mean, square in zip(weights, means, squares, strict=True)
    ]
    return moved, means, squares
