"""Signed bars for a terminal: to the right of an axis what is positive, to the left what is negative."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

# What raises a prediction and what lowers it; the side says it too.
STYLES = {True: "cyan", False: "yellow"}

_NARROWEST = 11
_ROUNDING = 1e-6


@dataclass(frozen=True)
class SignedBar:
    """A bar as wide as its column; half a character is the finest step.

    Attributes
    ----------
    value
        How long.
    low, high
        The values at the column's ends, the same for all bars of a table; 0 lies between them.
    """

    value: float
    low: float
    high: float

    @classmethod
    def all(cls, values: Iterable[float]) -> list[SignedBar]:
        """Return bars on one scale, which holds all values and zero."""
        listed = list(values)
        low, high = min(0.0, *listed, 0.0), max(0.0, *listed, 0.0)
        return [cls(value, low, high) for value in listed]

    def drawn(self, width: int) -> Text:
        """Return the bar over a number of characters, the axis among them."""
        room, span = width - 1, (self.high - self.low) or 1.0
        # Where there is something on a side, there is room for it.
        left = min(max(round(room * -self.low / span), self.low < 0), room - (self.high > 0))
        side = left if self.value < 0 else room - left
        part = abs(self.value) / span
        # What is not zero is seen, unless it is rounding.
        halves = min(max(round(part * room * 2), part > _ROUNDING), side * 2)
        whole, half = divmod(halves, 2)
        if self.value < 0:
            return Text.assemble((("▐" * half + "█" * whole).rjust(left), STYLES[False]), "│", " " * (room - left))
        return Text.assemble(" " * left, "│", (("█" * whole + "▌" * half).ljust(side), STYLES[True]))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.drawn(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_NARROWEST, options.max_width)
