"""The geometry of estimates side by side, each with its error: quintiles, deciles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepfactor.reports.axes import Scale, Tick, rounded
from deepfactor.reports.numbers import percent
from deepfactor.reports.time_axis import path


@dataclass(frozen=True)
class Estimate:
    """A figure with its standard error, none if there are too few months, and what it is held against, if anything."""

    label: str
    value: float
    error: float | None
    beside: float | None = None


@dataclass(frozen=True)
class Mark:
    """An estimate as it is drawn: a whisker from ``low`` to ``high``, of no length where there is no error."""

    label: str
    centre: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class EstimateChart:
    """Some estimates on one scale.

    Attributes
    ----------
    marks
        The estimates, from left to right.
    width
        Of a bar.
    zero
        Where a value of nothing lies.
    beside
        Path of what the estimates are held against.
    ticks
        Of the values, in percent.
    """

    marks: tuple[Mark, ...]
    width: float
    zero: float
    beside: str
    ticks: tuple[Tick, ...]
    description: str

    WIDTH = 300.0
    LEFT = 40.0
    PLOT = 256.0
    TOP = 8.0
    HEIGHT = 120.0


def reach_of(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Return the lowest and the highest of nothing, of estimates with their errors, and of what is beside them."""
    ends = [each.value + way * (each.error or 0.0) for each in estimates for way in (-1, 1)]
    ends += [each.beside for each in estimates if each.beside is not None]
    return min([0.0, *ends]), max([0.0, *ends])


def estimate_chart(estimates: Sequence[Estimate], reach: tuple[float, float]) -> EstimateChart | None:
    """Lay out estimates; none if there are none.

    Parameters
    ----------
    estimates
        From left to right.
    reach
        The ends of the scale, which several pictures may share.
    """
    if not estimates:
        return None
    up = Scale.around(*reach, EstimateChart.TOP + EstimateChart.HEIGHT, -EstimateChart.HEIGHT)
    step = EstimateChart.PLOT / len(estimates)
    centres = [EstimateChart.LEFT + step * (place + 0.5) for place in range(len(estimates))]
    held = [(x, up.at(each.beside)) for x, each in zip(centres, estimates, strict=True) if each.beside is not None]
    return EstimateChart(
        marks=tuple(_mark(each, x, up) for each, x in zip(estimates, centres, strict=True)),
        width=rounded(step * 0.6),
        zero=up.at(0.0),
        beside=path([x for x, _ in held], [y for _, y in held]) if held else "",
        ticks=up.ticks(7),
        description=" ".join(map(_sentence, estimates)),
    )


def _mark(estimate: Estimate, centre: float, up: Scale) -> Mark:
    low, high = (up.at(estimate.value + way * (estimate.error or 0.0)) for way in (-1, 1))
    return Mark(estimate.label, rounded(centre), up.at(estimate.value), low, high)


def _sentence(estimate: Estimate) -> str:
    error = "" if estimate.error is None else f" ± {percent(estimate.error, signed=False)}"
    beside = "" if estimate.beside is None else f", predicted {percent(estimate.beside)}"
    return f"{estimate.label}: {percent(estimate.value)}{error} percent{beside}."
