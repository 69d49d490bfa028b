"""A whole month on a real endpoint: published once, the same bytes again, and nothing at all from bad input."""

from __future__ import annotations

import copy
import re
import secrets
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from deepfactor.attribution.tables import RELEVANCE
from deepfactor.committing import commit
from deepfactor.config import Config
from deepfactor.errors import (
    ConfigurationError,
    DeepfactorError,
    HistoryError,
    IntegrityError,
    NotBlessed,
    PublicationConflict,
    SourceError,
    StoreError,
    ValidationFailed,
)
from deepfactor.monthly import run_month
from deepfactor.months import Month
from deepfactor.pipeline import attribute, bless, describe, ingest, publish, train, validate
from deepfactor.publication import Manifest, find_manifest, manifest_key, open_month, read_month, verify_month
from deepfactor.reports.month import FILES
from deepfactor.runs import Run
from deepfactor.schemas import (
    ATTRIBUTION,
    CORRELATIONS,
    FACTORS,
    LEDGER,
    PORTFOLIOS,
    REMAINDERS,
    SHARES,
    SIGNALS,
)
from deepfactor.store import Store
from tests.conftest import AS_OF


def _silent(step: str, seconds: float) -> None:
    assert seconds >= 0, step


@pytest.fixture(scope="module")
def month_store(bucket: Store) -> Store:
    """A store in which the small market's month is published."""
    return bucket.below(secrets.token_hex(6))


@pytest.fixture(scope="module")
def manifest(month_store: Store, small_config: Config) -> Manifest:
    """The published month."""
    return run_month(AS_OF, month_store, small_config, after=_silent)


