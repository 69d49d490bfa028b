"""Axes of the pictures: values to positions, and round numbers to label them with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfactor.reports.numbers import percent

# Returns that differ by less are one return, whatever rounding says.
NOTHING = 1e-9


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    position: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Where values lie along an axis.

    Attributes
    ----------
    low, high
        The values at its ends; ``low`` is the smaller.
    start, length
        The position of ``low``, and how far from there ``high`` is; negative where the axis runs upwards.
    """

    low: float
    high: float
    start: float
    length: float

    @classmethod
    def around(cls, low: float, high: float, start: float, length: float) -> Scale:
        """Return the scale of some values, a little wider than they are; of a single one, wide enough to see it."""
        margin = 0.02 * (high - low) if high - low > NOTHING else max(abs(high), 0.001)
        return cls(low - margin, high + margin, start, length)

    def at(self, value: float) -> float:
        """Return where a value lies, rounded."""
        return rounded(self.start + (value - self.low) / (self.high - self.low) * self.length)

    def positions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where many values lie."""
        return self.start + (values - self.low) / (self.high - self.low) * self.length

    def ticks(self, count: int, written: Callable[[float, int], str] = percent, unit: float = 0.01) -> tuple[Tick, ...]:
        """Return some ``count`` round values within the scale.

        Parameters
        ----------
        count
            Roughly how many.
        written
            Writes a value with so many decimals of its unit.
        unit
            Of what is written.
        """
        step = next_round((self.high - self.low) / count)
        digits = max(0, -math.floor(math.log10(step / unit) + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(Tick(self.at(number * step), written(number * step, digits)) for number in range(first, last + 1))


def next_round(width: float) -> float:
    """Return the next width of 1, 2 or 5 times a power of ten."""
    if width <= 0:
        return 0.001
    power = 10.0 ** math.floor(math.log10(width))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= width * (1 - 1e-9))


def rounded(length: float) -> float:
    """Return a length as it is drawn: two digits, and no negative zero."""
    return round(length, 2) + 0.0
