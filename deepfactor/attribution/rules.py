"""Rules of layer-wise relevance propagation, as data.

A unit j receives contributions ``c_ij = a_i w_ij`` and a bias ``b_j``; the rule says by which multiplier its positive
and its negative ones become relevance: ``R_ij = p_j c_ij⁺ + n_j c_ij⁻``, the bias likewise. What that leaves over of
the unit's relevance is the ledger's leak, so the ledger closes under any rule.

A unit's relevance is given as a *signal*, per unit of its pre-activation z: ``R_j = s_j z_j``, zero where a ReLU is
off. Under LRP-0 the signal is the gradient; a rule multiplies it by a ratio that stays bounded where z vanishes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deepfactor.errors import ConfigurationError

_F64 = NDArray[np.float64]

# A smaller divisor counts as zero: the quotient could be infinite.
_LEAST = math.sqrt(np.finfo(np.float64).tiny)


class UnitSums(Protocol):
    """What the units of a layer received."""

    @property
    def total(self) -> _F64:
        """Sum of contributions and bias, the pre-activations, shape (n, units)."""
        ...

    @property
    def positive(self) -> _F64:
        """Sum of the positive contributions, and of the bias where it is positive, shape (n, units)."""
        ...

    @property
    def negative(self) -> _F64:
        """Sum of the negative contributions, and of the bias where it is negative, shape (n, units)."""
        ...

    @property
    def scale(self) -> float:
        """Root mean square of ``total`` over all stocks and units, of which these may be a part."""
        ...


class Rule(Protocol):
    """How the relevance of a layer's units is divided among what they received."""

    def multipliers(self, sums: UnitSums, signal: _F64) -> tuple[_F64, _F64]:
        """Return the multipliers of positive and negative contributions, each of shape (n, units).

        The same array twice stands for "all contributions alike", which takes half the work, and the signal itself for
        "nothing is lost".

        Parameters
        ----------
        sums
            What the units received.
        signal
            The units' relevance per unit of ``sums.total``, shape (n, units).
        """
        ...


@dataclass(frozen=True)
class Zero:
    """LRP-0 (equation 6 of the paper): in proportion to the contributions themselves, nothing lost.

    For ReLU networks the relevances equal gradient × input, and the bias terms bias × gradient. So do they where z is
    zero: it is the limit.
    """

    def multipliers(self, sums: UnitSums, signal: _F64) -> tuple[_F64, _F64]:  # noqa: ARG002  as every rule
        """Return R / z, the signal, twice."""
        return signal, signal


@dataclass(frozen=True)
class Epsilon:
    """LRP-ε (Bach et al. 2015): contributions that nearly cancel are damped, at the price of a leak.

    Attributes
    ----------
    relative
        ε as a share of the layer's root mean square pre-activation, over the stocks at hand and the layer's units; an
        absolute ε means something else in each layer.
    """

    relative: float = 1e-3

    def __post_init__(self) -> None:
        _check_number("the relative ε of LRP-ε", self.relative, least=0)

    def multipliers(self, sums: UnitSums, signal: _F64) -> tuple[_F64, _F64]:
        """Return R / (z ± ε), twice; ε has the sign of z."""
        z = sums.total
        each = signal * _ratio(z, z + np.copysign(self.relative * sums.scale, z), otherwise=1.0)
        return each, each


@dataclass(frozen=True)
class Gamma:
    """LRP-γ (Montavon et al. 2019), in the form for signed inputs and outputs: the sign of the unit is favoured.

    Contributions of the pre-activation's own sign count 1 + γ times (Andéol et al. 2021), so that the divisor is never
    smaller than the pre-activation and nothing is lost but rounding. γ = 0 is LRP-0.

    Attributes
    ----------
    gamma
        How much more the contributions of the unit's sign count.
    """

    gamma: float = 0.25

    def __post_init__(self) -> None:
        _check_number("the γ of LRP-γ", self.gamma, least=0)

    def multipliers(self, sums: UnitSums, signal: _F64) -> tuple[_F64, _F64]:
        """Return R (1 + γ) / D and R / D, exchanged where z < 0, with D = z + γ × the sum of z's own sign."""
        z, upwards = sums.total, sums.total >= 0
        own = np.where(upwards, sums.positive, sums.negative)
        plain = signal * _ratio(z, z + self.gamma * own, otherwise=1.0)
        favoured = (1 + self.gamma) * plain
        return np.where(upwards, favoured, plain), np.where(upwards, plain, favoured)


