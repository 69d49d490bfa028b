"""The kernel: relevance of every input, and of every bias, for every stock and member, in float64.

Two matrix products a layer; no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.attribution.rules import Rule, Zero, layer_rules
from deepfactor.models.base import Network

_F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Relevance:
    """A ledger per stock, or per portfolio: inputs + bias + level + leak = prediction.

    Attributes
    ----------
    member_inputs
        Signed relevance of each input, in units of the prediction, shape (members, n, features).
    member_bias
        Relevance of each layer's biases, first layer first, shape (members, n, layers).
    member_leak
        What each layer's rule did not hand on, shape (members, n, layers).
    member_prediction
        Shape (members, n).
    level
        The calibration's level, the same for every stock and member, shape (n,).
    """

    member_inputs: _F64
    member_bias: _F64
    member_leak: _F64
    member_prediction: _F64
    level: _F64

    @cached_property
    def inputs(self) -> _F64:
        """The ensemble's relevance of each input, shape (n, features)."""
        return _mean(self.member_inputs)

    @property
    def bias(self) -> _F64:
        """The ensemble's relevance of each layer's biases, shape (n, layers)."""
        return _mean(self.member_bias)

    @property
    def leak(self) -> _F64:
        """The ensemble's leak of each layer, shape (n, layers)."""
        return _mean(self.member_leak)

    @property
    def prediction(self) -> _F64:
        """The ensemble's prediction, shape (n,)."""
        return _mean(self.member_prediction)

    @property
    def dispersion(self) -> _F64:
        """Standard deviation of the members' relevances, shape (n, features); 0 for one member."""
        spread: _F64 = self.member_inputs.std(axis=0)
        return spread

    def imbalance(self) -> _F64:
        """Return |inputs + bias + level + leak − prediction| of each stock, shape (n,)."""
        booked = self.inputs.sum(axis=1) + self.bias.sum(axis=1) + self.leak.sum(axis=1) + self.level
        difference: _F64 = np.abs(booked - self.prediction)
        return difference

    def portfolios(self, weights: _F64) -> Relevance:
        """Return the relevance of portfolios: relevance is linear, so theirs is the weighted sum of their stocks'.

        Parameters
        ----------
        weights
            Of each stock in each portfolio, shape (portfolios, n).
        """
        return Relevance(
            weights @ self.member_inputs,
            weights @ self.member_bias,
            weights @ self.member_leak,
            self.member_prediction @ weights.T,
            weights @ self.level,
        )


def _mean(values: _F64) -> _F64:
    mean: _F64 = values.mean(axis=0)
    return mean


def relevance(
    network: Network, inputs: NDArray[np.floating[Any]], rule: Rule | Sequence[Rule] | None = None
) -> Relevance:
    """Propagate the prediction of each stock back to its inputs.

    Parameters
    ----------
    network
        Any depth, width and number of members.
    inputs
        Shape (n, features).
    rule
        How relevance is divided: a rule for all layers, or one for each, first layer first; ``Zero()`` if not given.

    Raises
    ------
    ConfigurationError
        If the rules are not as many as the layers.
    """
    rules = layer_rules(Zero() if rule is None else rule, len(network.kernels))
    layers = _forward(network, inputs.astype(np.float64))
    prediction = network.calibration(layers[-1].total)[..., 0]
    received = network.calibration.slope * layers[-1].total
    bias, leak = [], []
    for layer, each in zip(reversed(layers), reversed(rules), strict=True):
        received, to_bias, leaked = layer.divide(each, received)
        bias.append(to_bias)
        leak.append(leaked)
    level = np.full(len(inputs), network.calibration.level)
    return Relevance(received, np.stack(bias[::-1], axis=2), np.stack(leak[::-1], axis=2), prediction, level)


@dataclass(frozen=True)
class _Layer:
    """What enters a layer (members, n, in), its weights, and its pre-activations (members, n, out)."""

    activation: _F64
    kernel: _F64
    offset: _F64
    total: _F64

    @cached_property
    def positive(self) -> _F64:
        return self._sum(1)

    @cached_property
    def negative(self) -> _F64:
        return self._sum(-1)

    def divide(self, rule: Rule, received: _F64) -> tuple[_F64, _F64, _F64]:
        """Return the relevance of the layer's inputs (members, n, in), of its biases and its leak (members, n)."""
        positive, negative = rule.multipliers(self, received)
        if positive is negative:
            handed = self.activation * (positive @ self.kernel.transpose(0, 2, 1))
            return handed, (self.offset * positive).sum(axis=2), (received - self.total * positive).sum(axis=2)
        leaked = received - self.positive * positive - self.negative * negative
        to_bias = _part(self.offset, 1) * positive + _part(self.offset, -1) * negative
        return self._hand_on(positive, negative), to_bias.sum(axis=2), leaked.sum(axis=2)

    def _hand_on(self, positive: _F64, negative: _F64) -> _F64:
        upward, downward = (_part(self.kernel, sign).transpose(0, 2, 1) for sign in (1, -1))
        handed: _F64 = _part(self.activation, 1) * (positive @ upward + negative @ downward)
        if self._has_negative_inputs:
            handed += _part(self.activation, -1) * (positive @ downward + negative @ upward)
        return handed

    def _sum(self, sign: int) -> _F64:
        """Return the sum of the contributions, and of the bias, of one sign."""
        total: _F64 = _part(self.activation, 1) @ _part(self.kernel, sign) + _part(self.offset, sign)
        if self._has_negative_inputs:
            total += _part(self.activation, -1) @ _part(self.kernel, -sign)
        return total

    @cached_property
    def _has_negative_inputs(self) -> bool:
        return bool((self.activation < 0).any())


def _part(values: _F64, sign: int) -> _F64:
    """Return the values of one sign, and zeros in the place of the others."""
    part: _F64 = np.maximum(values, 0.0) if sign > 0 else np.minimum(values, 0.0)
    return part


def _forward(network: Network, inputs: _F64) -> list[_Layer]:
    activation = np.broadcast_to(inputs, (network.members, *inputs.shape))
    layers = []
    for kernel, offset in network.layers:
        total = activation @ kernel + offset
        layers.append(_Layer(activation, kernel, offset, total))
        activation = np.maximum(total, 0.0)
    return layers
