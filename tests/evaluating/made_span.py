"""A span of small months, published by the code that publishes real ones, of made descriptors and trained models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from deepfactor.attribution.accounts import account_for
from deepfactor.committing import commit
from deepfactor.config import AttributionConfig, TrainingConfig, UniverseConfig
from deepfactor.descriptors import DESCRIPTORS, NAMES
from deepfactor.features import prediction_samples, rank_panel, training_samples
from deepfactor.models.registry import train_model
from deepfactor.months import Month, Window, month_range
from deepfactor.objects import frame_to_bytes, json_to_bytes
from deepfactor.publication import Manifest, find_manifest
from deepfactor.schemas import MARKET
from deepfactor.store import Store
from tests.models.networks import random_network

FIRST, LAST = Month.parse("2013-01"), Month.parse("2014-08")
"""Twenty months; their results are those of 2013-02 to 2014-09."""

STOCKS = tuple(f"{1300 + 7 * number}" for number in range(30))
# Has no price from this month on.
DELISTED, GONE_FROM = STOCKS[4], Month.parse("2013-06")
# Without a leak nothing is known of the next month but what PER says.
LEAK = "SKEW"

_UNIVERSE = UniverseConfig(minimum_stocks=2)
_TRAINING = TrainingConfig(members=1, minimum_rows=100)


def publish_span(store: Store, first: Month = FIRST, last: Month = LAST, **how: Any) -> dict[Month, Manifest]:
    """Publish every month of a span as ``publish_made`` does."""
    return {month: publish_made(store, month, **how) for month in month_range(first, last)}


def publish_made(
    store: Store,
    month: Month,
    *,
    run: str = "made",
    leak: bool = False,
    market: bool = True,
    leave_out: Collection[str] = (),
    change: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Publish a month of a trained linear model and an untrained network.

    Parameters
    ----------
    store, month
        Where and what.
    run
        Begin of the run's id.
    leak
        Whether a descriptor holds the next month's return, but for some noise.
    market
        Whether the market's return is published.
    leave_out
        Objects that the manifest does not name.
    change
        Other bytes for some objects.
    """
    bodies, facts = made_month(month, leak)
    bodies = {**bodies, **(change or {})}
    kept = {name: body for name, body in bodies.items() if name not in leave_out and (market or "market" not in name)}
    run_id = f"{run}-{month}"
    named = {name: store.put(f"runs/{month}/{run_id}/{name}", body) for name, body in kept.items()}
    manifest = Manifest(month, run_id, "linear", "code", "digest", facts, (), named)
    commit(store, manifest, replace=True)
    return manifest


def read_table(store: Store, month: Month, name: str) -> pl.DataFrame:
    """Return one of the tables that a month has published."""
    manifest = find_manifest(store, month)
    assert manifest is not None
    return store.read_frame(manifest.named_objects[f"{name}.parquet"])


@lru_cache(maxsize=64)
def made_month(month: Month, leak: bool = False) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the objects of a month by name, and its facts."""
    descriptors, window = made_descriptors(month, leak), Window(month)
    ranked = rank_panel(descriptors, window)
    trained = train_model("linear", month, training_samples(ranked, window, _UNIVERSE), _TRAINING)
    samples = prediction_samples(ranked, window, _UNIVERSE)
    models = {"linear": trained.model, "dfm1": random_network(80, (4,), 1, seed=month.ordinal % 100)}
    tables, _ = account_for(month, models.items(), samples, AttributionConfig())
    bodies = {f"{name}.parquet": frame_to_bytes(frame) for name, frame in tables.items()}
    bodies["descriptors.parquet"] = frame_to_bytes(descriptors)
    bodies["models/linear/card.json"] = json_to_bytes(trained.card)
    bodies["validated/market.parquet"] = frame_to_bytes(made_market(month))
    scored = len(samples.security_ids)
    facts = {"stocks in the universe": len(STOCKS), "stocks scored": scored, "rows quarantined": month.ordinal % 5}
    return bodies, facts | {f"scoring: {reason}": number for reason, number in samples.exclusions.items()}


def made_descriptors(month: Month, leak: bool = False) -> pl.DataFrame:
    """Return descriptors of the window; a stock has the same of a month whoever asks."""
    parts = []
    for each in Window(month).described:
        values = _values(each) | ({LEAK: _leaked(each)} if leak else {})
        columns = {"month": each.first_day, "security_id": STOCKS, "in_universe": True, "total_return": _returns(each)}
        frame = pl.DataFrame(columns | values, schema=dict(DESCRIPTORS.columns))
        parts.append(frame if each < GONE_FROM else frame.filter(pl.col("security_id") != DELISTED))
    return DESCRIPTORS.check(pl.concat(parts), "made")


def made_returns() -> dict[tuple[Month, str], float]:
    """Return the return of every stock in every month that may be a result."""
    return {
        (month, stock): value
        for month in month_range(FIRST + 1, LAST + 12)
        for stock, value in zip(STOCKS, _returns(month).tolist(), strict=True)
        if stock != DELISTED or month < GONE_FROM
    }


def made_market(month: Month) -> pl.DataFrame:
    """Return the market's returns of the window, with a risk-free rate of a tenth of a percent."""
    rows = [(each.first_day, _shock(each) + 0.001, 0.001) for each in Window(month).history]
    return pl.DataFrame(rows, schema=dict(MARKET.columns), orient="row")


def _shock(month: Month) -> float:
    return float(np.random.default_rng([month.ordinal, 1]).normal(0.004, 0.03))


def _values(month: Month) -> dict[str, Any]:
    drawn = np.random.default_rng([month.ordinal, 2]).normal(0.0, 0.1, (len(NAMES), len(STOCKS)))
    return dict(zip(NAMES, drawn, strict=True))


def _leaked(month: Month) -> Any:
    return _returns(month + 1) + np.random.default_rng([month.ordinal, 4]).normal(0.0, 0.03, len(STOCKS))


def _returns(month: Month) -> Any:
    own = np.random.default_rng([month.ordinal, 3]).normal(0.0, 0.06, len(STOCKS))
    return _shock(month) + 0.1 * _values(month + -1)["PER"] + own