@pytest.mark.usefixtures("manifest")
class TestPublished:
    def test_everything_is_there_and_whole(self, month_store: Store, manifest: Manifest) -> None:
        assert verify_month(month_store, AS_OF) == manifest
        assert {f"steps/{step}.json" for step in STEPS} < manifest.named_objects.keys()
        made = {each.key for each in manifest.objects}
        assert set(month_store.list(f"runs/{AS_OF}/{manifest.run_id}/")) - made == {
            f"runs/{AS_OF}/{manifest.run_id}/{name}"
            for name in (
                "manifest.json",
                # How long a training took is never the same twice, so no manifest names it.
                *(f"models/{model}/measured.json" for model in ("dfm1", "dfm2", "linear")),
            )
        }

    def test_tables_are_what_their_schemas_say(self, month_store: Store, manifest: Manifest) -> None:
        month = read_month(month_store, AS_OF)
        for table, frame in ((SIGNALS, month.signals), (LEDGER, month.ledger), (SHARES, month.shares)):
            assert table.check(frame, table.name).height == frame.height > 0
        for table in (RELEVANCE, ATTRIBUTION, PORTFOLIOS, CORRELATIONS):
            frame = month_store.read_frame(manifest.named_objects[f"{table.name}.parquet"])
            assert table.check(frame, table.name).height == frame.height > 0
        attribution = month_store.read_frame(manifest.named_objects["attribution.parquet"])
        assert month.signals["model"].unique().sort().to_list() == ["dfm1", "dfm2", "linear"]
        assert attribution.height == 80 * month.signals.height

    def test_every_published_prediction_is_accounted_for(self, month_store: Store) -> None:
        month = read_month(month_store, AS_OF)
        booked = month.ledger.select("model", "security_id", booked=pl.sum_horizontal(*FACTORS, *REMAINDERS))
        joined = month.signals.join(booked, on=["model", "security_id"], validate="1:1")
        assert joined.height == month.signals.height
        assert joined.select((pl.col("booked") - pl.col("prediction")).abs().max()).item() < 1e-12

    def test_every_explanation_was_checked(self, month_store: Store, manifest: Manifest) -> None:
        gates = read_month(month_store, AS_OF).gates
        checks = month_store.read_json(manifest.named_objects["checks.json"])
        assert list(checks) == ["dfm1", "dfm2", "linear"]
        for model, each in checks.items():
            assert each["placebo"] == month_store.read_json(manifest.named_objects[f"models/{model}/placebo.json"])
            judged = {gate["gate"]: gate["value"] for gate in gates if gate["model"] == model}
            assert {name: judged[name] for name in each} == {name: check["value"] for name, check in each.items()}
            assert ("members" in each) == (model != "linear")
        assert {gate["gate"] for gate in gates if not gate["hard"]} == {"members", "last month"}
        assert all(gate["passed"] for gate in gates if gate["hard"])

    def test_signals_for_spreadsheets_are_the_same_signals(self, month_store: Store, manifest: Manifest) -> None:
        signals = read_month(month_store, AS_OF).signals
        body = month_store.read(manifest.named("signals.csv"))
        assert pl.read_csv(BytesIO(body), schema=signals.schema).equals(signals)

    def test_the_page_links_what_lies_beside_it(self, month_store: Store, manifest: Manifest) -> None:
        page = month_store.read(manifest.report).decode()
        folder = manifest.report.key.removesuffix("report.html")
        linked = set(re.findall(r'href="([^"#:]+)"', page))
        assert linked == {*FILES, "validation/data_docs/index.html", "results/data_docs/index.html"}
        for name in linked:
            assert manifest.named(name).key == folder + name

    def test_a_month_from_before_there_was_a_csv_is_read(self, month_store: Store, manifest: Manifest) -> None:
        older = {name: each for name, each in manifest.named_objects.items() if name != "signals.csv"}
        month = open_month(month_store, replace(manifest, named_objects=older))
        assert month.signals.equals(read_month(month_store, AS_OF).signals)

    def test_a_second_run_changes_nothing(self, month_store: Store, manifest: Manifest, small_config: Config) -> None:
        before = {key: month_store.etag(key) for key in month_store.list("")}
        assert run_month(AS_OF, month_store, small_config, after=_silent) == manifest
        assert {key: month_store.etag(key) for key in month_store.list("")} == before

    def test_another_store_gets_the_same_bytes(self, store: Store, manifest: Manifest, small_config: Config) -> None:
        assert run_month(AS_OF, store, small_config, after=_silent).to_bytes() == manifest.to_bytes()

    def test_a_damaged_object_is_named_and_mended_by_running_again(
        self, month_store: Store, manifest: Manifest, small_config: Config
    ) -> None:
        victim = manifest.named_objects["models/dfm1/weights.safetensors"]
        body = bytearray(month_store.get(victim.key))
        body[100] ^= 1
        month_store.put(victim.key, bytes(body))
        with pytest.raises(IntegrityError, match=victim.key):
            verify_month(month_store, AS_OF)
        assert run_month(AS_OF, month_store, small_config, after=_silent) == manifest
        verify_month(month_store, AS_OF)

    def test_other_settings_conflict_unless_they_may_replace(
        self, month_store: Store, manifest: Manifest, small_config: Config
    ) -> None:
        other = replace(small_config, models=("linear",), signal_model="linear")
        with pytest.raises(PublicationConflict, match=rf"already published as run {manifest.run_id}.*--replace"):
            run_month(AS_OF, month_store, other, after=_silent)
        assert find_manifest(month_store, AS_OF) == manifest
        replaced = run_month(AS_OF, month_store, other, replace=True, after=_silent)
        assert verify_month(month_store, AS_OF) == replaced
        assert month_store.get(f"runs/{AS_OF}/{manifest.run_id}/manifest.json") == manifest.to_bytes()
        run_month(AS_OF, month_store, small_config, replace=True, after=_silent)

    def test_a_publisher_killed_before_its_copy_leaves_nothing_unknown(
        self, month_store: Store, manifest: Manifest, small_config: Config
    ) -> None:
        copy = f"runs/{AS_OF}/{manifest.run_id}/manifest.json"
        month_store.put(copy, b"cut off")
        with pytest.raises(IntegrityError, match=copy):
            verify_month(month_store, AS_OF)
        assert run_month(AS_OF, month_store, small_config, after=_silent) == manifest
        verify_month(month_store, AS_OF)

    @pytest.mark.parametrize("dataset", ["prices", "market"])
    def test_a_damaged_raw_table_is_named_and_mended_by_running_again(
        self, month_store: Store, manifest: Manifest, small_config: Config, dataset: str
    ) -> None:
        victim = next(each for each in manifest.inputs if each.key.startswith(f"raw/{dataset}/"))
        month_store.put(victim.key, b"PAR1")
        with pytest.raises(IntegrityError, match=victim.key):
            commit(month_store, manifest, replace=False)
        assert run_month(AS_OF, month_store, small_config, after=_silent) == manifest
        verify_month(month_store, AS_OF)

    def test_a_changed_fact_of_a_step_is_not_published(
        self, month_store: Store, manifest: Manifest, small_config: Config
    ) -> None:
        run = Run(AS_OF, manifest.run_id)
        key = run.key("steps/describe.json")
        body = month_store.get(key)
        count = str(manifest.facts["described stock-months"]).encode()
        month_store.put(key, body.replace(count, count[::-1]))
        with pytest.raises(IntegrityError, match=r"steps/describe.json is not what was written.* do the step again"):
            publish(run, month_store, small_config)
        describe(run, month_store, small_config)
        assert publish(run, month_store, small_config) == manifest

    def test_a_month_that_is_not_published(self, store: Store) -> None:
        with pytest.raises(StoreError, match="2016-02 is not published"):
            read_month(store, AS_OF)

    def test_a_manifest_of_another_version(self, store: Store, month_store: Store, manifest: Manifest) -> None:
        fewer = {name: each for name, each in manifest.named_objects.items() if name != "results/verdict.json"}
        store.put(manifest_key(AS_OF), replace(manifest, named_objects=fewer).to_bytes())
        with pytest.raises(IntegrityError, match=r"names no results/verdict.json.*publish the month again"):
            open_month(month_store, find_manifest(store, AS_OF) or manifest)

    def test_a_manifest_that_is_none(self, store: Store) -> None:
        store.put(manifest_key(AS_OF), b'{"month": "2016-02"}')
        with pytest.raises(IntegrityError, match="is not a manifest"):
            verify_month(store, AS_OF)