@dataclass(frozen=True)
class AlphaBeta:
    """LRP-αβ (Bach et al. 2015): positive contributions share α of the relevance, negative ones −β, with β = α − 1.

    It takes every unit's relevance for positive evidence, and so turns the signs around where the prediction is
    negative: for forecasts of return it misleads, and warns. A unit without contributions of one sign leaks that part.

    Attributes
    ----------
    alpha
        1 or more.
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _check_number("the α of LRP-αβ", self.alpha, least=1)
        warnings.warn(
            "LRP-αβ turns the signs of relevances around where a prediction is negative: use zero, epsilon or gamma "
            "for forecasts of return",
            stacklevel=3,
        )

    def multipliers(self, sums: UnitSums, signal: _F64) -> tuple[_F64, _F64]:
        """Return α R / z⁺ and −β R / z⁻."""
        return (
            self.alpha * signal * _ratio(sums.total, sums.positive, otherwise=0.0),
            (1 - self.alpha) * signal * _ratio(sums.total, sums.negative, otherwise=0.0),
        )


_RULES: dict[str, type[Zero] | type[Epsilon] | type[Gamma] | type[AlphaBeta]] = {
    "zero": Zero,
    "epsilon": Epsilon,
    "gamma": Gamma,
    "alpha-beta": AlphaBeta,
}


def parse_rule(text: str) -> Rule:
    """Return the rule that a configuration names, such as ``zero``, ``gamma`` or ``epsilon:0.01``.

    Raises
    ------
    ConfigurationError
        If there is no such rule, or its parameter is none.
    """
    name, colon, parameter = text.partition(":")
    if name not in _RULES or (colon and name == "zero"):
        raise ConfigurationError(f"there is no rule {text!r}: write zero, epsilon:0.001, gamma:0.25 or alpha-beta:2")
    try:
        return _RULES[name](*([float(parameter)] if colon else []))
    except ValueError:
        raise ConfigurationError(f"{parameter!r} is no number, in the rule {text!r}") from None


def network_rules(names: Sequence[str], depth: int) -> tuple[Rule, ...]:
    """Return a rule for each of ``depth`` layers from their names: one for all, or first, hidden and last layers'.

    A network of one layer takes the first.

    Raises
    ------
    ConfigurationError
        If a name is no rule's, or they are neither one nor three.
    """
    _check(len(names) in (1, 3), f"{len(names)} rules are named: name one, or those of first, hidden and last layers")
    rules = [parse_rule(name) for name in names]
    if len(rules) == 1:
        return tuple(rules * depth)
    first, hidden, last = rules
    return (first, *[hidden] * (depth - 2), last)[:depth]


def check_rules(names: Sequence[str], where: str) -> None:
    """Refuse names of which :func:`network_rules` can make nothing.

    Raises
    ------
    ConfigurationError
        Naming ``where`` they stand.
    """
    try:
        network_rules(names, 3)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: attribution.rules: {error}") from None


def layer_rules(rule: Rule | Sequence[Rule], depth: int) -> tuple[Rule, ...]:
    """Return a rule for each layer: the same for all, or those given.

    Raises
    ------
    ConfigurationError
        If their number is not the layers'.
    """
    if not isinstance(rule, Sequence):
        return (rule,) * depth
    _check(len(rule) == depth, f"{len(rule)} rules are given for {depth} layers: give one for each, or one for all")
    return tuple(rule)


def _ratio(numerator: _F64, divisor: _F64, otherwise: float) -> _F64:
    """Return the quotient, and what is said otherwise where the divisor is zero."""
    return np.divide(numerator, divisor, out=np.full_like(numerator, otherwise), where=np.abs(divisor) > _LEAST)


def _check_number(what: str, value: float, least: float) -> None:
    _check(math.isfinite(value) and value >= least, f"{what} must be a number of {least} or more, not {value}")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigurationError(message)
