"""What an evaluation is made of: all that published months say, read through their manifests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from math import isfinite
from typing import Any

import polars as pl

from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, IntegrityError, StoreError
from deepfactor.evaluating.coverage import coverage, exclusions
from deepfactor.evaluating.outcomes import (
    Outcome,
    described_outcomes,
    market_excess_returns,
    outcomes,
    read_returns,
    realised_returns,
)
from deepfactor.evaluating.tables import MONTHLY_CORRELATIONS, MONTHLY_SHARES
from deepfactor.evaluation.factors import DESCRIPTOR_RANKS, FACTOR_SCORES, factor_scores
from deepfactor.evaluation.forecasts import with_realised
from deepfactor.evaluation.missing import known_months
from deepfactor.evaluation.naive import with_naive
from deepfactor.months import Month, month_range
from deepfactor.publication import Manifest, find_manifest
from deepfactor.schemas import ATTRIBUTION, CORRELATIONS, SHARES, SIGNALS, Table
from deepfactor.store import Store

# A month's attribution takes some hundred megabytes while it is read.
_READERS = 3


@dataclass(frozen=True)
class Materials:
    """All that published months say.

    Attributes
    ----------
    span
        The months that are asked for.
    manifests
        Of those that are published.
    outcomes
        Of these, the runs that know their results.
    forecasts
        ``forecasts.FORECASTS`` of models and naive forecasts, those that are not known yet among them.
    scores
        ``factors.FACTOR_SCORES``.
    returns
        ``forecasts.RETURNS`` of the months after.
    market
        ``month`` and ``market_excess_return``, as :func:`outcomes.market_excess_returns` gives them.
    monthly_shares, monthly_correlations
        ``MONTHLY_SHARES`` and ``MONTHLY_CORRELATIONS``.
    coverage, exclusions
        ``COVERAGE`` and ``EXCLUSIONS``.
    """

    span: tuple[Month, ...]
    manifests: Mapping[Month, Manifest]
    outcomes: Mapping[Month, Outcome]
    forecasts: pl.DataFrame
    scores: pl.DataFrame
    returns: pl.DataFrame
    market: pl.DataFrame
    monthly_shares: pl.DataFrame
    monthly_correlations: pl.DataFrame
    coverage: pl.DataFrame
    exclusions: pl.DataFrame

    def inputs(self) -> dict[str, Any]:
        """Return every run that was read, pinned, as JSON can hold it."""
        return {
            "from": str(self.span[0]),
            "to": str(self.span[-1]),
            "runs": {
                str(month): {
                    "run_id": manifest.run_id,
                    "manifest_sha256": hashlib.sha256(manifest.to_bytes()).hexdigest(),
                }
                for month, manifest in sorted(self.manifests.items())
            },
            "returns": {str(month + 1): outcome.as_dict() for month, outcome in sorted(self.outcomes.items())},
        }


@dataclass(frozen=True)
class _MonthRead:
    forecasts: pl.DataFrame
    scores: pl.DataFrame
    shares: pl.DataFrame
    correlations: pl.DataFrame


def read_materials(
    store: Store, first: Month, last: Month, config: Config | None = None, api_key: str | None = None
) -> Materials:
    """Read what the published months of a span say, and the results that have come; every object is checked.

    Parameters
    ----------
    store
        Where months are published.
    first, last
        As-of months of the span, both included.
    config
        Where a month may be fetched from whose returns no published run knows; none: it is not known yet.
    api_key
        Key of a data service; None: that of the service's environment variable.

    Raises
    ------
    ConfigurationError
        If the span is not a span.
    StoreError
        If none of its months is published.
    IntegrityError
        If an object is missing, its bytes differ, or it is of another version.
    """
    if first > last:
        raise ConfigurationError(f"--from {first} comes after --to {last}: turn them around")
    span = tuple(month_range(first, last))
    found = {month: find_manifest(store, month) for month in span}
    manifests = {month: manifest for month, manifest in found.items() if manifest is not None}
    if not manifests:
        raise StoreError(
            f"no month from {first} to {last} is published in {store.url('')}: run them first "
            "(`deepfactor run`, or a backfill with Airflow); a backtest publishes nothing"
        )
    results = outcomes(store, manifests)
    if config is not None:
        results |= described_outcomes(store, sorted(manifests.keys() - results.keys()), config, api_key)
    returns = realised_returns(store, results)
    with ThreadPoolExecutor(_READERS) as pool:
        months = list(pool.map(lambda manifest: _read_month(store, manifest, returns), manifests.values()))
    forecasts = pl.concat([each.forecasts for each in months])
    known = {Month.containing(month) for month in known_months(forecasts)["month"].unique()}
    return Materials(
        span=span,
        manifests=manifests,
        outcomes=results,
        forecasts=forecasts,
        scores=FACTOR_SCORES.check(pl.concat([each.scores for each in months]), "the factors' scores"),
        returns=returns,
        market=market_excess_returns(store, results),
        monthly_shares=_stacked(MONTHLY_SHARES, [each.shares for each in months]),
        monthly_correlations=_stacked(MONTHLY_CORRELATIONS, [each.correlations for each in months]),
        coverage=coverage(span, manifests, known),
        exclusions=exclusions(manifests),
    )


def _read_month(store: Store, manifest: Manifest, returns: pl.DataFrame) -> _MonthRead:
    signals = with_realised(_table(store, manifest, SIGNALS), returns)
    # Naive forecasts know what the month's own run knew, and no later correction.
    own = read_returns(store, manifest.named("descriptors.parquet"))
    means = {manifest.month.first_day: _training_mean(store, manifest)}
    return _MonthRead(
        forecasts=with_naive(signals, means, own),
        scores=factor_scores(_descriptor_ranks(store, manifest)),
        shares=_table(store, manifest, SHARES),
        correlations=_table(store, manifest, CORRELATIONS),
    )


def _training_mean(store: Store, manifest: Manifest) -> float:
    """Return the mean return of the training window, which is that of all models, from the signal model's card."""
    name = f"models/{manifest.signal_model}/card.json"
    mean = store.read_json(manifest.named(name)).get("mean_return")
    if not isinstance(mean, float | int) or not isfinite(mean):
        raise IntegrityError(
            f"{name} of {manifest.month} (run {manifest.run_id}) does not tell the mean return of the training window: "
            "publish the month again with --replace"
        )
    return float(mean)


