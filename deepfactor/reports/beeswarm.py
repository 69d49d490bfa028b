"""The geometry of a beeswarm: what a descriptor contributes to every stock's prediction, against its rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfactor.reports.axes import Scale, Tick
from deepfactor.reports.numbers import figure, percent

_F64 = NDArray[np.float64]

# What the lowest and the highest rank mean.
ENDS: Mapping[str, tuple[str, str]] = {
    "60VOL": ("calm", "volatile"),
    "BETA": ("low beta", "high beta"),
    "SKEW": ("rare large losses", "rare large gains"),
    "ROE": ("low return on equity", "high"),
    "ROA": ("low return on assets", "high"),
    "ACCRUALS": ("profit above cash flow", "cash flow above profit"),
    "LEVERAGE": ("little debt", "much debt"),
    "12-1MOM": ("fell over the year", "rose over the year"),
    "1MOM": ("fell this month", "rose this month"),
    "60MOM": ("fell over five years", "rose over five years"),
    "PSR": ("dear by sales", "cheap by sales"),
    "PER": ("dear by earnings", "cheap by earnings"),
    "PBR": ("dear by book value", "cheap by book value"),
    "PCFR": ("dear by cash flow", "cheap by cash flow"),
    "CAP": ("small", "large"),
    "ILLIQ": ("liquid", "illiquid"),
}
_BINS = 20
# The mean of fewer stocks is not worth drawing.
_FEWEST = 30
# Fewer dots than these are drawn larger.
_MANY = 600


@dataclass(frozen=True)
class Beeswarm:
    """A dot for each stock.

    Attributes
    ----------
    descriptor
        Its name.
    dots, curve
        Paths, in units of 1 / ``FINENESS``: of all stocks, and of their mean contributions by rank.
    sparse
        Whether there are few stocks.
    highlighted
        Where one stock lies; none if none is shown or its descriptor is not known.
    ticks
        Of the contributions, in percent of return.
    zero
        Where a contribution of nothing lies.
    ends
        What the lowest and the highest rank mean.
    unknown
        Number of stocks left out, because they have no such descriptor.
    description
        The picture in words.
    """

    descriptor: str
    dots: str
    curve: str
    sparse: bool
    highlighted: tuple[float, float] | None
    ticks: tuple[Tick, ...]
    zero: float
    ends: tuple[str, str]
    unknown: int
    description: str

    WIDTH = 340.0
    LEFT = 36.0
    PLOT = 300.0
    HEIGHT = 150.0
    FINENESS = 2


def beeswarm(
    descriptor: str,
    ranks: NDArray[np.floating],
    contributions: _F64,
    known: NDArray[np.bool_],
    *,
    reach: tuple[float, float] | None = None,
    highlighted: int | None = None,
) -> Beeswarm:
    """Lay out one descriptor.

    Parameters
    ----------
    descriptor
        Its name.
    ranks
        Of each stock within its universe, -½ to +½, shape (n,).
    contributions
        In units of return, shape (n,).
    known
        Whether a stock has the descriptor, shape (n,); the others are left out, and counted.
    reach
        Smallest and largest contribution of the axis; those that are drawn if not given.
    highlighted
        The row of a stock that is shown among the others.
    """
    x, y = np.asarray(ranks, dtype=np.float64)[known], contributions[known]
    low, high = reach or (y.min(initial=0.0), y.max(initial=0.0))
    across = Scale(-0.5, 0.5, Beeswarm.LEFT, Beeswarm.PLOT)
    up = Scale.around(min(0.0, float(low)), max(0.0, float(high)), Beeswarm.HEIGHT, -Beeswarm.HEIGHT)
    shown = highlighted is not None and bool(known[highlighted])
    unknown = int(np.sum(~known))
    return Beeswarm(
        descriptor=descriptor,
        dots=_dots(x, y, across, up),
        curve=_curve(x, y, across, up),
        sparse=len(x) < _MANY,
        highlighted=(across.at(float(ranks[highlighted])), up.at(float(contributions[highlighted]))) if shown else None,
        ticks=up.ticks(6),
        zero=up.at(0.0),
        ends=ENDS.get(descriptor, ("low", "high")),
        unknown=unknown,
        description=_description(descriptor, x, y, unknown),
    )


def _dots(x: _F64, y: _F64, across: Scale, up: Scale) -> str:
    """Return a path of points, each from the one before: two thousand circles would be ten times as long."""
    drawn = np.unique(np.stack([_fine(across, x), _fine(up, y)], axis=1), axis=0)
    steps = np.diff(drawn, axis=0, prepend=np.zeros((1, 2), dtype=np.int64))
    # A minus separates as well as a blank, a plus is not needed.
    return "".join(f"m{right}{down:+d}h0" for right, down in steps).replace("+", " ").replace("m", "M", 1)


def _curve(x: _F64, y: _F64, across: Scale, up: Scale) -> str:
    """Return a path through the mean contributions of as many groups of neighbours by rank as have enough stocks."""
    bins = min(_BINS, len(x) // _FEWEST)
    if bins < 2:
        return ""
    groups = np.array_split(np.lexsort((y, x)), bins)
    corners = (_fine(scale, np.array([of[group].mean() for group in groups])) for scale, of in ((across, x), (up, y)))
    return "M" + "L".join(f"{right} {down}" for right, down in zip(*corners, strict=True))


def _fine(scale: Scale, values: _F64) -> NDArray[np.int64]:
    return np.rint(Beeswarm.FINENESS * scale.positions(values)).astype(np.int64)


def _description(descriptor: str, x: _F64, y: _F64, unknown: int) -> str:
    """Say what the picture shows: mean contributions by fifths of the rank."""
    told = f"{figure(len(x))} stocks" + (f", {figure(unknown)} without {descriptor} left out." if unknown else ".")
    if len(x) < 5:
        return told
    fifths = np.array_split(np.lexsort((y, x)), 5)
    means = ", ".join(percent(float(y[part].mean())) for part in fifths)
    return f"{told} Mean contribution by fifths of the rank, in percent of return: {means}."
