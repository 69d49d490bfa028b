"""The geometry of a few lines over months, each named where it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deepfactor.reports.axes import Scale, Tick, rounded
from deepfactor.reports.numbers import decimal
from deepfactor.reports.time_axis import curve, month_ticks

# Between the names of two lines.
_APART = 13.0


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes
    ----------
    kind
        How it is drawn: a class of the page's style.
    path
        Broken where a month is missing.
    end
        Where its last value lies.
    name
        Where its name stands, and what is written.
    """

    kind: str
    path: str
    end: float
    name: Tick


@dataclass(frozen=True)
class LineChart:
    """Some lines on one scale."""

    lines: tuple[Line, ...]
    start: float
    ticks: tuple[Tick, ...]
    months: tuple[Tick, ...]
    description: str

    WIDTH = 440.0
    LEFT = 34.0
    PLOT = 226.0
    TOP = 8.0
    HEIGHT = 190.0


def line_chart(
    series: Sequence[tuple[str, str, Mapping[int, float]]],
    reach: tuple[float, float],
    start: float = 1.0,
    written: Callable[[float, int, bool], str] = decimal,
) -> LineChart | None:
    """Lay out lines; none if no series has a value.

    Parameters
    ----------
    series
        Name, kind and values by month's ordinal of each.
    reach
        The lowest and the highest value of the scale, which several pictures may share.
    start
        The value that a line marks.
    written
        Writes a value.
    """
    shown = [(name, kind, values) for name, kind, values in series if values]
    if not shown:
        return None
    ordinals = {ordinal for _, _, values in shown for ordinal in values}
    first, last = min(ordinals), max(ordinals)
    across = Scale(first - 0.5, last + 0.5, LineChart.LEFT, LineChart.PLOT)
    up = Scale.around(*reach, LineChart.TOP + LineChart.HEIGHT, -LineChart.HEIGHT)
    lasts = [values[max(values)] for _, _, values in shown]
    ends = [up.at(value) for value in lasts]
    places = spread(ends, _APART, LineChart.TOP + 4, LineChart.TOP + LineChart.HEIGHT)
    return LineChart(
        lines=tuple(
            Line(kind, curve(values, across, up), end, Tick(rounded(place), f"{name} {written(value, 2, False)}"))
            for (name, kind, values), value, end, place in zip(shown, lasts, ends, places, strict=True)
        ),
        start=up.at(start),
        ticks=up.ticks(5, lambda value, digits: written(value, digits, False), 1.0),
        months=month_ticks(first, last, across),
        description=" ".join(
            f"{name}: {written(value, 2, False)} at the end, between {written(min(values.values()), 2, False)} and "
            f"{written(max(values.values()), 2, False)}."
            for (name, _, values), value in zip(shown, lasts, strict=True)
        ),
    )


def spread(positions: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Return positions moved as little as need be to lie apart, in the same order, and from low to high if they fit."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = list(positions)
    floor = low
    for index in order:
        placed[index] = floor = max(positions[index], floor)
        floor += apart
    ceiling = max(high, low + apart * (len(positions) - 1))
    for index in reversed(order):
        placed[index] = ceiling = min(placed[index], ceiling)
        ceiling -= apart
    return placed
