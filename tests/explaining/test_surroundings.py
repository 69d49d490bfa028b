"""The other stocks of the month, and the months before."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from deepfactor.explaining.published import PublishedModel
from deepfactor.explaining.subjects import portfolio, stock
from deepfactor.explaining.surroundings import shares_until, swarm
from deepfactor.objects import frame_to_bytes
from deepfactor.publication import manifest_key
from deepfactor.schemas import FACTORS, SHARES
from deepfactor.store import Store
from tests.explaining.made_months import LAST_MONTH, LOSSLESS, MONTH, STOCKS, publish_made


def test_a_swarm_is_what_was_published(two_months: Store, published: PublishedModel) -> None:
    found = swarm(published, stock(two_months, published, STOCKS[2]), "PER")
    assert found.highlighted == 2
    rows = two_months.read_frame(published.manifest.named_objects["attribution.parquet"]).filter(descriptor="PER")
    sums = rows.group_by("security_id").agg(pl.col("relevance").sum()).sort("security_id")
    np.testing.assert_allclose(found.contributions, sums["relevance"])
    np.testing.assert_array_equal(found.ranks, rows.filter(lag=0).sort("security_id")["input"])
    assert np.flatnonzero(~found.known).tolist() == [STOCKS.index(LOSSLESS)]


def test_no_stock_of_a_portfolio_is_highlighted(published: PublishedModel) -> None:
    assert swarm(published, portfolio(published, "top"), "CAP").highlighted is None


class TestShares:
    def test_of_all_months_up_to_one(self, two_months: Store) -> None:
        both = shares_until(two_months, MONTH, "dfm2")
        assert both["month"].unique().sort().to_list() == [LAST_MONTH.first_day, MONTH.first_day]
        assert SHARES.empty().schema == both.schema
        assert both.filter(group="top quintile").height == 2 * len(FACTORS)
        earlier = shares_until(two_months, LAST_MONTH, "dfm2")
        assert earlier["month"].unique().to_list() == [LAST_MONTH.first_day]
        assert shares_until(two_months, MONTH, "dfm1").is_empty()

    def test_months_of_another_version_are_left_out(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        publish_made(store, MONTH + -2, leave_out=["shares.parquet"])
        old = publish_made(store, LAST_MONTH)
        publish_made(store, MONTH)
        body = frame_to_bytes(store.read_frame(old.named_objects["shares.parquet"]).drop("disputed"))
        named = old.named_objects | {"shares.parquet": store.put(old.named_objects["shares.parquet"].key, body)}
        store.put(manifest_key(LAST_MONTH), replace(old, named_objects=named).to_bytes())
        store.put("manifests/notes.json", b"{}")
        with caplog.at_level(logging.WARNING):
            found = shares_until(store, MONTH, "dfm2")
        assert found["month"].unique().to_list() == [MONTH.first_day]
        assert "is of another version and is left out" in caplog.text
