"""Months along an axis, and lines through what is known of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from deepfactor.months import Month
from deepfactor.reports.axes import Scale, Tick, rounded

# What a label takes, and how many there are at most.
_WIDTH, _LABELS = 50.0, 5


def month_ticks(first: int, last: int, across: Scale) -> tuple[Tick, ...]:
    """Label Januaries by their year; of less than two years some months."""
    labels = min(_LABELS, int(across.length / _WIDTH))
    if last - first >= 24:
        januaries = [ordinal for ordinal in range(first, last + 1) if ordinal % 12 == 0]
        step = math.ceil(len(januaries) / labels)
        return tuple(Tick(across.at(ordinal), str(ordinal // 12)) for ordinal in januaries if ordinal // 12 % step == 0)
    step = math.ceil((last - first + 1) / labels)
    return tuple(Tick(across.at(ordinal), str(Month(ordinal))) for ordinal in range(first, last + 1, step))


def runs(ordinals: Sequence[int]) -> list[list[int]]:
    """Split ordinals where a month is missing."""
    found: list[list[int]] = []
    for ordinal in ordinals:
        if found and ordinal == found[-1][-1] + 1:
            found[-1].append(ordinal)
        else:
            found.append([ordinal])
    return found


def path(x: Sequence[float], y: Sequence[float]) -> str:
    """Return a line through points, as SVG writes it."""
    return "M" + "L".join(f"{rounded(one):g} {rounded(other):g}" for one, other in zip(x, y, strict=True))


def curve(values: Mapping[int, float], across: Scale, up: Scale) -> str:
    """Return the line through values by month's ordinal, broken where a month is missing; one alone is a dash."""
    half = min(3.0, across.length / (across.high - across.low) / 2)
    parts = []
    for run in runs(sorted(values)):
        x, y = [across.at(ordinal) for ordinal in run], [up.at(values[ordinal]) for ordinal in run]
        parts.append(path(x, y) if len(run) > 1 else path([x[0] - half, x[0] + half], y * 2))
    return "".join(parts)


def area(values: Mapping[int, float], across: Scale, up: Scale) -> str:
    """Return what lies between nothing and values by month's ordinal."""
    base = up.at(0.0)
    parts = []
    for run in runs(sorted(values)):
        x, y = [across.at(ordinal) for ordinal in run], [up.at(values[ordinal]) for ordinal in run]
        parts.append(path([x[0], *x, x[-1]], [base, *y, base]) + "Z")
    return "".join(parts)


def bars(values: Mapping[int, float], across: Scale, up: Scale) -> str:
    """Return a bar from nothing to each value by month's ordinal."""
    base, width = up.at(0.0), across.length / (across.high - across.low)
    # A gap between bars, as long as they are wide enough for one; few months are no blocks.
    thick = rounded(min(width * 0.8 if width > 3 else width, 24.0))
    return "".join(
        f"M{rounded(across.at(ordinal) - thick / 2):g} {base:g}V{up.at(value):g}h{thick:g}V{base:g}Z"
        for ordinal, value in sorted(values.items())
    )
