"""The geometry of a security's contributions month by month, to both sides of the level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deepfactor.reports.axes import Scale, Tick, rounded
from deepfactor.reports.numbers import percent
from deepfactor.reports.time_axis import curve, month_ticks
from deepfactor.schemas import FACTORS

# In this order from the level outwards.
_PARTS = (*FACTORS, "bias", "leak")


@dataclass(frozen=True)
class Contributions:
    """A bar for each month, stacked to both sides of the level, and a line where they add up.

    Attributes
    ----------
    areas
        Account and path of all its parts.
    sum
        Path of the prediction less the level.
    zero
        Where the level lies.
    ticks, months
        Of the axes.
    description
        The newest month in words.
    """

    areas: tuple[tuple[str, str], ...]
    sum: str
    zero: float
    ticks: tuple[Tick, ...]
    months: tuple[Tick, ...]
    description: str

    WIDTH = 900.0
    LEFT = 46.0
    PLOT = 840.0
    TOP = 10.0
    HEIGHT = 230.0


def contributions(
    rows: Sequence[Mapping[str, float]], ordinals: Sequence[int], reach: tuple[int, int]
) -> Contributions:
    """Lay out the accounts of one security.

    Parameters
    ----------
    rows
        An account a month, as in ``schemas.LEDGER``.
    ordinals
        Their months' ordinals.
    reach
        First and last month's ordinal of the axis.
    """
    sums = {ordinal: row["prediction"] - row["level"] for ordinal, row in zip(ordinals, rows, strict=True)}
    ends = [sum(part for name in _PARTS if (part := way * row[name]) > 0) * way for row in rows for way in (-1.0, 1.0)]
    across = Scale(reach[0] - 0.5, reach[1] + 0.5, Contributions.LEFT, Contributions.PLOT)
    up = Scale.around(min(0.0, *ends), max(0.0, *ends), Contributions.TOP + Contributions.HEIGHT, -Contributions.HEIGHT)
    paths: dict[str, list[str]] = {name: [] for name in _PARTS}
    for ordinal, row in zip(ordinals, rows, strict=True):
        _stack(row, across, ordinal, up, paths)
    newest = rows[-1]
    parts = ", ".join(f"{name} {percent(newest[name])}" for name in _PARTS)
    return Contributions(
        areas=tuple((name, "".join(path)) for name, path in paths.items() if path),
        sum=curve(sums, across, up),
        zero=up.at(0.0),
        ticks=up.ticks(5),
        months=month_ticks(*reach, across),
        description=f"In percent of return, newest month: level {percent(newest['level'])}, {parts}, prediction "
        f"{percent(newest['prediction'])}.",
    )


def _stack(row: Mapping[str, float], across: Scale, ordinal: int, up: Scale, paths: dict[str, list[str]]) -> None:
    width = across.length / (across.high - across.low)
    thick = rounded(min(width * 0.84 if width > 3 else width, 24.0))
    left = f"{rounded(across.at(ordinal) - thick / 2):g}"
    reached = {True: 0.0, False: 0.0}
    for name in _PARTS:
        part = row[name]
        start = reached[part > 0]
        reached[part > 0] = end = start + part
        # What would be no wider than a hair is left out.
        if abs(up.at(end) - up.at(start)) >= 0.1:
            paths[name].append(f"M{left} {up.at(start):g}V{up.at(end):g}h{thick:g}V{up.at(start):g}Z")
