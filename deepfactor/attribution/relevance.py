"""The kernel: relevance of every input, and of every bias, for every stock and member, in float64.

Two matrix products a layer; no TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.attribution.rules import Rule, Zero
from deepfactor.models.base import Network


@dataclass(frozen=True)
class Relevance:
    """A ledger per stock: inputs + bias + leak = prediction.

    Attributes
    ----------
    member_inputs
        Signed relevance of each input, in units of the prediction, shape (members, n, features).
    member_bias
        Relevance of each layer's biases, first layer first, then the calibration's level: (members, n, layers + 1).
    member_leak
        What each layer's rule did not hand on, shape (members, n, layers).
    member_prediction
        Shape (members, n).
    """

    member_inputs: NDArray[np.float64]
    member_bias: NDArray[np.float64]
    member_leak: NDArray[np.float64]
    member_prediction: NDArray[np.float64]

    @property
    def inputs(self) -> NDArray[np.float64]:
        """The ensemble's relevance of each input, shape (n, features)."""
        return _mean(self.member_inputs)

    @property
    def bias(self) -> NDArray[np.float64]:
        """The ensemble's relevance of each layer's biases, and the level last, shape (n, layers + 1)."""
        return _mean(self.member_bias)

    @property
    def leak(self) -> NDArray[np.float64]:
        """The ensemble's leak of each layer, shape (n, layers)."""
        return _mean(self.member_leak)

    @property
    def prediction(self) -> NDArray[np.float64]:
        """The ensemble's prediction, shape (n,)."""
        return _mean(self.member_prediction)

    @property
    def dispersion(self) -> NDArray[np.float64]:
        """Standard deviation of the members' relevances, shape (n, features); 0 for one member."""
        spread: NDArray[np.float64] = self.member_inputs.std(axis=0)
        return spread

    def imbalance(self) -> NDArray[np.float64]:
        """Return |inputs + bias + leak − prediction| of each stock, shape (n,)."""
        booked = self.inputs.sum(axis=1) + self.bias.sum(axis=1) + self.leak.sum(axis=1)
        difference: NDArray[np.float64] = np.abs(booked - self.prediction)
        return difference


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = values.mean(axis=0)
    return mean


def relevance(network: Network, inputs: NDArray[np.floating[Any]], rule: Rule | None = None) -> Relevance:
    """Propagate the prediction of each stock back to its inputs.

    Parameters
    ----------
    network
        Any depth, width and number of members.
    inputs
        Shape (n, features).
    rule
        How relevance is divided in every layer; ``Zero()`` if not given.
    """
    rule = Zero() if rule is None else rule
    activations, totals = _forward(network, inputs.astype(np.float64))
    prediction = network.calibration(totals[-1])
    received = network.calibration.slope * totals[-1]
    bias, leak = [np.full(prediction.shape[:2], network.calibration.level)], []
    for (kernel, offset), activation, z in zip(
        reversed(network.layers), reversed(activations), reversed(totals), strict=True
    ):
        divisor = rule.denominator(z)
        share = np.divide(received, divisor, out=np.zeros_like(received), where=divisor != 0)
        bias.append((offset * share).sum(axis=2))
        leak.append((received - z * share).sum(axis=2))
        received = activation * (share @ kernel.transpose(0, 2, 1))
    return Relevance(received, np.stack(bias[::-1], axis=2), np.stack(leak[::-1], axis=2), prediction[..., 0])


def _forward(
    network: Network, inputs: NDArray[np.float64]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Return what enters each layer (members, n, in), and its pre-activations (members, n, out)."""
    activation = np.broadcast_to(inputs, (network.members, *inputs.shape))
    activations, totals = [], []
    for kernel, offset in network.layers:
        activations.append(activation)
        z = activation @ kernel + offset
        totals.append(z)
        activation = np.maximum(z, 0.0)
    return activations, totals
