"""A month is read through its manifest, and refused if it is not what its weights give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from deepfactor.errors import ConfigurationError, IntegrityError, StoreError
from deepfactor.explaining.published import PublishedModel, read_model_month
from deepfactor.features import FEATURES
from deepfactor.objects import frame_to_bytes
from deepfactor.publication import Manifest, find_manifest, manifest_key
from deepfactor.store import Store
from tests.explaining.made_months import LAST_MONTH, MONTH, STOCKS, made_network, publish_made


def test_rows_are_those_that_were_published(two_months: Store, published: PublishedModel) -> None:
    assert published.model == "dfm2"
    assert published.security_ids.tolist() == sorted(STOCKS)
    attribution = two_months.read_frame(published.manifest.named_objects["attribution.parquet"])
    for row in attribution.sample(50, seed=1).iter_rows(named=True):
        place = STOCKS.index(row["security_id"]), FEATURES.index(f"{row['descriptor']}@{row['lag']}")
        assert published.inputs[place] == np.float32(row["input"])
        assert published.known[place] == row["known"]
        assert published.account.inputs[place] == pytest.approx(row["relevance"], rel=1e-12)


def test_members_are_those_that_were_published(published: PublishedModel) -> None:
    np.testing.assert_allclose(published.account.prediction, published.signals["prediction"], rtol=1e-12)
    np.testing.assert_allclose(
        published.account.member_prediction.std(axis=0), published.signals["dispersion"], rtol=1e-12
    )


@pytest.mark.parametrize("rules", [("epsilon:0.1",), ("zero", "gamma:0.25", "epsilon:0.01")])
def test_the_rules_are_those_of_the_manifest(store: Store, rules: tuple[str, ...]) -> None:
    publish_made(store, rules=rules)
    published = read_model_month(store, MONTH)
    assert published.rules == rules
    np.testing.assert_allclose(published.account.inputs, published.relevance.select(FEATURES), atol=1e-15)


def test_another_model_than_the_signal_model(store: Store) -> None:
    publish_made(store, networks={"dfm2": made_network(MONTH), "dfm1": made_network(MONTH, hidden=(4,), members=1)})
    assert read_model_month(store, MONTH).model == "dfm2"
    other = read_model_month(store, MONTH, "dfm1")
    assert (other.model, other.cross_section.network.members) == ("dfm1", 1)
    assert other.signals["model"].unique().to_list() == ["dfm1"]


class TestValidation:
    def test_a_month_that_is_not_published(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"2016-02 is not published in s3://.*: run the month first"):
            read_model_month(store, MONTH)

    def test_a_model_that_is_not_there(self, two_months: Store) -> None:
        with pytest.raises(
            ConfigurationError, match=r"2016-02 \(run made-2016-02\): dfm1 is not in it; choose from dfm2"
        ):
            read_model_month(two_months, MONTH, "dfm1")

    def test_a_model_without_an_account(self, store: Store) -> None:
        publish_made(store, networks={"dfm2": made_network(MONTH)})
        manifest = find_manifest(store, MONTH)
        assert manifest is not None
        signals = store.read_frame(manifest.named_objects["signals.parquet"])
        more = pl.concat([signals, signals.with_columns(model=pl.lit("forest"))])
        _exchange(store, manifest, "signals.parquet", more)
        with pytest.raises(ConfigurationError, match="forest has signals only: relevance is not propagated through it"):
            read_model_month(store, MONTH, "forest")

    @pytest.mark.parametrize("name", ["relevance.parquet", "models/dfm2/weights.safetensors"])
    def test_an_object_that_no_manifest_names(self, store: Store, name: str) -> None:
        publish_made(store, leave_out=[name])
        with pytest.raises(IntegrityError, match=rf"names no {name}: it was published by another version; .*--replace"):
            read_model_month(store, MONTH)

    def test_a_table_of_another_version(self, store: Store) -> None:
        manifest = publish_made(store)
        ledger = store.read_frame(manifest.named_objects["ledger.parquet"]).drop("level")
        _exchange(store, manifest, "ledger.parquet", ledger)
        with pytest.raises(IntegrityError, match=r"ledger.parquet of 2016-02 .* has other columns than ledger has now"):
            read_model_month(store, MONTH)

    def test_an_object_whose_bytes_differ(self, store: Store) -> None:
        reference = publish_made(store).named_objects["relevance.parquet"]
        store.put(reference.key, b"other")
        with pytest.raises(IntegrityError, match=r"relevance.parquet is not what was written"):
            read_model_month(store, MONTH)

    def test_inputs_that_are_not_those_of_the_signals(self, store: Store) -> None:
        manifest = publish_made(store)
        attribution = store.read_frame(manifest.named_objects["attribution.parquet"])
        _exchange(store, manifest, "attribution.parquet", attribution.filter(pl.col("security_id") != STOCKS[0]))
        with pytest.raises(IntegrityError, match="does not hold 80 inputs of each stock in signals.parquet"):
            read_model_month(store, MONTH)

    @pytest.mark.parametrize("facts", [{}, {"attribution rules": "zero"}], ids=["unsaid", "wrong"])
    def test_rules_that_do_not_give_what_was_published(self, store: Store, facts: dict[str, str]) -> None:
        publish_made(store, rules=("gamma:1",), facts=facts)
        published = read_model_month(store, MONTH)
        with pytest.raises(IntegrityError, match=r"dfm2 of 2016-02 .*computed again by zero differs .*--replace"):
            _ = published.account

    def test_other_weights_than_those_that_predicted(self, store: Store) -> None:
        manifest = publish_made(store)
        other = store.put(
            manifest.named_objects["models/dfm2/weights.safetensors"].key, made_network(LAST_MONTH).to_bytes()
        )
        named = manifest.named_objects | {"models/dfm2/weights.safetensors": other}
        store.put(manifest_key(MONTH), replace(manifest, named_objects=named).to_bytes())
        with pytest.raises(IntegrityError, match="differs from what was published by up to"):
            _ = read_model_month(store, MONTH).account


def _exchange(store: Store, manifest: Manifest, name: str, frame: pl.DataFrame) -> None:
    """Publish another frame in the place of one, with a manifest that names it."""
    reference = store.put(manifest.named_objects[name].key, frame_to_bytes(frame))
    named = manifest.named_objects | {name: reference}
    store.put(manifest_key(MONTH), replace(manifest, named_objects=named).to_bytes())
