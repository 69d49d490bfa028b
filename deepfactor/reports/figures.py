"""The geometry of the report's pictures; the templates draw it as SVG.

Lengths are in the units of each picture's own ``viewBox``. Coordinates are rounded, so the same figures give the
same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from deepfactor.reports.axes import NOTHING, Tick, next_round, rounded
from deepfactor.reports.numbers import percent
from deepfactor.schemas import FACTORS

GROUPS = ("highest prediction", "top quintile", "bottom quintile", "long-short")

# What distinguishes a stock; the level is the same for all.
ACCOUNTS = (*FACTORS, "bias", "leak")


@dataclass(frozen=True)
class Bar:
    """One share with its whisker of one standard deviation to each side, marked where members disagree on the sign."""

    model: str
    colour: int
    top: float
    width: float
    low: float
    high: float
    label: str
    disputed: bool


@dataclass(frozen=True)
class FactorBars:
    """The shares of one factor, one bar per model."""

    factor: str
    top: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class SharePanel:
    """Figure 3 of the paper for one group: what part of the absolute relevance each factor has."""

    group: str
    height: float
    factors: tuple[FactorBars, ...]
    ticks: tuple[Tick, ...]
    description: str

    WIDTH = 380.0
    LEFT = 122.0
    PLOT = 166.0
    STEP = 17.0


def share_panels(shares: pl.DataFrame, models: Sequence[str]) -> tuple[SharePanel, ...]:
    """Lay out Figure 3, one panel per group, all on one scale.

    Parameters
    ----------
    shares
        ``schemas.SHARES``.
    models
        The models in the order in which they are drawn.
    """
    rows = {
        (each["group"], each["factor"], each["model"]): (each["share"], each["dispersion"], each["disputed"])
        for each in shares.iter_rows(named=True)
    }
    furthest = max((share + (dispersion or 0.0) for share, dispersion, _ in rows.values()), default=0.0)
    # Shares end at 1; a whisker may not, and is cut there.
    scale = min(1.0, max(0.1, math.ceil(furthest * 10) / 10))
    present = {group for group, _, _ in rows}
    groups = [group for group in GROUPS if group in present] + sorted(present - set(GROUPS))
    return tuple(_share_panel(group, rows, models, scale) for group in groups)


def _share_panel(
    group: str,
    rows: Mapping[tuple[str, str, str], tuple[float, float | None, bool]],
    models: Sequence[str],
    scale: float,
) -> SharePanel:
    unit = SharePanel.PLOT / scale
    top = 8.0
    factors = []
    for factor in FACTORS:
        drawn = [(index, model) for index, model in enumerate(models) if (group, factor, model) in rows]
        bars = tuple(
            _bar(model, index, top + SharePanel.STEP * place, *rows[group, factor, model], unit)
            for place, (index, model) in enumerate(drawn)
        )
        factors.append(FactorBars(factor, top, bars))
        top += SharePanel.STEP * len(drawn) + 9
    sentences = (
        f"{each.factor}: "
        + ", ".join(f"{bar.model} {bar.label} percent{', disputed sign' * bar.disputed}" for bar in each.bars)
        + "."
        for each in factors
    )
    step = 0.1 if scale <= 0.5 else 0.2
    ticks = tuple(
        Tick(rounded(SharePanel.LEFT + number * step * unit), percent(number * step, 0, signed=False))
        for number in range(math.floor(scale / step + 1e-9) + 1)
    )
    return SharePanel(group, rounded(top), tuple(factors), ticks, " ".join(sentences))


def _bar(
    model: str, colour: int, top: float, share: float, dispersion: float | None, disputed: bool, unit: float
) -> Bar:
    spread = dispersion or 0.0
    low, high = (SharePanel.LEFT + min(1.0, max(0.0, share + way * spread)) * unit for way in (-1, 1))
    label = percent(share, 1, signed=False) + (f" ± {percent(spread, 1, signed=False)}" if spread else "")
    return Bar(model, colour, rounded(top), rounded(share * unit), rounded(low), rounded(high), label, disputed)


@dataclass(frozen=True)
class Segment:
    """A part of a prediction, drawn from ``left`` over ``width``."""

    account: str
    left: float
    width: float


@dataclass(frozen=True)
class Balance:
    """A prediction's account: what raises it to the right of the level that all stocks share, what lowers it left.

    Attributes
    ----------
    segments
        What the stock's own accounts add and take.
    level, prediction
        Where the level and the prediction lie.
    zero
        Where a return of nothing lies; none if it is outside of the picture.
    """

    segments: tuple[Segment, ...]
    level: float
    prediction: float
    zero: float | None

    WIDTH = 300.0


def balances(ledger: Iterable[Mapping[str, float]]) -> tuple[Balance, ...]:
    """Lay out the accounts of some stocks, all on one scale.

    Parameters
    ----------
    ledger
        For each stock its factors, bias, level, leak and prediction, in units of return.
    """
    rows = list(ledger)
    raised = max((sum(max(0.0, row[each]) for each in ACCOUNTS) for row in rows), default=0.0)
    lowered = max((sum(max(0.0, -row[each]) for each in ACCOUNTS) for row in rows), default=0.0)
    unit = Balance.WIDTH / max(raised + lowered, NOTHING)
    return tuple(_balance(row, lowered * unit, unit) for row in rows)


def _balance(row: Mapping[str, float], level: float, unit: float) -> Balance:
    left = right = level
    segments = []
    for account in ACCOUNTS:
        width = abs(row[account]) * unit
        if row[account] > 0:
            start, right = right, right + width
        else:
            start = left = left - width
        # Thinner than a tenth of a unit nothing can be seen.
        if width >= 0.1:
            segments.append(Segment(account, rounded(start), rounded(width)))
    zero = rounded(level - row["level"] * unit)
    return Balance(
        segments=tuple(segments),
        level=rounded(level),
        prediction=rounded(level + (row["prediction"] - row["level"]) * unit),
        zero=zero if 0 <= zero <= Balance.WIDTH else None,
    )


@dataclass(frozen=True)
class Column:
    """A bin of the histogram."""

    left: float
    width: float
    height: float
    description: str


@dataclass(frozen=True)
class Histogram:
    """How the predictions of one model are spread over the universe."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    edges: tuple[Tick, ...]
    description: str

    WIDTH = 420.0
    HEIGHT = 110.0


