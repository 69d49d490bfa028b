"""Training an ensemble, every epoch one XLA-compiled program: shuffling, batches, gradients and Adam included.

``keras.Model.fit`` spends most of its time in Python between batches of so small a network. Here the members are
stacked in one batched product and the whole epoch runs without returning to Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.config import TrainingConfig
from deepfactor.models.backend import tf
from deepfactor.models.base import Network
from deepfactor.models.shuffling import shuffled_rows

# Keras's Adam (Kingma, Ba 2015).
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7

Tensors = list[tf.Tensor]
State = tuple[Tensors, Tensors, Tensors]


@dataclass(frozen=True)
class Labelled:
    """Samples with what is to be learned of them.

    Attributes
    ----------
    inputs
        Shape (n, features).
    targets
        Shape (n,).
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Epoch:
    """An ensemble after an epoch.

    Attributes
    ----------
    number
        From 1.
    network
        The weights.
    losses
        Mean squared error of each member over the epoch's batches, shape (members,).
    validation_losses
        Mean squared error of each member on the validation samples after the epoch, shape (members,); NaN where there
        are no such samples.
    """

    number: int
    network: Network
    losses: NDArray[np.float64]
    validation_losses: NDArray[np.float64]


def train_epochs(
    network: Network,
    training_set: Labelled,
    seeds: Sequence[int],
    training: TrainingConfig,
    validation_set: Labelled | None = None,
) -> Iterator[Epoch]:
    """Train an ensemble on squared error with Adam, and yield it after each of the configured epochs.

    A member whose loss becomes NaN or infinite stays so and disturbs no other.

    Parameters
    ----------
    network
        Initial weights.
    training_set
        What is learned.
    seeds
        One per member; decides the order of its batches.
    training
        Epochs, batch size, learning rate and weight decay.
    validation_set
        Samples on which every epoch is measured; nothing is learned from them.
    """
    rows = len(training_set)
    run = _compiled(training.batch_size)
    data = _padded(training_set, _capacity(rows))
    validation = None
    if validation_set is not None:
        validation = (*_padded(validation_set, _capacity(len(validation_set))), tf.constant(len(validation_set)))
    order = tf.constant(np.array(seeds, dtype=np.int64))
    rates = (tf.constant(training.learning_rate, tf.float32), tf.constant(training.weight_decay, tf.float32))
    weights = [tf.constant(each) for each in _interleave(network)]
    state: State = (weights, [tf.zeros_like(each) for each in weights], [tf.zeros_like(each) for each in weights])
    for epoch in range(training.epochs):
        state, *losses = run(*data, tf.constant(rows), order, tf.constant(epoch, tf.int64), state, rates, validation)
        yield Epoch(epoch + 1, _network(state[0]), *(each.numpy().astype(np.float64) for each in losses))


def _interleave(network: Network) -> list[NDArray[np.float32]]:
    pairs = zip(network.kernels, network.biases, strict=True)
    return [np.asarray(each, np.float32) for kernel, bias in pairs for each in (kernel, bias[:, None, :])]


def _network(weights: Tensors) -> Network:
    arrays = [each.numpy() for each in weights]
    return Network(tuple(arrays[0::2]), tuple(each[:, 0] for each in arrays[1::2]))


def _capacity(rows: int) -> int:
    """Return the rows for which the program is compiled: a little more, so that most months share one program."""
    step = 1 << max(rows.bit_length() - 4, 0)
    return -(-rows // step) * step


def _padded(samples: Labelled, capacity: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return inputs (capacity, features) and targets (capacity,), filled up with zeros."""
    fill = capacity - len(samples)
    inputs = np.pad(samples.inputs, ((0, fill), (0, 0)))
    return tf.constant(inputs, tf.float32), tf.constant(np.pad(samples.targets, (0, fill)), tf.float32)


@lru_cache(maxsize=16)
def _compiled(batch: int) -> Callable[..., Any]:
    """Return the program of an epoch with batches of this size; TensorFlow keeps it compiled for each shape."""

    def epoch(
        x: tf.Tensor,
        y: tf.Tensor,
        rows: tf.Tensor,
        seeds: tf.Tensor,
        number: tf.Tensor,
        state: State,
        rates: tuple[tf.Tensor, tf.Tensor],
        validation: tuple[tf.Tensor, tf.Tensor, tf.Tensor] | None,
    ) -> Any:
        # The last batch may be short; it is filled with rows that count nothing.
        order = shuffled_rows(seeds, number, rows, -(-x.shape[0] // batch) * batch)
        batches = (rows + batch - 1) // batch

        def step(index: tf.Tensor, state: State, total: tf.Tensor) -> Any:
            chosen = tf.slice(order, [0, index * batch], [seeds.shape[0], batch])
            counted = tf.cast(index * batch + tf.range(batch) < rows, tf.float32)
            loss, gradients = _loss_and_gradients(state[0], tf.gather(x, chosen), tf.gather(y, chosen), counted)
            update = tf.cast(tf.cast(number, tf.int32) * batches + index + 1, tf.float32)
            return index + 1, _adam(state, gradients, update, *rates), total + loss * tf.reduce_sum(counted)

        start = (tf.constant(0), state, tf.zeros(seeds.shape[0]))
        _, state, total = tf.while_loop(lambda index, *_: index < batches, step, start)
        measured = tf.fill(seeds.shape, np.nan) if validation is None else _loss(state[0], *validation)
        return state, total / tf.cast(rows, tf.float32), measured

    return tf.function(epoch, jit_compile=True)  # type: ignore[no-any-return]  # TensorFlow has no types


def _loss(weights: Tensors, x: tf.Tensor, y: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return each member's mean squared error over the first rows, shape (members,)."""
    counted = tf.cast(tf.range(x.shape[0]) < rows, tf.float32)
    inputs = tf.broadcast_to(x, [weights[0].shape[0], *x.shape])
    return tf.reduce_sum(counted * tf.square(_forward(weights, inputs) - y), axis=1) / tf.reduce_sum(counted)


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


def _adam(state: State, gradients: Tensors, update: tf.Tensor, rate: tf.Tensor, decay: tf.Tensor) -> State:
    """Return the state after an update; weights decay before it, as in Keras (Loshchilov, Hutter 2019)."""
    weights, means, squares = state
    means = [mean + (gradient - mean) * (1 - _BETA_1) for mean, gradient in zip(means, gradients, strict=True)]
    squares = [
        square + (tf.square(gradient) - square) * (1 - _BETA_2)
        for square, gradient in zip(squares, gradients, strict=True)
    ]
    scale = rate * tf.sqrt(1 - tf.pow(_BETA_2, update)) / (1 - tf.pow(_BETA_1, update))
    moved = [
        weight * (1 - rate * decay) - scale * mean / (tf.sqrt(square) + _EPSILON)
        for weight, mean, square in zip(weights, means, squares, strict=True)
    ]
    return moved, means, squares
