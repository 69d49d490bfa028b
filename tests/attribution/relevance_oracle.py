"""Layer-wise relevance propagation from its definitions, unit by unit, in any exact or floating number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepfactor.attribution.rules import AlphaBeta, Epsilon, Gamma, Rule
from deepfactor.models.base import Network

Numbers = list[Any]


@dataclass(frozen=True)
class Account:
    """What the loops give for one member and one stock."""

    inputs: Numbers
    bias: Numbers
    leak: Numbers


def shares(rule: Rule, contributions: Numbers, epsilon: Any) -> Numbers:
    """Return the part of a unit's relevance that goes to each of its contributions, the last of them its bias."""
    z = sum(contributions)
    number = type(z)
    if isinstance(rule, AlphaBeta):
        up = sum(each for each in contributions if each > 0)
        down = sum(each for each in contributions if each < 0)
        alpha = number(rule.alpha)
        return [
            alpha * each / up if each > 0 else (1 - alpha) * each / down if each < 0 else 0 for each in contributions
        ]
    if isinstance(rule, Epsilon):
        divisor = z + epsilon if z >= 0 else z - epsilon
        return [each / divisor for each in contributions]
    gamma = number(rule.gamma if isinstance(rule, Gamma) else 0)
    raised = [(1 + gamma) * each if (each > 0) == (z > 0) else each for each in contributions]
    return [each / sum(raised) for each in raised]


def slow_relevance(
    network: Network, member: int, stocks: Sequence[Sequence[float]], rules: Sequence[Rule], number: Any = float
) -> list[Account]:
    """Propagate each stock's prediction back, unit by unit."""
    kernels = [[[number(float(w)) for w in row] for row in kernel[member]] for kernel in network.kernels]
    biases = [[number(float(b)) for b in bias[member]] for bias in network.biases]
    contributions = [_contributions(kernels, biases, [number(float(x)) for x in stock]) for stock in stocks]
    epsilons = [
        _epsilon(rule, [sum(unit) for each in contributions for unit in each[layer]], number)
        for layer, rule in enumerate(rules)
    ]
    slope = number(network.calibration.slope)
    return [_propagate(each, rules, epsilons, slope) for each in contributions]


def _contributions(kernels: Numbers, biases: Numbers, entering: Numbers) -> list[list[Numbers]]:
    """Return what each unit of each layer receives from each unit below, and last its bias."""
    found = []
    for kernel, bias in zip(kernels, biases, strict=True):
        layer = [[a * row[j] for a, row in zip(entering, kernel, strict=True)] + [b] for j, b in enumerate(bias)]
        found.append(layer)
        entering = [max(sum(unit), 0) for unit in layer]
    return found


def _epsilon(rule: Rule, totals: Numbers, number: Any) -> Any:
    if not isinstance(rule, Epsilon):
        return 0
    return number(rule.relative * float(sum(z * z for z in totals) / len(totals)) ** 0.5)


def _propagate(contributions: list[list[Numbers]], rules: Sequence[Rule], epsilons: Numbers, slope: Any) -> Account:
    received = [slope * sum(unit) for unit in contributions[-1]]
    bias, leak = [], []
    for units, rule, epsilon in zip(reversed(contributions), reversed(rules), reversed(epsilons), strict=True):
        handed = [received[0] * 0] * len(units[0])
        lost = received[0] * 0
        for unit, relevance in zip(units, received, strict=True):
            parts = shares(rule, unit, epsilon) if relevance else [0] * len(unit)
            handed = [so_far + part * relevance for so_far, part in zip(handed, parts, strict=True)]
            lost += relevance - sum(part * relevance for part in parts)
        *received, to_bias = handed
        bias.insert(0, to_bias)
        leak.insert(0, lost)
    return Account(received, bias, leak)
