"""The overview: all months as a grid, and how their key figures went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from deepfactor.months import Month, month_range
from deepfactor.pages.attempts import INVALID, REFUSED, STARTED
from deepfactor.pages.digest import Headline
from deepfactor.pages.library import Catalogue
from deepfactor.pages.scores import Scores
from deepfactor.reports.evaluation.strips import AREA, BARS, CURVE, Series, Strips, strips
from deepfactor.reports.numbers import decimal, figure, percent
from deepfactor.reports.shares_over_time import SharesOverTime, shares_over_time
from deepfactor.schemas import SHARES

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_GROUP = "top quintile"


@dataclass(frozen=True)
class Cell:
    """A month in the grid.

    Attributes
    ----------
    month
        Which.
    kind
        Class of the style: ``blessed``, ``warned``, ``bad``, ``damaged``, ``started``, ``pending``, ``missing``, or
        ``outside`` of what there is.
    mark, word
        What stands in the cell, and what that means.
    figure
        Its rank IC if it is known.
    linked
        Whether there is something to look at.
    """

    month: Month
    kind: str
    mark: str = ""
    word: str = ""
    figure: str = ""
    linked: bool = True


@dataclass(frozen=True)
class Year:
    """A row of the grid."""

    year: int
    cells: tuple[Cell, ...]


LEGEND = (
    ("blessed", "✓", "blessed"),
    ("warned", "!", "blessed with warnings"),
    ("bad", "✗", "failed: validation or a gate stopped it"),
    ("damaged", "?", "published, cannot be read"),
    ("started", "…", "started, not published"),
    ("missing", "–", "missing"),
)


def grid(catalogue: Catalogue, left: Mapping[Month, str], scores: Scores | None) -> tuple[Year, ...]:
    """Lay out every month from the first to the last of which there is something, the newest year first.

    Parameters
    ----------
    catalogue
        The published months.
    left
        State of the months that have a run and are not published.
    scores
        What published months were worth.
    """
    months = sorted({*catalogue.published, *left})
    if not months:
        return ()
    first, last = months[0], months[-1]
    years = range(last.ordinal // 12, first.ordinal // 12 - 1, -1)
    return tuple(
        Year(
            year,
            tuple(
                _cell(month, catalogue, left, scores)
                if first <= month <= last
                else Cell(month, "outside", linked=False)
                for month in month_range(Month.of(year, 1), Month.of(year, 12))
            ),
        )
        for year in years
    )


def _cell(month: Month, catalogue: Catalogue, left: Mapping[Month, str], scores: Scores | None) -> Cell:
    known = scores.rank_ic.get(month.ordinal) if scores else None
    shown = "" if known is None else decimal(known, 2)
    headline = catalogue.headlines.get(month)
    if headline is not None:
        kind, mark, word = verdict(headline)
        return Cell(month, kind, mark, word, shown)
    if month in catalogue.damaged:
        return Cell(month, "damaged", "?", "published, cannot be read")
    if month in catalogue.pending:
        return Cell(month, "pending", "", "published, being read", shown)
    if month in left:
        stopped = left[month] in (INVALID, REFUSED)
        return Cell(month, "bad", "✗", left[month]) if stopped else Cell(month, "started", "…", STARTED)
    return Cell(month, "missing", "–", "missing", linked=False)


def verdict(headline: Headline) -> tuple[str, str, str]:
    """Return kind, mark and words for a published month."""
    if not headline.blessed:
        return "bad", "✗", "published, not blessed"
    if headline.warnings:
        count = headline.warnings
        return "warned", "!", f"blessed with {figure(count)} {'warning' if count == 1 else 'warnings'}"
    return "blessed", "✓", "blessed"


@dataclass(frozen=True)
class Trend:
    """A picture of one figure month by month."""

    id: str
    title: str
    note: str
    columns: tuple[Strips, ...]


def trends(catalogue: Catalogue, scores: Scores | None) -> list[Trend]:
    """Return the pictures of which there are values."""
    headlines = catalogue.headlines
    found = []
    if scores and scores.rank_ic:
        found.append(_trend("rank-ic", "Rank IC", "prediction against return", BARS, scores.rank_ic, ""))
        found.append(
            _trend(
                "long-short", "Long-short return, %", "realised, top less bottom fifth", BARS, scores.long_short, "%"
            )
        )
    predicted = {month.ordinal: each.spread for month, each in headlines.items() if each.spread is not None}
    found.append(_trend("spread", "Predicted spread, %", "mean, top less bottom fifth", CURVE, predicted, "%"))
    stocks = {month.ordinal: float(each.stocks) for month, each in headlines.items()}
    found.append(_trend("stocks", "Stocks", "with a prediction", AREA, stocks, "count"))
    warned = {month.ordinal: float(each.warnings) for month, each in headlines.items()}
    found.append(_trend("warnings", "Warnings", "expectations and gates", BARS, warned, "count"))
    return [each for each in found if each.columns]


def _trend(name: str, title: str, note: str, kind: str, values: Mapping[int, float], unit: str) -> Trend:
    if not values:
        return Trend(name, title, note, ())
    mean, last = sum(values.values()) / len(values), values[max(values)]

    def written(value: float) -> str:
        if unit == "count":
            return f"{value:,.0f}"
        return percent(value) if unit == "%" else decimal(value, 3)

    series = Series(note, f"mean {written(mean)}, last {written(last)}", ((kind, values),))
    if unit == "count":
        drawn = strips([series], lambda value, _: f"{value:,.0f}", 1.0, reached=5.0)
    elif unit == "%":
        drawn = strips([series])
    else:
        drawn = strips([series], decimal, 1.0, reached=0.05)
    return Trend(name, title, note, drawn)


def shares(catalogue: Catalogue, model: str) -> SharesOverTime | None:
    """Return the picture of factor shares over the months in which this model ranked; none if none was explained."""
    rows: list[tuple[date, str, str, str, float, float, bool]] = [
        (month.first_day, model, _GROUP, factor, share, dispersion, False)
        for month, headline in catalogue.headlines.items()
        if headline.signal_model == model
        for factor, (share, dispersion) in headline.shares.items()
    ]
    if not rows:
        return None
    frame = pl.DataFrame(rows, schema=pl.Schema(SHARES.columns), orient="row")
    return shares_over_time(frame, model, _GROUP)


def tiles(catalogue: Catalogue, scores: Scores | None) -> list[dict[str, Any]]:
    """Return the figures on top: what they are of, the figure, and what stands below it."""
    published, newest = catalogue.published, max(catalogue.headlines, default=None)
    found: list[dict[str, Any]] = []
    if newest is not None:
        headline = catalogue.headlines[newest]
        kind, mark, word = verdict(headline)
        found.append({"name": "Newest month", "figure": str(newest), "note": f"{mark} {word}", "kind": kind})
        found[0]["month"] = newest
    note = "none yet"
    if published:
        holes = published[-1] - published[0] + 1 - len(published)
        note = f"{published[0]} … {published[-1]}" + (f", {holes} missing between" if holes else ", none missing")
    found.append({"name": "Published months", "figure": figure(len(published)), "note": note})
    if newest is not None:
        headline = catalogue.headlines[newest]
        of = f"of {figure(headline.universe)} in the universe" if headline.universe else "with a prediction"
        found.append({"name": f"Stocks in {newest}", "figure": figure(headline.stocks), "note": of})
    if scores and scores.rank_ic:
        count = f"mean of {len(scores.rank_ic)} scored months"
        found.append(
            {"name": "Rank IC", "figure": decimal(_mean(scores.rank_ic), 3), "note": count, "evaluation": True}
        )
    if scores and scores.long_short:
        note = "mean a month, before costs"
        value = f"{percent(_mean(scores.long_short))} %"
        found.append({"name": "Long-short return", "figure": value, "note": note, "evaluation": True})
    return found


def _mean(values: Mapping[int, float]) -> float:
    return sum(values.values()) / len(values)


NAMES = _NAMES