STEPS = ("ingest", "validate", "describe", "train-dfm1", "train-dfm2", "train-linear", "attribute", "bless")


class TestOrder:
    """A step refuses to run on what is not there; the order of a scheduler is not the only guard."""

    @pytest.fixture
    def run(self, store: Store, small_config: Config) -> Run:
        return ingest(AS_OF, store, small_config)

    def test_steps_out_of_order(self, run: Run, store: Store, small_config: Config) -> None:
        calls = {
            "validate": lambda: describe(run, store, small_config),
            "describe": lambda: train(run, store, small_config, "linear"),
            "attribute": lambda: bless(run, store, small_config),
        }
        for needed, call in calls.items():
            with pytest.raises(IntegrityError, match=f"has no step {needed}: do that step first"):
                call()
        with pytest.raises(IntegrityError, match="has no step"):
            publish(run, store, small_config)
        assert not store.exists(manifest_key(AS_OF))

    def test_a_run_keeps_its_configuration(self, run: Run, store: Store, small_config: Config) -> None:
        other = replace(small_config, training=replace(small_config.training, epochs=9))
        with pytest.raises(ConfigurationError, match="was started with config_digest"):
            validate(run, store, other)

    def test_references_go_through_json(self, run: Run) -> None:
        assert Run.from_dict(run.as_dict()) == run


