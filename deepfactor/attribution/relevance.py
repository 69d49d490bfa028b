"""The kernel: relevance of every input, and of every bias, for every stock and member, in float64.

Two matrix products a layer; no TensorFlow. What is propagated is relevance per unit of activation, which under LRP-0 is
the gradient: nothing is divided by a pre-activation that nearly vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.attribution.layers import Layer, Member, blocks
from deepfactor.attribution.rules import Rule, Zero, layer_rules
from deepfactor.cores import available_cores
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
    depth, shape = len(network.kernels), (network.members, len(inputs))
    rules = layer_rules(Zero() if rule is None else rule, depth)
    by_input, scores = np.empty((network.members, *inputs.shape)), np.empty(shape)
    bias, leak = np.empty((*shape, depth)), np.empty((*shape, depth))
    members = [Member.of(network, place, inputs) for place in range(network.members)]

    def explain(task: tuple[int, slice]) -> None:
        place, rows = task
        layers = members[place].layers(rows)
        scores[task] = layers[-1].total[:, 0]
        first = _propagate(layers, rules, network.calibration.slope, bias[task], leak[task])
        np.multiply(layers[0].entering, first, out=by_input[task])

    # Each block of stocks is for itself, so the bits do not depend on how many are worked on at once.
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(explain, product(range(network.members), blocks(len(inputs)))))
    level = np.full(len(inputs), network.calibration.level)
    return Relevance(by_input, bias, leak, network.calibration(scores), level)


def _propagate(layers: Sequence[Layer], rules: Sequence[Rule], slope: float, bias: _F64, leak: _F64) -> _F64:
    """Fill in bias and leak by layer, and return the relevance of the inputs per unit of them, shape (n, features)."""
    signal = np.full(layers[-1].total.shape, slope)
    for layer, rule in zip(reversed(layers), reversed(rules), strict=True):
        multipliers = rule.multipliers(layer, signal)
        bias[:, layer.place] = layer.to_biases(*multipliers)
        leak[:, layer.place] = layer.leak(signal, *multipliers)
        signal = layer.signal(*multipliers)
        if layer.place > 0:
            # A ReLU that is off has no part in the prediction.
            signal *= layer.entering > 0
    return signal
