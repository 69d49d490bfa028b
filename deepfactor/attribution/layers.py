"""What the kernel works on: a member's layers, with what enters them and what becomes of it, for some of the stocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.models.base import Network

_F64 = NDArray[np.float64]

# Stocks at a time. What a layer holds of them, a fifth of a megabyte, stays in a core's cache and is allocated quickly;
# six blocks of 2,000 stocks occupy two cores alike.
_BLOCK = 328


@dataclass(frozen=True)
class Weights:
    """A layer's kernel (in, out) and biases (out,), of one member."""

    kernel: _F64
    biases: _F64

    @cached_property
    def positive(self) -> Weights:
        """The positive ones, and zeros in the place of the others."""
        return Weights(np.maximum(self.kernel, 0.0), np.maximum(self.biases, 0.0))

    @cached_property
    def negative(self) -> Weights:
        """The negative ones, and zeros in the place of the others."""
        return Weights(np.minimum(self.kernel, 0.0), np.minimum(self.biases, 0.0))


@dataclass(frozen=True)
class Layer:
    """A layer's part in the predictions of some stocks; what a rule is told of it (``rules.UnitSums``).

    Attributes
    ----------
    place
        From 0, the first.
    entering
        Inputs, or activations of the layer before, shape (n, in).
    total
        Pre-activations, shape (n, out).
    member
        Whose layer it is.
    """

    place: int
    entering: _F64
    total: _F64
    member: Member

    @property
    def weights(self) -> Weights:
        """The layer's own."""
        return self.member.weights[self.place]

    @property
    def scale(self) -> float:
        """Root mean square of the pre-activations over all the member's stocks."""
        return float(self.member.scales[self.place])

    @cached_property
    def positive(self) -> _F64:
        """Sum of the positive contributions, and of the bias where it is positive, shape (n, out)."""
        return self._sum(self.weights.positive, self.weights.negative)

    @cached_property
    def negative(self) -> _F64:
        """Sum of the negative contributions, and of the bias where it is negative, shape (n, out)."""
        return self._sum(self.weights.negative, self.weights.positive)

    def _sum(self, same: Weights, opposite: Weights) -> _F64:
        # Each sign is summed up by itself: as a difference a small one would be lost in rounding.
        total: _F64 = np.maximum(self.entering, 0.0) @ same.kernel + same.biases
        if self._any_below_zero:
            total += np.minimum(self.entering, 0.0) @ opposite.kernel
        return total

    @cached_property
    def _any_below_zero(self) -> bool:
        return bool((self.entering < 0).any())

    def signal(self, positive: _F64, negative: _F64) -> _F64:
        """Return the relevance of what enters, per unit of it, shape (n, in), from the multipliers (n, out)."""
        if positive is negative:
            return positive @ self.weights.kernel.T
        upward, downward = self.weights.positive.kernel.T, self.weights.negative.kernel.T
        signal = positive @ upward + negative @ downward
        if self._any_below_zero:
            signal = np.where(self.entering < 0, positive @ downward + negative @ upward, signal)
        return signal

    def to_biases(self, positive: _F64, negative: _F64) -> _F64:
        """Return the relevance of the layer's biases, shape (n,)."""
        if positive is negative:
            return positive @ self.weights.biases
        return positive @ self.weights.positive.biases + negative @ self.weights.negative.biases

    def leak(self, signal: _F64, positive: _F64, negative: _F64) -> _F64:
        """Return what the multipliers leave over of the units' relevance, signal × pre-activation, shape (n,)."""
        if positive is signal and negative is signal:
            return np.zeros(len(signal))
        if positive is negative:
            return _products(self.total, signal - positive)
        handed_on = _products(self.positive, positive) + _products(self.negative, negative)
        return _products(self.total, signal) - handed_on


@dataclass(frozen=True)
class Member:
    """One network of an ensemble, and the stocks it is shown.

    Attributes
    ----------
    weights
        Of each layer.
    inputs
        Shape (n, features).
    """

    weights: tuple[Weights, ...]
    inputs: NDArray[np.floating[Any]]

    @classmethod
    def of(cls, network: Network, place: int, inputs: NDArray[np.floating[Any]]) -> Member:
        """Return the member at some place of an ensemble."""
        return cls(tuple(Weights(kernel[place], biases[place, 0]) for kernel, biases in network.layers), inputs)

    def layers(self, rows: slice) -> list[Layer]:
        """Return the layers for some of the stocks, first layer first."""
        entering, layers = self.inputs[rows].astype(np.float64, copy=False), []
        for place, weights in enumerate(self.weights):
            total = entering @ weights.kernel
            total += weights.biases
            layers.append(Layer(place, entering, total, self))
            entering = np.maximum(total, 0.0)
        return layers

    @cached_property
    def scales(self) -> _F64:
        """Root mean square of each layer's pre-activations over all stocks and units, shape (layers,)."""
        squares = np.zeros(len(self.weights))
        for rows in blocks(len(self.inputs)):
            squares += [np.sum(layer.total**2) for layer in self.layers(rows)]
        counts = [len(self.inputs) * len(weights.biases) for weights in self.weights]
        scales: _F64 = np.sqrt(squares / counts)
        return scales


def blocks(stocks: int) -> list[slice]:
    """Return the rows that are worked on together, one block after the other."""
    return [slice(first, first + _BLOCK) for first in range(0, stocks, _BLOCK)]


def _products(one: _F64, other: _F64) -> _F64:
    """Return each row's sum of products, shape (n,)."""
    products: _F64 = np.einsum("ij,ij->i", one, other)
    return products
