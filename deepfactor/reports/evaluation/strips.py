"""The geometry of figures month by month, a strip for each model or count, all on one axis of months."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deepfactor.reports.axes import Scale, Tick, rounded
from deepfactor.reports.numbers import percent
from deepfactor.reports.time_axis import area, bars, curve, month_ticks

BARS, AREA, CURVE, DASHES = "bars", "area", "curve", "dashes"

_DRAWN: dict[str, Callable[[Mapping[int, float], Scale, Scale], str]] = {
    BARS: bars,
    AREA: area,
    CURVE: curve,
    DASHES: curve,
}


@dataclass(frozen=True)
class Series:
    """What one strip shows.

    Attributes
    ----------
    name
        Of the model, or of what is counted.
    summary
        In a few figures.
    marks
        How values are drawn, and the values by month's ordinal.
    """

    name: str
    summary: str
    marks: tuple[tuple[str, Mapping[int, float]], ...]

    def values(self) -> list[float]:
        """Return all that is drawn."""
        return [value for _, values in self.marks for value in values.values()]


@dataclass(frozen=True)
class Strip:
    """One series.

    Attributes
    ----------
    name, summary
        As in the series.
    top, zero, bottom
        Where the plot begins, where a value of nothing lies, and where the plot ends.
    ticks
        Of the values.
    marks
        Kinds and paths, in the order in which they are drawn.
    """

    name: str
    summary: str
    top: float
    zero: float
    bottom: float
    ticks: tuple[Tick, ...]
    marks: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Strips:
    """Several series, one below the other."""

    strips: tuple[Strip, ...]
    months: tuple[Tick, ...]
    height: float
    description: str

    WIDTH = 440.0
    LEFT = 46.0
    PLOT = 370.0
    HEAD = 24.0
    STRIP = 56.0
    GAP = 8.0


def strips(
    series: Sequence[Series],
    written: Callable[[float, int], str] = percent,
    unit: float = 0.01,
    *,
    together: bool = True,
    reached: float = 0.001,
) -> tuple[Strips, ...]:
    """Lay out series of figures by month in two columns; nothing if there are no figures.

    Parameters
    ----------
    series
        What is shown; one without values is left out.
    written, unit
        How values are written beside the axis.
    together
        Whether all strips have one scale.
    reached
        A value that every scale reaches.
    """
    shown = [each for each in series if each.values()]
    if not shown:
        return ()
    ordinals = {ordinal for each in shown for _, values in each.marks for ordinal in values}
    across = Scale(min(ordinals) - 0.5, max(ordinals) + 0.5, Strips.LEFT, Strips.PLOT)
    everything = [value for each in shown for value in each.values()]
    months = month_ticks(min(ordinals), max(ordinals), across)
    half = math.ceil(len(shown) / 2)
    columns = []
    for column in filter(None, (shown[:half], shown[half:])):
        drawn = tuple(
            _strip(place, each, across, [0.0, reached, *(everything if together else each.values())], written, unit)
            for place, each in enumerate(column)
        )
        description = " ".join(f"{each.name}: {each.summary}." for each in column)
        columns.append(Strips(drawn, months, drawn[-1].bottom, description))
    return tuple(columns)


def _strip(
    place: int,
    series: Series,
    across: Scale,
    scaled: Sequence[float],
    written: Callable[[float, int], str],
    unit: float,
) -> Strip:
    top = Strips.HEAD + place * (Strips.HEAD + Strips.STRIP + Strips.GAP)
    up = Scale(min(scaled), max(scaled), top + Strips.STRIP, -Strips.STRIP)
    return Strip(
        name=series.name,
        summary=series.summary,
        top=rounded(top),
        zero=up.at(0.0),
        bottom=rounded(top + Strips.STRIP),
        ticks=up.ticks(5, written, unit),
        marks=tuple((kind, _DRAWN[kind](values, across, up)) for kind, values in series.marks if values),
    )
