"""The geometry of factor shares month by month, a strip for each factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from deepfactor.errors import SchemaError
from deepfactor.months import Month
from deepfactor.reports.axes import Scale, Tick, rounded
from deepfactor.reports.numbers import percent
from deepfactor.reports.time_axis import area, curve, month_ticks, path, runs
from deepfactor.schemas import FACTORS, SHARES

# A share with its dispersion, by month's ordinal.
_Months = Mapping[int, tuple[float, float]]

_TOP = 8.0


@dataclass(frozen=True)
class Strip:
    """One factor's share.

    Attributes
    ----------
    factor
        Its name.
    base
        Where a share of nothing lies.
    ticks
        Of the share, in percent; the last is the highest.
    line, area, band
        Paths of the share, of what lies below it, and of one standard deviation of the members to each side; broken
        where a month is missing.
    newest
        The last month's share in percent, with its dispersion.
    """

    factor: str
    base: float
    ticks: tuple[Tick, ...]
    line: str
    area: str
    band: str
    newest: str


@dataclass(frozen=True)
class SharesOverTime:
    """Five strips on one scale; stacked, a factor could not be followed, since its base would move."""

    strips: tuple[Strip, ...]
    months: tuple[Tick, ...]
    height: float
    description: str

    WIDTH = 440.0
    LEFT = 104.0
    PLOT = 252.0
    STRIP = 46.0
    GAP = 14.0


def shares_over_time(shares: pl.DataFrame, model: str, group: str) -> SharesOverTime:
    """Lay out how much each factor has mattered to a model, month by month.

    Parameters
    ----------
    shares
        ``schemas.SHARES`` of several months, one after the other.
    model, group
        Of which model, and of which of its groups.

    Raises
    ------
    SchemaError
        If there is none of these, or a month stands twice.
    """
    where = f"shares of {model}, {group}"
    rows = shares.select(*SHARES.columns).filter(pl.col("model") == model, pl.col("group") == group)
    if rows.is_empty():
        raise SchemaError(f"{where}: there are none in the months that were given")
    if rows.select("month", "factor").is_duplicated().any():
        raise SchemaError(f"{where}: a month stands twice; give each month once")
    by_factor: dict[str, _Months] = {
        factor: {
            Month.containing(row["month"]).ordinal: (row["share"], row["dispersion"])
            for row in rows.filter(pl.col("factor") == factor).sort("month").iter_rows(named=True)
        }
        for factor in FACTORS
    }
    months = sorted({ordinal for each in by_factor.values() for ordinal in each})
    # Half a month to each side gives a single month a place.
    across = Scale(months[0] - 0.5, months[-1] + 0.5, SharesOverTime.LEFT, SharesOverTime.PLOT)
    furthest = max(share + dispersion for each in by_factor.values() for share, dispersion in each.values())
    highest = max(0.1, math.ceil(min(1.0, furthest) * 10) / 10)
    strips = tuple(_strip(place, factor, by_factor[factor], across, highest) for place, factor in enumerate(by_factor))
    return SharesOverTime(
        strips=strips,
        months=month_ticks(months[0], months[-1], across),
        height=rounded(strips[-1].base),
        description=" ".join(_sentence(factor, each) for factor, each in by_factor.items() if each),
    )


def _strip(place: int, factor: str, months: _Months, across: Scale, highest: float) -> Strip:
    base = _TOP + (place + 1) * SharesOverTime.STRIP + place * SharesOverTime.GAP
    up = Scale(0.0, highest, base, -SharesOverTime.STRIP)
    shares = {ordinal: share for ordinal, (share, _) in months.items()}
    band: list[str] = []
    for run in runs(sorted(months)):
        x = [across.at(ordinal) for ordinal in run]
        # A share lies between 0 and 1; its band may not, and is cut there.
        low, high = (
            [up.at(min(highest, max(0.0, share + way * spread))) for share, spread in map(months.__getitem__, run)]
            for way in (-1, 1)
        )
        band.append(path([*x, *reversed(x)], [*high, *reversed(low)]) + "Z")
    newest = months[max(months)] if months else None
    return Strip(
        factor=factor,
        base=rounded(base),
        ticks=(Tick(up.at(0.0), "0"), Tick(up.at(highest), percent(highest, 0, signed=False))),
        line=curve(shares, across, up),
        band="".join(band),
        area=area(shares, across, up),
        newest=_figures(*newest) if newest else "",
    )


def _sentence(factor: str, months: _Months) -> str:
    first, last = min(months), max(months)
    shares = [share for share, _ in months.values()]
    lowest, highest = (percent(each, 1, signed=False) for each in (min(shares), max(shares)))
    told = f"{factor}: {_figures(*months[last])} percent in {Month(last)}"
    return told + (f", between {lowest} and {highest} since {Month(first)}." if first < last else ".")


def _figures(share: float, dispersion: float) -> str:
    return percent(share, 1, signed=False) + (f" ± {percent(dispersion, 1, signed=False)}" if dispersion else "")
