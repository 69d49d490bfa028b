"""A security's page: what was predicted for it through the years, and where that came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import polars as pl

from deepfactor.months import Month
from deepfactor.pages.contributions import Contributions, contributions
from deepfactor.pages.digest import ACCOUNTS, Headline
from deepfactor.pages.errors import NotThere
from deepfactor.reports.evaluation.strips import BARS, CURVE, DASHES, Series, Strips, strips
from deepfactor.reports.numbers import decimal, percent
from deepfactor.reports.waterfall import Step, Waterfall, steps_of, waterfall

# How many matches of a search are listed.
LISTED = 200


@dataclass(frozen=True)
class Match:
    """A security that was found.

    Attributes
    ----------
    security_id, address
        Its name, and as it stands in an address.
    first, last, months
        The published months in which it has a prediction, and how many there are.
    """

    security_id: str
    address: str
    first: Month
    last: Month
    months: int


def search(securities: Mapping[str, tuple[Month, Month, int]], text: str) -> list[Match]:
    """Return the securities whose name holds a text, whatever its case: those that begin with it first.

    Parameters
    ----------
    securities
        First and last month and number of months, by name.
    text
        What to look for; of an empty text, all.
    """
    wanted = text.strip().casefold()
    found = [name for name in securities if wanted in name.casefold()]
    found.sort(key=lambda name: (not name.casefold().startswith(wanted), name))
    return [Match(name, quote(name, safe=""), *securities[name]) for name in found]


@dataclass(frozen=True)
class SecurityView:
    """What the page shows.

    Attributes
    ----------
    rows
        A mapping a month, newest first: the row of ``digest.STOCKS``, its month, how many stocks were ranked, and how
        strongly each account's cell is coloured.
    chosen
        The row whose account is drawn as a waterfall.
    stacked
        The accounts through the years; none if the model is not explained.
    fall
        The chosen month's waterfall; none likewise.
    predictions, ranks
        Pictures of predictions, of every model on one scale, and of the model's percentile among all stocks.
    """

    security_id: str
    address: str
    model: str
    models: tuple[str, ...]
    rows: list[dict[str, Any]]
    chosen: dict[str, Any]
    stacked: Contributions | None
    fall: Waterfall | None
    predictions: tuple[Strips, ...]
    ranks: tuple[Strips, ...]


def security_view(
    frame: pl.DataFrame, headlines: Mapping[Month, Headline], security_id: str, model: str | None, month: Month | None
) -> SecurityView:
    """Return what the page of a security shows.

    Parameters
    ----------
    frame
        Its rows of ``digest.STOCKS`` in all months and of all models, with the ``month``.
    headlines
        Of the months.
    security_id
        Its name.
    model
        Whose predictions; none: the newest month's signal model, if it has one of this security.
    month
        Whose account is drawn; none: the newest.

    Raises
    ------
    NotThere
        If there is no prediction of the security, by this model or in this month.
    """
    if frame.is_empty():
        raise NotThere(f"no published month has a prediction for {security_id!r}: search for another name")
    models = tuple(sorted(frame["model"].unique()))
    model = model or _default(models, headlines)
    ours = frame.filter(pl.col("model") == model).sort("month")
    if ours.is_empty():
        raise NotThere(f"{model!r} has no prediction for {security_id!r}; models that have: {', '.join(models)}")
    months = [Month.containing(day) for day in ours["month"]]
    rows = [
        {**row, "month": each, "stocks": headlines[each].stocks}
        for each, row in zip(months, ours.with_columns(_shades(ours)).iter_rows(named=True), strict=True)
    ]
    chosen = rows[-1] if month is None else next((row for row in rows if row["month"] == month), None)
    if chosen is None:
        raise NotThere(f"{model} has no prediction for {security_id!r} in {month}")
    reach = (min(headlines).ordinal, max(headlines).ordinal)
    booked = [row for row in rows if row["level"] is not None]
    return SecurityView(
        security_id=security_id,
        address=quote(security_id, safe=""),
        model=model,
        models=models,
        rows=rows[::-1],
        chosen=chosen,
        stacked=contributions(booked, [row["month"].ordinal for row in booked], reach) if booked else None,
        fall=_fall(chosen) if chosen["level"] is not None else None,
        predictions=_predictions(frame, models, model),
        ranks=_ranks(rows),
    )


def _default(models: Sequence[str], headlines: Mapping[Month, Headline]) -> str:
    signal_model = headlines[max(headlines)].signal_model
    return signal_model if signal_model in models else models[0]


def _shades(frame: pl.DataFrame) -> list[pl.Expr]:
    """Return how strongly each account's cell is coloured, from -4 to 4, on one scale for all of them."""
    accounts = [each for each in ACCOUNTS if each not in ("level", "leak")]
    largest = pl.concat([frame[each].abs() for each in accounts]).drop_nulls().max() or 1.0
    return [(pl.col(each) / largest * 4).round().cast(pl.Int64).alias(f"{each} shade") for each in accounts]


def _fall(row: Mapping[str, Any]) -> Waterfall:
    total = Step("prediction", row["prediction"], row["dispersion"])
    return waterfall(steps_of(row), Step("level", row["level"]), total)


def _predictions(frame: pl.DataFrame, models: Sequence[str], model: str) -> tuple[Strips, ...]:
    series = []
    for name in (model, *(each for each in models if each != model)):
        rows = list(
            frame.filter(pl.col("model") == name).sort("month").select("month", "prediction", "dispersion").iter_rows()
        )
        values = {Month.containing(day).ordinal: value for day, value, _ in rows}
        bands = [
            (DASHES, {Month.containing(day).ordinal: value + way * spread for day, value, spread in rows})
            for way in (-1, 1)
            if any(spread > 0 for _, _, spread in rows)
        ]
        newest = values[max(values)]
        mean = sum(values.values()) / len(values)
        series.append(Series(name, f"newest {percent(newest)}, mean {percent(mean)}", ((CURVE, values), *bands)))
    return strips(series)


def _ranks(rows: Sequence[Mapping[str, Any]]) -> tuple[Strips, ...]:
    values = {row["month"].ordinal: 100.0 * (1.0 - (row["rank"] - 1) / max(row["stocks"] - 1, 1)) for row in rows}
    top = sum(row["quintile"] == 5 for row in rows)
    bottom = sum(row["quintile"] == 1 for row in rows)
    summary = f"top fifth {top}, bottom {bottom} of {len(rows)}"
    series = Series("% ranked lower", summary, ((BARS, values),))
    return strips([series], lambda value, _: decimal(value, 0, signed=False), 1.0, reached=100.0)
