"""When a month is published and when not, and what is read of it for people."""

from __future__ import annotations

import polars as pl
import pytest

from deepfactor.committing import commit
from deepfactor.errors import IntegrityError, PublicationConflict
from deepfactor.months import Month
from deepfactor.publication import Manifest, copy_key, find_manifest, manifest_key, open_month, read_manifest
from deepfactor.reports.month import MonthReport, render_month
from deepfactor.store import Store
from tests.reports.conftest import build_report

pytestmark = pytest.mark.integration

TABLES = ("signals", "ledger", "shares", "portfolios", "correlations", "attribution")


@pytest.fixture(scope="module")
def report() -> MonthReport:
    return build_report(stocks=30)


def _published(store: Store, report: MonthReport) -> Manifest:
    """Put what the report shows into the store, with another model's attribution beside the signal model's."""
    other = report.attribution.with_columns(model=pl.lit("dfm1"))
    frames = {name: getattr(report, name) for name in TABLES} | {"attribution": pl.concat([other, report.attribution])}
    named = {f"{name}.parquet": store.put_frame(f"{name}.parquet", frame) for name, frame in frames.items()}
    documents = {
        "validation/verdict.json": report.validation,
        "results/verdict.json": report.results,
        "gates.json": report.gates,
    }
    named |= {name: store.put_json(name, content) for name, content in documents.items()}
    facts = {name: value for name, value in report.facts.items() if name != "code version"}
    return Manifest(report.month, report.run_id, report.signal_model, "0.1.0", "0" * 64, facts, (), named)


def test_the_page_of_what_is_read_is_that_of_what_was_made(store: Store, report: MonthReport) -> None:
    manifest = _published(store, report)
    month = open_month(store, manifest)
    page, expected = render_month(month.report()).decode(), render_month(report).decode()
    for section in ("extremes", "explanations", "shares", "signals", "models", "checks"):
        start, end = f'<section id="{section}"', "</section>"
        assert page.split(start)[1].split(end)[0] == expected.split(start)[1].split(end)[0]


def test_only_the_signal_models_attribution_is_kept(store: Store, report: MonthReport) -> None:
    month = open_month(store, _published(store, report))
    assert month.attribution["model"].unique().to_list() == ["dfm2"]
    assert month.report().attribution.equals(month.attribution)
    assert set(month.portfolios["model"]) == set(month.correlations["model"]) == {"dfm1", "dfm2", "linear"}


@pytest.mark.parametrize("missing", ["portfolios.parquet", "correlations.parquet", "attribution.parquet"])
def test_a_month_of_another_version_is_named(store: Store, report: MonthReport, missing: str) -> None:
    manifest = _published(store, report)
    del manifest.named_objects[missing]
    with pytest.raises(IntegrityError, match=f"names no {missing}: it was published by another version; publish"):
        open_month(store, manifest)


MONTH = Month.parse("2016-02")


def _made(store: Store, run_id: str, month: Month = MONTH) -> Manifest:
    """Store what a run makes, and return its manifest."""
    raw = store.put_immutable("raw/prices/2016-02/1f.parquet", b"all runs read this")
    named = {"a.json": store.put(f"runs/{month}/{run_id}/a.json", run_id.encode())}
    return Manifest(month, run_id, "linear", "0.1.0", "0" * 64, {"stocks": 1234}, (raw,), named)


class Meanwhile(Store):
    """A store in which another run publishes between the look at the manifest and the commit."""

    mine: Manifest
    other: Manifest

    def honours_conditions(self) -> bool:
        assert commit(Store(self._client, self.bucket, self.prefix), self.other, replace=True)
        return True


class Overtaking(Store):
    """A store in which another run replaces the manifest between its commit and its being read back."""

    mine: Manifest
    other: Manifest

    def find(self, key: str) -> tuple[bytes, str] | None:
        plain = Store(self._client, self.bucket, self.prefix)
        there = plain.find(key)
        if key == manifest_key(MONTH) and there is not None and there[0] == self.mine.to_bytes():
            commit(plain, self.other, replace=True)
        return plain.find(key)


