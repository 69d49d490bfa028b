"""What is published of an evaluation, and when it changes."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest

from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, PublishedMeanwhile, StoreError
from deepfactor.evaluating.evaluate import evaluate
from deepfactor.evaluating.evaluation import TABLES, Evaluation, evaluated
from deepfactor.evaluating.materials import read_materials
from deepfactor.evaluating.parameters import Parameters
from deepfactor.evaluating.results import bodies, find_evaluation, manifest_key, publish, read_evaluation
from deepfactor.months import Month
from deepfactor.objects import frame_to_bytes
from deepfactor.publication import find_manifest
from deepfactor.schemas import SHARES
from deepfactor.store import Store
from tests.evaluating.made_span import FIRST, LAST, made_month, publish_made, publish_span

SECOND, THIRD = FIRST + 1, FIRST + 2


class TestPublished:
    def test_tables_in_the_store_are_those_that_were_computed(self, span_store: Store, evaluation: Evaluation) -> None:
        read = read_evaluation(span_store, FIRST, LAST)
        assert (read.id, read.inputs, read.notes) == (evaluation.id, evaluation.inputs, evaluation.notes)
        for name, frame in evaluation.frames().items():
            assert getattr(read, name).equals(frame), name

    def test_the_manifest_names_every_object(self, span_store: Store, evaluation: Evaluation) -> None:
        manifest = find_evaluation(span_store, FIRST, LAST)
        assert manifest is not None
        named = {f"{name}.parquet" for name in TABLES} | {"inputs.json", "summary.json", "summary.md", "report.html"}
        assert manifest.named_objects.keys() == named
        assert set(span_store.list(f"evaluations/{evaluation.id}/")) == {
            f"evaluations/{evaluation.id}/{name}" for name in (*named, "manifest.json")
        }
        for reference in manifest.named_objects.values():
            span_store.verify(reference)
        assert (manifest.known, manifest.evaluation_id) == (20, evaluation.id)

    def test_the_id_is_the_hash_of_the_inputs_that_name_every_run(
        self, span_store: Store, evaluation: Evaluation
    ) -> None:
        body = span_store.get(f"evaluations/{evaluation.id}/inputs.json")
        assert hashlib.sha256(body).hexdigest()[:16] == evaluation.id
        inputs = json.loads(body)
        assert len(inputs["runs"]) == 20
        manifest = find_manifest(span_store, LAST)
        assert manifest is not None
        assert inputs["runs"][str(LAST)] == {
            "run_id": f"made-{LAST}",
            "manifest_sha256": hashlib.sha256(manifest.to_bytes()).hexdigest(),
        }
        assert inputs["returns"][str(LAST + 1)]["run_id"] == f"made-{LAST + 1}"

    def test_summaries_hold_the_tables_figures(self, span_store: Store, evaluation: Evaluation) -> None:
        told = json.loads(span_store.get(f"evaluations/{evaluation.id}/summary.json"))
        assert told["table_4"] == evaluation.table_4.to_dicts()
        assert told["suspicious"] == []
        assert len(told["months"]["scored"]) == 20
        text = span_store.get(f"evaluations/{evaluation.id}/summary.md").decode()
        linear = evaluation.table_4.filter(model="linear").row(0, named=True)
        assert f"| linear | 20 | {linear['mae'] * 100:.3f} ± {linear['mae_se'] * 100:.3f} |" in text
        for heading in ("Table 4", "Table 5", "Diebold-Mariano", "Sharpe ratios", "After costs"):
            assert f"## {heading}\n" in text

    def test_again_nothing_is_written(self, span_store: Store, evaluation: Evaluation) -> None:
        before = {key: span_store.etag(key) for key in span_store.list("")}
        again, manifest = evaluate(span_store, FIRST, LAST)
        assert (again.id, manifest.evaluation_id) == (evaluation.id, evaluation.id)
        assert {key: span_store.etag(key) for key in span_store.list("")} == before

    def test_an_object_that_was_changed_is_noticed(self, store: Store) -> None:
        publish_span(store, FIRST, SECOND)
        _, manifest = evaluate(store, FIRST, FIRST)
        store.put(manifest.named_objects["performance.parquet"].key, b"other")
        with pytest.raises(IntegrityError, match=r"performance.parquet is not what was written"):
            read_evaluation(store, FIRST, FIRST)


class TestLater:
    def test_a_result_is_scored_when_it_is_known_and_not_before(self, store: Store) -> None:
        publish_span(store, FIRST, THIRD)
        early, first_manifest = evaluate(store, FIRST, THIRD)
        assert early.coverage["state"].to_list() == ["scored", "scored", "not known yet"]
        assert any(f"Not known yet, the month after is not published: {THIRD}." in note for note in early.notes)
        publish_made(store, THIRD + 1)
        late, second_manifest = evaluate(store, FIRST, THIRD)
        assert late.coverage["state"].to_list() == ["scored"] * 3
        assert late.id != early.id
        assert find_evaluation(store, FIRST, THIRD) == second_manifest
        # What was scored before stays, and what was published before too.
        kept = late.performance.filter(pl.col("month") < THIRD.first_day)
        assert kept.equals(early.performance)
        assert (first_manifest.known, second_manifest.known) == (2, 3)
        assert store.get(f"evaluations/{early.id}/manifest.json") == first_manifest.to_bytes()
        for reference in first_manifest.named_objects.values():
            store.verify(reference)

    def test_a_still_later_month_changes_nothing(self, store: Store) -> None:
        publish_span(store, FIRST, SECOND)
        before, _ = evaluate(store, FIRST, FIRST)
        publish_made(store, THIRD)
        assert evaluate(store, FIRST, FIRST)[0].id == before.id

    def test_a_result_may_come_from_a_month_that_is_much_later(self, store: Store) -> None:
        publish_made(store, FIRST)
        publish_made(store, FIRST + 9)
        assert evaluate(store, FIRST, FIRST)[0].coverage["state"].to_list() == ["scored"]

    def test_a_month_that_is_published_again_changes_the_id(self, store: Store) -> None:
        publish_span(store, FIRST, THIRD)
        before, _ = evaluate(store, FIRST, SECOND)
        publish_made(store, FIRST, run="again")
        after, manifest = evaluate(store, FIRST, SECOND)
        assert after.id != before.id
        assert after.performance.equals(before.performance)
        assert after.coverage["run_id"].to_list() == [f"again-{FIRST}", f"made-{SECOND}"]
        assert find_evaluation(store, FIRST, SECOND) == manifest
        # The run that knows the results counts as well.
        publish_made(store, THIRD, run="again")
        assert evaluate(store, FIRST, SECOND)[0].id not in {before.id, after.id}

    def test_what_was_written_meanwhile_is_not_lost(self, store: Store) -> None:
        publish_span(store, FIRST, SECOND)
        stale = evaluated(read_materials(store, FIRST, SECOND))
        publish_made(store, THIRD)
        _, manifest = evaluate(store, FIRST, SECOND)
        with pytest.raises(PublishedMeanwhile, match=r"another evaluation of .* while this one was computed"):
            publish(store, stale, bodies(stale), None, replace=True)
        assert find_evaluation(store, FIRST, SECOND) == manifest

    @pytest.mark.parametrize("later", [False, True])
    def test_what_a_killed_publisher_left_undone_is_done(self, store: Store, later: bool) -> None:
        publish_span(store, FIRST, SECOND)
        early, manifest = evaluate(store, FIRST, SECOND)
        copy = f"evaluations/{early.id}/manifest.json"
        store._client.delete_object(Bucket=store.bucket, Key=store._full(copy))
        if later:
            publish_made(store, THIRD)
        assert (evaluate(store, FIRST, SECOND)[0].id != early.id) == later
        assert store.get(copy) == manifest.to_bytes()

    def test_other_parameters_replace_only_on_demand(self, store: Store) -> None:
        publish_span(store, FIRST, THIRD)
        usual, manifest = evaluate(store, FIRST, SECOND)
        costly = Parameters(basis_points=50)
        with pytest.raises(PublicationConflict, match=r"basis_points 10, .* instead of .*basis_points 50.*--replace"):
            evaluate(store, FIRST, SECOND, costly)
        assert find_evaluation(store, FIRST, SECOND) == manifest
        other, replaced = evaluate(store, FIRST, SECOND, costly, replace=True)
        assert other.id != usual.id
        assert find_evaluation(store, FIRST, SECOND) == replaced
        cost = pl.col("cost").sum()
        assert other.trading.select(cost).item() == pytest.approx(5 * usual.trading.select(cost).item())


class TestHoles:
    def test_months_that_are_not_published_are_named(self, store: Store) -> None:
        for month in (FIRST, THIRD, FIRST + 3):
            publish_made(store, month)
        evaluation, _ = evaluate(store, FIRST + -1, THIRD)
        assert evaluation.coverage["state"].to_list() == ["not published", "scored", "not published", "scored"]
        assert f"Not published, and so in no figure: {FIRST + -1}, {SECOND}." in evaluation.notes
        assert any("gaps between the months scored" in note for note in evaluation.notes)
        assert set(evaluation.performance["month"]) == {FIRST.first_day, THIRD.first_day}
        assert evaluation.share_stability["pairs"].unique().to_list() == [0]

    def test_too_few_months_have_figures_but_no_uncertainty(self, store: Store) -> None:
        publish_span(store, FIRST, THIRD)
        evaluation, _ = evaluate(store, FIRST, SECOND)
        table = evaluation.table_4
        assert table.drop_nulls("mae").height == 5
        for name in ("mae_se", "annual_return_se", "sharpe_ratio_se", "rank_ic_se", "rank_ic_t"):
            assert table[name].is_null().all(), name
        for frame, name in (
            (evaluation.loss_comparisons, "p_value"),
            (evaluation.sharpe_comparisons, "p_value"),
            (evaluation.exposures, "value"),
            (evaluation.sharpe_ratios, "probability"),
            (evaluation.plausibility, "suspicious"),
        ):
            assert frame.height
            assert frame[name].is_null().all(), name
        assert any("2 months scored: standard errors, tests" in note for note in evaluation.notes)
        assert json.loads(bodies(evaluation)["summary.json"])["suspicious"] is None

    def test_no_result_at_all(self, store: Store) -> None:
        publish_made(store, FIRST)
        evaluation, manifest = evaluate(store, FIRST, FIRST)
        assert manifest.known == 0
        assert evaluation.performance.is_empty()
        assert evaluation.table_4.is_empty()
        assert evaluation.missing_returns["known"].to_list() == [False] * 5
        assert evaluation.table_5.height == evaluation.monthly_correlations.height == 10

    def test_the_universe_stands_for_a_market_that_is_not_published(self, store: Store) -> None:
        publish_span(store, FIRST, THIRD, market=False)
        evaluation, _ = evaluate(store, FIRST, SECOND)
        assert evaluation.market_returns["market_excess_return"].to_list() == [None, None]
        mean = evaluation.forecasts.filter(model="zero", month=FIRST.first_day)["realised"].mean()
        assert evaluation.market_returns["universe_return"][0] == pytest.approx(mean, rel=1e-12)
        assert "universe" in evaluation.exposures["term"].to_list()
        assert any("mean return of the stocks that are forecast stands for it" in note for note in evaluation.notes)


class TestSuspicion:
    def test_a_leak_is_too_good_to_be_true(self, leaking: Evaluation) -> None:
        found = leaking.suspicious
        assert found["model"].unique().to_list() == ["linear"]
        assert set(found["check"]) == {
            "mean rank IC", "rank IC over its variation", "explained part of squared returns"
        }  # fmt: skip
        told = json.loads(bodies(leaking)["summary.json"])["suspicious"]
        assert {each["model"] for each in told} == {"linear"}
        assert all(each["value"] > each["threshold"] and each["reason"] for each in told)
        assert "**Too good to be true:** the mean rank IC of linear is" in bodies(leaking)["summary.md"].decode()

    def test_an_honest_signal_is_not(self, evaluation: Evaluation) -> None:
        assert evaluation.suspicious.is_empty()
        assert evaluation.table_4.filter(model="linear")["rank_ic"].item() > 0.05


class TestValidation:
    def test_nothing_is_published(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"no month from 2013-01 to 2014-08 is published in .*: run them"):
            evaluate(store, FIRST, LAST)

    def test_a_span_that_is_turned_around(self, store: Store) -> None:
        with pytest.raises(ConfigurationError, match=r"--from 2014-08 comes after --to 2013-01: turn them around"):
            evaluate(store, LAST, FIRST)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            (Parameters(missing_return=-2), "missing_return -2"),
            (Parameters(basis_points=-1), "basis_points -1"),
            (Parameters(trials=1), "--trials 1: 2 models are evaluated"),
        ],
    )
    def test_parameters_that_cannot_be(self, span_store: Store, parameters: Parameters, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            evaluate(span_store, FIRST, SECOND, parameters)

    @pytest.mark.parametrize(
        "name",
        ["signals.parquet", "shares.parquet", "correlations.parquet", "attribution.parquet", "descriptors.parquet",
         "models/linear/card.json"],
    )  # fmt: skip
    def test_an_object_that_no_manifest_names(self, store: Store, name: str) -> None:
        publish_made(store, FIRST, leave_out=[name])
        with pytest.raises(IntegrityError, match=rf"manifest of 2013-01 .* names no {name}: .*--replace"):
            evaluate(store, FIRST, FIRST)

    @pytest.mark.parametrize("name", ["signals", "shares", "correlations", "attribution", "descriptors"])
    def test_a_table_of_another_version(self, store: Store, name: str) -> None:
        frame = pl.read_parquet(made_month(FIRST)[0][f"{name}.parquet"])
        body = frame_to_bytes(frame.with_columns(more=pl.lit(1)))
        publish_made(store, FIRST, change={f"{name}.parquet": body})
        with pytest.raises(IntegrityError, match=rf"{name}.parquet .*has other columns than {name} ha(s|ve) now"):
            evaluate(store, FIRST, FIRST)

    def test_a_card_without_the_mean_return(self, store: Store) -> None:
        publish_made(store, FIRST, change={"models/linear/card.json": b"{}"})
        with pytest.raises(IntegrityError, match=r"card.json of 2013-01 .* does not tell the mean return"):
            evaluate(store, FIRST, FIRST)

    def test_an_object_whose_bytes_differ(self, store: Store) -> None:
        manifest = publish_made(store, FIRST)
        store.put(manifest.named_objects["shares.parquet"].key, frame_to_bytes(SHARES.empty()))
        with pytest.raises(IntegrityError, match=r"shares.parquet is not what was written"):
            evaluate(store, FIRST, FIRST)

    def test_a_span_that_is_not_evaluated(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"2013-01 to 2014-08 is not evaluated in .*: run `deepfactor evaluate`"):
            read_evaluation(store, FIRST, LAST)

    def test_a_manifest_of_another_version_can_be_replaced(self, store: Store) -> None:
        publish_made(store, FIRST)
        store.put(manifest_key(FIRST, FIRST), b"{}")
        with pytest.raises(IntegrityError, match=r"is not the manifest of an evaluation .*--replace"):
            evaluate(store, FIRST, FIRST)
        evaluate(store, FIRST, FIRST, replace=True)
        assert read_evaluation(store, FIRST, FIRST).first == Month.parse("2013-01")
