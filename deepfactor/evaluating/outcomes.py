"""The returns that came: which run knows them, and what the market did meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import polars as pl

from deepfactor.backtest.plan import describing, sources_of_returns
from deepfactor.config import Config
from deepfactor.descriptors import DESCRIPTORS
from deepfactor.errors import IntegrityError
from deepfactor.evaluation.forecasts import RETURNS
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.publication import find_manifest, published_months
from deepfactor.runs import read_record
from deepfactor.schemas import MARKET
from deepfactor.store import Store

_DESCRIPTORS, _MARKET = "descriptors.parquet", "validated/market.parquet"


@dataclass(frozen=True)
class Outcome:
    """A run that knows returns of months gone by.

    Attributes
    ----------
    as_of, run_id
        Its month, and which run it is.
    published
        Whether it is published; else it was only described, for its returns.
    descriptors
        ``descriptors.DESCRIPTORS``.
    market
        ``schemas.MARKET``; none: the run does not keep it.
    """

    as_of: Month
    run_id: str
    published: bool
    descriptors: Reference
    market: Reference | None

    def as_dict(self) -> dict[str, Any]:
        """Return which run it is as JSON can hold it."""
        return {
            "as_of": str(self.as_of),
            "run_id": self.run_id,
            "published": self.published,
            "descriptors_sha256": self.descriptors.sha256,
        }


def outcomes(store: Store, months: Iterable[Month]) -> dict[Month, Outcome]:
    """Return for each month's forecasts the published run that knows the returns that came.

    A later month's descriptors hold the returns of 73 months. As few runs as possible are taken, so that all returns
    are those that one delivery knew, as in a backtest.

    Parameters
    ----------
    store
        Where months are published.
    months
        As-of months of the forecasts; one whose result no published run knows is left out.

    Raises
    ------
    IntegrityError
        If a manifest names no descriptors.
    """
    sources = sources_of_returns(months, published_months(store))
    read = {source: _published(store, source) for source in sorted(set(sources.values()))}
    return {month: read[source] for month, source in sorted(sources.items())}


def described_outcomes(
    store: Store, months: Sequence[Month], config: Config, api_key: str | None = None
) -> dict[Month, Outcome]:
    """Return the results that no published run knows, from runs that are described for them and not published.

    The month after is ingested, validated and described as ``deepfactor run`` would do it, and goes no further. A month
    that the source has not delivered is left out.

    Parameters
    ----------
    store
        Where the runs go.
    months
        As-of months of forecasts.
    config
        Says where the delivery lies, and how it is read.
    api_key
        Key of a data service; None: that of the service's environment variable.

    Raises
    ------
    SourceError, HistoryError, ValidationFailed
        As the steps do.
    """
    if not months:
        return {}
    from deepfactor.pipeline import describe, ingest, validate
    from deepfactor.sources import open_source

    source = open_source(config.source, api_key)
    found: dict[Month, Outcome] = {}
    for month in sorted(months, reverse=True):
        # The month after next may have been described for the month before.
        known = describing(month + 1, [each.as_of for each in found.values()])
        if known is not None:
            found[month] = next(each for each in found.values() if each.as_of == known)
        elif source.ready(month + 1):
            run = ingest(month + 1, store, config, api_key)
            validate(run, store, config)
            described = describe(run, store, config)
            market = read_record(run, store, "validate").objects.get(_MARKET)
            found[month] = Outcome(run.month, run.run_id, False, described.objects[_DESCRIPTORS], market)
    return found


def realised_returns(store: Store, found: Mapping[Month, Outcome]) -> pl.DataFrame:
    """Return the returns of the months after, each from the run that knows it, as ``forecasts.RETURNS``."""
    parts = [RETURNS.empty()]
    for outcome, months in _by_outcome(found):
        wanted = [(month + 1).first_day for month in months]
        parts.append(read_returns(store, outcome.descriptors).filter(pl.col("month").is_in(wanted)))
    return pl.concat(parts)


def market_excess_returns(store: Store, found: Mapping[Month, Outcome]) -> pl.DataFrame:
    """Return ``month``, the as-of month, and ``market_excess_return`` of the month after, where a run publishes it."""
    schema = {"month": pl.Date, "market_excess_return": pl.Float64}
    parts = [pl.DataFrame(schema=schema)]
    for outcome, months in _by_outcome(found):
        if outcome.market is None:
            continue
        market = MARKET.check(store.read_frame(outcome.market), f"{outcome.market.key}")
        excess = market.select(
            pl.col("month").dt.offset_by("-1mo"),
            (pl.col("market_return") - pl.col("risk_free_rate")).alias("market_excess_return"),
        )
        parts.append(excess.filter(pl.col("month").is_in([month.first_day for month in months])))
    return pl.concat(parts)


def read_returns(store: Store, descriptors: Reference) -> pl.DataFrame:
    """Return what a run knows of returns, as ``forecasts.RETURNS``; the object is checked.

    Raises
    ------
    IntegrityError
        If it is missing, its bytes differ, or it is of another version.
    """
    body = BytesIO(store.read(descriptors))
    if pl.read_parquet_schema(body) != dict(DESCRIPTORS.columns):
        raise IntegrityError(
            f"{store.url(descriptors.key)} has other columns than descriptors have now: it was published by another "
            "version; publish the month again with --replace"
        )
    return pl.read_parquet(body, columns=list(RETURNS.columns)).select(*RETURNS.columns)


def _published(store: Store, month: Month) -> Outcome:
    manifest = find_manifest(store, month)
    if manifest is None:
        raise IntegrityError(f"the manifest of {month} has just gone from {store.url('')}: evaluate again")
    market = manifest.named_objects.get(_MARKET)
    return Outcome(month, manifest.run_id, True, manifest.named(_DESCRIPTORS), market)


def _by_outcome(found: Mapping[Month, Outcome]) -> list[tuple[Outcome, list[Month]]]:
    """Return each run once, with the months whose results are taken from it."""
    runs = {outcome.as_of: outcome for outcome in found.values()}
    return [
        (runs[as_of], sorted(month for month, outcome in found.items() if outcome.as_of == as_of))
        for as_of in sorted(runs)
    ]