def _descriptor_ranks(store: Store, manifest: Manifest) -> pl.DataFrame:
    """Return ``factors.DESCRIPTOR_RANKS``: the signal model's inputs of the month itself."""
    reference = manifest.named("attribution.parquet")
    body = BytesIO(store.read(reference))
    _check_columns(ATTRIBUTION, pl.read_parquet_schema(body), manifest)
    inputs = pl.scan_parquet(body).filter(pl.col("lag") == 0, pl.col("model") == manifest.signal_model)
    return inputs.select(*DESCRIPTOR_RANKS.columns).collect()


def _table(store: Store, manifest: Manifest, table: Table) -> pl.DataFrame:
    frame = store.read_frame(manifest.named(f"{table.name}.parquet"))
    _check_columns(table, frame.schema, manifest)
    return table.check(frame, f"{table.name}.parquet of {manifest.month} (run {manifest.run_id})")


def _check_columns(table: Table, schema: Mapping[str, Any], manifest: Manifest) -> None:
    if dict(schema) != dict(table.columns):
        raise IntegrityError(
            f"{table.name}.parquet of {manifest.month} (run {manifest.run_id}) has other columns than {table.name} has "
            "now: it was published by another version; publish the month again with --replace"
        )


def _stacked(table: Table, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return table.check(pl.concat(frames), f"{table.name} of the published months")
