"""Rules of layer-wise relevance propagation, as data.

A rule says by what the relevance of a unit is divided before it is handed to the unit's inputs in proportion to their
contributions: ``R_i = sum_j a_i w_ij / denominator_j R_j``. What the division leaves over is the ledger's leak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Rule(Protocol):
    """How a layer's relevance is divided."""

    def denominator(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each unit's relevance is divided by, for pre-activations z (members, n, units).

        A zero stands for "hand nothing on": the unit's relevance becomes leak.
        """
        ...


@dataclass(frozen=True)
class Zero:
    """LRP-0 (equation 6 of the paper): in proportion to the contributions themselves, nothing lost.

    For ReLU networks the relevances equal gradient × input, and the bias terms bias × gradient.
    """

    def denominator(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return z itself."""
        return z


@dataclass(frozen=True)
class Epsilon:
    """LRP-ε (Bach et al. 2015): contributions that nearly cancel are damped, at the price of a leak.

    Attributes
    ----------
    relative
        ε as a share of the layer's root mean square pre-activation; an absolute ε means something else in each layer.
    """

    relative: float = 1e-3

    def denominator(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return z moved away from zero by ε times the layer's RMS of each member."""
        scale = self.relative * np.sqrt(np.mean(z**2, axis=(1, 2), keepdims=True))
        moved: NDArray[np.float64] = z + np.where(z >= 0, scale, -scale)
        return moved