class TestCommit:
    @pytest.mark.parametrize("kind", [Meanwhile, Overtaking])
    @pytest.mark.parametrize("replace", [False, True])
    def test_whoever_is_overtaken_is_told_by_whom(
        self, store: Store, kind: type[Meanwhile | Overtaking], replace: bool
    ) -> None:
        mine, other = _made(store, "a1"), _made(store, "b2")
        raced = kind(store._client, store.bucket, store.prefix)
        raced.mine, raced.other = mine, other
        text = "2016-02 was published as run b2 while this run a1 was being published, .* pass --replace to publish"
        with pytest.raises(PublicationConflict, match=text):
            commit(raced, mine, replace=replace)
        assert read_manifest(store, MONTH) == other
        # Only what has been published for a moment is known.
        assert store.exists(copy_key(mine)) == (kind is Overtaking)

    @pytest.mark.parametrize("kind", [Meanwhile, Overtaking])
    def test_the_same_run_at_the_same_time_is_no_conflict(
        self, store: Store, kind: type[Meanwhile | Overtaking]
    ) -> None:
        raced = kind(store._client, store.bucket, store.prefix)
        raced.mine = raced.other = _made(store, "a1")
        assert commit(raced, raced.other, replace=False)
        assert store.get(copy_key(raced.other)) == raced.other.to_bytes()

    @pytest.mark.parametrize("key", ["raw/prices/2016-02/1f.parquet", "runs/2016-02/a1/a.json"])
    def test_nothing_that_is_named_may_be_missing_or_differ(self, store: Store, key: str) -> None:
        manifest = _made(store, "a1")
        store.put(key, b"other")
        with pytest.raises(IntegrityError, match=key):
            commit(store, manifest, replace=True)
        store._client.delete_object(Bucket=store.bucket, Key=store._full(key))
        with pytest.raises(IntegrityError, match=key):
            commit(store, manifest, replace=True)
        assert find_manifest(store, MONTH) is None

    @pytest.mark.parametrize("body", [b"", b"{", b'{"month": "2016-02"}', b"1235"])
    def test_a_damaged_manifest_is_replaced_by_the_only_run_that_has_published(
        self, store: Store, body: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        manifest = _made(store, "a1")
        commit(store, manifest, replace=False)
        store.put(manifest_key(MONTH), manifest.to_bytes().replace(b"1234", body) if body == b"1235" else body)
        with pytest.raises(IntegrityError, match=r"2016-02.json is not .* with --replace, or bring it back with"):
            read_manifest(store, MONTH)
        assert commit(store, manifest, replace=False)
        assert read_manifest(store, MONTH) == manifest
        assert "2016-02.json is not " in caplog.text
        assert "Run a1 takes its place" in caplog.text

    def test_a_damaged_manifest_of_nobody_knows_whom_is_replaced_only_if_asked(self, store: Store) -> None:
        manifest = _made(store, "a1")
        store.put(manifest_key(MONTH), b"{")
        with pytest.raises(IntegrityError, match="is not a manifest.*; run the month again with --replace, or bring"):
            commit(store, manifest, replace=False)
        assert store.get(manifest_key(MONTH)) == b"{"
        assert commit(store, manifest, replace=True)
        assert read_manifest(store, MONTH) == manifest

    def test_a_damaged_manifest_of_another_run_is_replaced_only_if_asked(self, store: Store) -> None:
        mine, other = _made(store, "a1"), _made(store, "b2")
        commit(store, mine, replace=False)
        commit(store, other, replace=True)
        store.put(manifest_key(MONTH), other.to_bytes().replace(b"1234", b"1235"))
        for run in (mine, other):
            with pytest.raises(IntegrityError, match="is not what was written"):
                commit(store, run, replace=False)
        assert commit(store, mine, replace=True)
        assert store.get(copy_key(other)) == other.to_bytes()

    def test_another_months_manifest_is_not_taken_for_this_months(self, store: Store) -> None:
        store.put(manifest_key(MONTH), _made(store, "a1", MONTH + -1).to_bytes())
        with pytest.raises(IntegrityError, match=r"2016-02.json is the manifest of 2016-01: it was moved or overwritt"):
            read_manifest(store, MONTH)
        assert commit(store, _made(store, "a1"), replace=True)