def histogram(stocks: pl.DataFrame, bins: int = 32) -> Histogram:
    """Lay out the distribution of predictions.

    Parameters
    ----------
    stocks
        ``prediction`` in units of return, and ``quintile``, one row per stock.
    bins
        Roughly how many columns.
    """
    values = stocks["prediction"].to_list()
    spread = max(values) - min(values)
    width = next_round(spread / bins if spread > NOTHING else 0.0)
    first, last = math.floor(min(values) / width), math.floor(max(values) / width) + 1
    unit = Histogram.WIDTH / ((last - first) * width)
    counts = [0] * (last - first)
    for value in values:
        counts[math.floor(value / width) - first] += 1
    columns = tuple(
        Column(
            rounded(index * width * unit),
            rounded(width * unit),
            rounded(count / max(counts) * Histogram.HEIGHT),
            f"{percent((first + index) * width)} to {percent((first + index + 1) * width)} %: {count}",
        )
        for index, count in enumerate(counts)
    )
    marks = [number for number in range(first, last + 1) if number % math.ceil((last - first) / 6) == 0]
    ticks = tuple(Tick(rounded((number - first) * width * unit), percent(number * width)) for number in marks)
    lowest = stocks.filter(pl.col("quintile") == 5)["prediction"].min()
    highest = stocks.filter(pl.col("quintile") == 1)["prediction"].max()
    edges = tuple(
        Tick(rounded((value - first * width) * unit), label)
        for value, label in ((highest, "lowest fifth"), (lowest, "highest fifth"))
        if isinstance(value, float)
    )
    description = (
        f"{len(values)} predictions from {percent(min(values))} to {percent(max(values))} percent, "
        f"median {percent(stocks['prediction'].median())} percent."  # type: ignore[arg-type]  # of floats it is one
    )
    return Histogram(columns, ticks, edges, description)