class TestNothingIsPublished:
    def _refused(self, store: Store, config: Config, month: Month, error: type[DeepfactorError], text: str) -> None:
        with pytest.raises(error, match=text):
            run_month(month, store, config, after=_silent)
        assert store.list("manifests/") == []

    def test_too_little_history(self, store: Store, small_config: Config) -> None:
        text = r"needs prices of every month from 1989-02 to 2000-02 .*from 1990-12 to 2000-02"
        self._refused(store, small_config, Month.parse("2000-02"), HistoryError, text)

    def test_a_month_that_has_not_happened(self, store: Store, small_config: Config) -> None:
        self._refused(store, small_config, Month.parse("2016-05"), SourceError, "2016-05")

    @pytest.fixture
    def delivery(
        self, small_config: Config, tmp_path: Path, raw_tables: dict[str, pl.DataFrame]
    ) -> tuple[Config, Path]:
        """A copy of the delivery that a test may spoil, and the file of the month's prices."""
        assert raw_tables
        folder = tmp_path / "delivery"
        assert small_config.source.folder is not None
        for path in Path(small_config.source.folder).rglob("*.*"):
            target = folder / path.relative_to(small_config.source.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        spoiled = replace(small_config, source=replace(small_config.source, folder=str(folder), simulate=None))
        return spoiled, folder / "prices" / "2016.parquet"

    def test_half_the_stocks_are_gone(self, store: Store, delivery: tuple[Config, Path]) -> None:
        config, file = delivery
        prices = pl.read_parquet(file)
        codes = prices["code"].unique().sort()
        gone = pl.col("date").dt.month().eq(2) & pl.col("code").is_in(codes.head(len(codes) // 2).implode())
        prices.filter(~gone).write_parquet(file)
        self._refused(store, config, AS_OF, ValidationFailed, "2016-02 did not pass validation.*Data Docs")
        verdicts = [key for key in store.list("runs/") if key.endswith("verdict.json")]
        assert len(verdicts) == 1
        assert not [key for key in store.list("runs/") if "models/" in key]

    def test_a_duplicated_stock_month(self, store: Store, delivery: tuple[Config, Path]) -> None:
        config, file = delivery
        prices = pl.read_parquet(file)
        pl.concat([prices, prices.filter(pl.col("date") < date(2016, 3, 1)).tail(1)]).write_parquet(file)
        self._refused(store, config, AS_OF, ValidationFailed, "2016-02 did not pass validation")

    def test_a_missing_file(self, store: Store, delivery: tuple[Config, Path]) -> None:
        config, file = delivery
        file.unlink()
        self._refused(store, config, AS_OF, SourceError, "2016-02")

    def test_a_missing_column(self, store: Store, delivery: tuple[Config, Path]) -> None:
        config, file = delivery
        pl.read_parquet(file).drop("adj_close").write_parquet(file)
        self._refused(store, config, AS_OF, DeepfactorError, "adj_close")

    def test_a_refusing_gate(self, store: Store, small_config: Config) -> None:
        strict = replace(
            small_config,
            models=("linear",),
            signal_model="linear",
            gates=replace(small_config.gates, maximum_absolute_prediction=1e-6),
        )
        text = r"a gate refused it: credible size of linear: 0\.\d+ against 1e-06"
        self._refused(store, strict, AS_OF, NotBlessed, text)

    def test_an_explanation_that_is_not_true(self, store: Store, small_config: Config) -> None:
        doubtful = replace(
            small_config,
            models=("linear",),
            signal_model="linear",
            gates=replace(small_config.gates, maximum_placebo_ratio=0.0, minimum_month_correlation=1.0),
        )
        text = r"a gate refused it: placebo of linear: 0\.\d+ against 0\.0 \([^;]*\)\. The Data Docs"
        self._refused(store, doubtful, AS_OF, NotBlessed, text)
        advised = replace(doubtful, gates=replace(doubtful.gates, advisory=("placebo", "last month")))
        run_month(AS_OF, store, advised, after=_silent)
        failed = [each for each in read_month(store, AS_OF).gates if not each["passed"]]
        assert [(each["gate"], each["hard"]) for each in failed] == [("placebo", False), ("last month", False)]

    def test_refused_results(self, store: Store, small_config: Config) -> None:
        suites = copy.deepcopy(small_config.expectations)
        rule = next(each for each in suites["signals"]["expectations"] if each["meta"]["name"] == "credible level")
        rule["kwargs"] = rule["kwargs"] | {"min_value": 0.5, "max_value": 0.6}
        strict = replace(small_config, models=("linear",), signal_model="linear", expectations=suites)
        self._refused(store, strict, AS_OF, NotBlessed, "signals: ")
        verdicts = [key for key in store.list("runs/") if key.endswith("results/verdict.json")]
        assert len(verdicts) == 1

    def test_attribution_comes_after_all_models(self, store: Store, small_config: Config) -> None:
        run = ingest(AS_OF, store, small_config)
        validate(run, store, small_config)
        describe(run, store, small_config)
        train(run, store, small_config, "linear")
        with pytest.raises(IntegrityError, match="has no step train-dfm1"):
            attribute(run, store, small_config)
