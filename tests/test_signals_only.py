"""A month with models that cannot be explained: their signals are published, and no account."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from deepfactor.config import Config
from deepfactor.monthly import run_month
from deepfactor.publication import PublishedMonth, read_month, verify_month
from deepfactor.store import Store
from tests.conftest import AS_OF

MODELS = ("linear", "svr", "forest")


@pytest.fixture(scope="module")
def published(bucket: Store, small_config: Config) -> tuple[Store, PublishedMonth]:
    """The small market's month."""
    store = bucket.below("signals-only")
    config = replace(small_config, models=MODELS, signal_model="linear")
    run_month(AS_OF, store, config, after=lambda *_: None)
    return store, read_month(store, AS_OF)


def test_every_model_has_signals_of_the_same_stocks(published: tuple[Store, PublishedMonth]) -> None:
    _, month = published
    stocks = {model: set(month.signals.filter(pl.col("model") == model)["security_id"].to_list()) for model in MODELS}
    assert len(stocks["linear"]) > 20
    assert stocks["svr"] == stocks["forest"] == stocks["linear"]
    spreads = month.signals.group_by("model").agg(pl.col("prediction").std(), pl.col("dispersion").max())
    assert (spreads["prediction"] > 1e-4).all()
    assert spreads["dispersion"].to_list() == [0.0] * 3


def test_only_the_linear_model_has_an_account(published: tuple[Store, PublishedMonth]) -> None:
    store, month = published
    attribution = store.read_frame(month.manifest.named_objects["attribution.parquet"])
    for frame in (month.ledger, month.shares, attribution):
        assert frame["model"].unique().to_list() == ["linear"]
    assert list(store.read_json(month.manifest.named_objects["imbalances.json"])) == ["linear"]


def test_every_gate_is_passed_and_none_asks_for_a_ledger(published: tuple[Store, PublishedMonth]) -> None:
    _, month = published
    assert all(gate["passed"] for gate in month.gates)
    assert [gate["model"] for gate in month.gates if gate["gate"] == "ledger"] == ["linear"]


def test_the_page_shows_them(published: tuple[Store, PublishedMonth]) -> None:
    store, month = published
    page = store.read(month.manifest.report).decode()
    assert "Without an account, and so without shares: forest, svr." in page
    assert verify_month(store, AS_OF) == month.manifest
