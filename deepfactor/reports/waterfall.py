"""The geometry of a waterfall: how a prediction is reached, step by step, from the level that all stocks share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from deepfactor.reports.axes import Scale, Tick, rounded
from deepfactor.reports.numbers import percent
from deepfactor.schemas import FACTORS

# What is less rounds to 0.00 percent, and cannot be seen.
_VISIBLE = 5e-5

_TOP = 6.0
# How long the point of a bar is, and from which width on it shows a direction.
_POINT = 6.0
_NARROWEST = 2.0


class Step(NamedTuple):
    """A part of a prediction.

    Attributes
    ----------
    label
        What it is.
    value
        Signed, in units of return.
    dispersion
        Standard deviation across the ensemble's members; none if it is not known.
    disputed
        Whether the members disagree on its sign.
    """

    label: str
    value: float
    dispersion: float | None = None
    disputed: bool = False


@dataclass(frozen=True)
class Fall:
    """A step as it is drawn, from ``start`` to ``end``.

    Attributes
    ----------
    kind
        ``start``, ``up``, ``down``, ``none`` or ``total``.
    outline
        Path of its shape, whose point shows the direction; of a step too narrow for one, a line.
    whisker
        Path of the whisker around its end; empty without a dispersion.
    text
        Its value in percent, with its dispersion.
    disputed
        Whether the members disagree on its sign.
    """

    kind: str
    label: str
    top: float
    start: float
    end: float
    outline: str
    whisker: str
    text: str
    disputed: bool


@dataclass(frozen=True)
class Waterfall:
    """The steps below one another, the prediction last."""

    falls: tuple[Fall, ...]
    ticks: tuple[Tick, ...]
    zero: float | None
    height: float
    description: str

    WIDTH = 380.0
    LEFT = 88.0
    PLOT = 184.0
    ROW = 20.0
    BAR = 12.0


def waterfall(steps: Iterable[Step], start: Step, total: Step) -> Waterfall:
    """Lay out how a prediction is reached.

    Parameters
    ----------
    steps
        Its parts, in the order in which they are drawn.
    start
        Where they start: the level, which may be 0.
    total
        The prediction. What the steps leave out of it stands as a step of its own, ``unaccounted``.
    """
    drawn = list(steps)
    gap = total.value - start.value - sum(step.value for step in drawn)
    if abs(gap) >= _VISIBLE:
        drawn.append(Step("unaccounted", gap))
    sums = list(accumulate((step.value for step in drawn), initial=start.value))
    rows = [
        (start, start.value, start.value),
        *((step, *span) for step, span in zip(drawn, pairwise(sums), strict=True)),
        (total, start.value, total.value),
    ]
    reached = [end + way * (step.dispersion or 0.0) for step, _, end in rows for way in (-1, 0, 1)]
    scale = Scale.around(min(reached), max(reached), Waterfall.LEFT, Waterfall.PLOT)
    ways = ["up" if step.value > 0 else "down" for step in drawn]
    kinds = ("start", *ways, "total")
    falls = tuple(_fall(kind, place, *row, scale) for place, (kind, row) in enumerate(zip(kinds, rows, strict=True)))
    return Waterfall(
        falls=falls,
        ticks=scale.ticks(4),
        zero=scale.at(0.0) if scale.low <= 0 <= scale.high else None,
        height=rounded(_TOP + Waterfall.ROW * len(falls)),
        description=f"In percent of return: {', '.join(f'{fall.label} {fall.text}' for fall in falls)}.",
    )


def steps_of(
    account: Mapping[str, float], dispersion: Mapping[str, float | None] | None = None, disputed: Collection[str] = ()
) -> list[Step]:
    """Return the steps by factor: the bias, the five factors, and the leak where it can be seen.

    Parameters
    ----------
    account
        The contribution of each, in units of return.
    dispersion
        Of those of which it is known.
    disputed
        Those on whose sign the members disagree.
    """
    spread = dispersion or {}
    names = ("bias", *FACTORS, *(["leak"] if abs(account["leak"]) >= _VISIBLE else []))
    return [Step(name, account[name], spread.get(name), name in disputed) for name in names]


def largest(steps: Sequence[Step], count: int) -> list[Step]:
    """Return the steps that go furthest, the furthest first, and the sum of all others as one.

    Nothing is known of the sum's dispersion.
    """
    ordered = sorted(steps, key=lambda step: -abs(step.value))
    others = ordered[count:]
    if len(others) < 2:
        return ordered
    return [*ordered[:count], Step(f"{len(others)} others", sum(step.value for step in others))]


def _fall(kind: str, place: int, step: Step, start: float, end: float, scale: Scale) -> Fall:
    top = rounded(_TOP + Waterfall.ROW * place)
    if kind in ("up", "down") and abs(scale.at(end) - scale.at(start)) < _NARROWEST:
        kind = "none"
    spread = step.dispersion or 0.0
    text = percent(step.value) + (f" ± {percent(spread, signed=False)}" if spread else "")
    whisker = _whisker(scale.at(end - spread), scale.at(end + spread), top) if spread else ""
    return Fall(
        kind=kind,
        label=step.label,
        top=top,
        start=scale.at(start),
        end=scale.at(end),
        outline=_outline(kind, scale.at(start), scale.at(end), top),
        whisker=whisker,
        text=text,
        disputed=step.disputed,
    )


def _outline(kind: str, start: float, end: float, top: float) -> str:
    """Return a bar from start to end, with a point where it is a step; of what has no width, a line."""
    low, middle, high = (f"{top + part * Waterfall.BAR:g}" for part in (0, 0.5, 1))
    if kind in ("start", "none"):
        return f"M{end:g} {low}V{high}"
    point = min(_POINT, abs(end - start)) if kind != "total" else 0.0
    shoulder = f"{rounded(end - point if end > start else end + point):g}"
    return f"M{start:g} {low}H{shoulder}L{end:g} {middle}L{shoulder} {high}H{start:g}Z"


def _whisker(low: float, high: float, top: float) -> str:
    middle = top + Waterfall.BAR / 2
    return f"M{low:g} {middle:g}H{high:g}M{low:g} {middle - 3:g}v6M{high:g} {middle - 3:g}v6"
