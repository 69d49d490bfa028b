from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import Config
from deepfactor.errors import IntegrityError, StoreError
from deepfactor.months import Month, Window, month_range
from deepfactor.objects import Reference, frame_to_bytes
from deepfactor.pipeline import ingest
from deepfactor.raw import RawObjects, fetch_raw, ingest_raw, read_raw, store_raw
from deepfactor.runs import raw_inputs
from deepfactor.schemas import RAW
from deepfactor.sources import open_source
from deepfactor.sources.span import SpanSource
from deepfactor.store import Store, verify_all
from tests.conftest import AS_OF


def _one_by_one(dataset: str, frame: pl.DataFrame) -> dict[str, bytes]:
    """The slow twin: sort all rows, cut them into months, encode every month."""
    by = "available_from" if dataset == "fundamentals" else "month"
    ordered = frame.sort(RAW[dataset].columns.keys()).with_columns(_month=pl.col(by).dt.truncate("1mo"))
    bodies = [
        (month, frame_to_bytes(part))
        for (month,), part in ordered.partition_by("_month", as_dict=True, include_key=False).items()
    ]
    return {f"raw/{dataset}/{month:%Y-%m}/{Reference.to('', body).sha256}.parquet": body for month, body in bodies}


def test_the_objects_are_those_of_the_slow_twin(store: Store, raw_tables: dict[str, pl.DataFrame]) -> None:
    for name, table in raw_tables.items():
        expected = _one_by_one(name, table)
        references = store_raw(name, table.sample(fraction=1.0, shuffle=True, seed=1), store)
        assert {each.key: store.read(each) for each in references} == expected
        assert [each.key for each in references] == sorted(expected)


def test_tables_come_back(store: Store, raw_tables: dict[str, pl.DataFrame]) -> None:
    references = {name: store_raw(name, table, store) for name, table in raw_tables.items()}
    for name, table in read_raw(references, store).items():
        order = table.columns
        assert table.sort(order).equals(raw_tables[name].sort(order)), name
    assert {each.key.split("/")[2] for each in references["market"]} == {
        f"{day:%Y-%m}" for day in raw_tables["market"]["month"]
    }


def test_the_same_rows_in_another_order_are_the_same_objects(store: Store, raw_tables: dict[str, pl.DataFrame]) -> None:
    prices = raw_tables["prices"]
    first = store_raw("prices", prices, store)
    tags = {key: store.etag(key) for key in store.list("raw/")}
    assert store_raw("prices", prices.sample(fraction=1.0, shuffle=True, seed=1), store) == first
    assert {key: store.etag(key) for key in store.list("raw/")} == tags


def test_a_restated_month_is_a_new_object_beside_the_old(store: Store, raw_tables: dict[str, pl.DataFrame]) -> None:
    prices = raw_tables["prices"]
    first = store_raw("prices", prices, store)
    newest = prices["month"].max()
    restated = prices.with_columns(close=pl.when(pl.col("month") == newest).then(1.0).otherwise("close"))
    second = store_raw("prices", restated, store)
    assert second[:-1] == first[:-1]
    assert second[-1] != first[-1]
    assert set(store.list("raw/prices/")) == {each.key for each in first + second}


def test_accounts_after_the_last_session_belong_to_the_next_month(
    small_config: Config, raw_tables: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    assert raw_tables
    assert small_config.source.folder is not None
    folder = shutil.copytree(small_config.source.folder, tmp_path / "delivery")
    config = replace(small_config, source=replace(small_config.source, folder=str(folder), simulate=None))
    january = Month.parse("2016-01")
    before = fetch_raw(january, config)["fundamentals"]
    accounts = pl.read_parquet(folder / "fundamentals.parquet")
    # The 30th was a Saturday.
    late = accounts.tail(1).with_columns(announced=date(2016, 1, 30), period_end=date(2015, 12, 31))
    pl.concat([accounts, late]).write_parquet(folder / "fundamentals.parquet")
    assert fetch_raw(january, config)["fundamentals"].equals(before)
    assert fetch_raw(january + 1, config)["fundamentals"].filter(available_from=date(2016, 1, 30)).height == 1


class TestManyMonths:
    """One reading and one encoding for a span give the runs that each month has on its own."""

    MONTHS = tuple(month_range(AS_OF + -2, AS_OF))

    def test_the_same_runs_and_objects(self, store: Store, small_config: Config) -> None:
        alone = store.below("alone")
        together = store.below("together")
        expected = [ingest(month, alone, small_config) for month in self.MONTHS]
        span = SpanSource(open_source(small_config.source), Window(self.MONTHS[0]).first_history, AS_OF + 1)
        objects = RawObjects(together)
        assert [ingest_raw(month, together, small_config, span, objects) for month in self.MONTHS] == expected
        assert together.etags("") == alone.etags("")
        # The other way round, each month's accounts are cut off again.
        back = RawObjects(together)
        assert [ingest_raw(month, together, small_config, span, back) for month in self.MONTHS[::-1]] == expected[::-1]
        assert together.etags("") == alone.etags("")

    def test_what_has_changed_is_stored_anew(self, store: Store, raw_tables: dict[str, pl.DataFrame]) -> None:
        prices = raw_tables["prices"]
        objects = RawObjects(store)
        first = objects.put("prices", prices)
        dearer = prices.with_columns(close=pl.when(month=AS_OF.first_day).then(1.0).otherwise("close"))
        for table in (dearer, prices, prices.filter(pl.col("month") < AS_OF.first_day)):
            expected = _one_by_one("prices", table)
            assert [each.key for each in objects.put("prices", table)] == sorted(expected)
        assert set(store.list("raw/prices/")) == {each.key for each in first} | _one_by_one("prices", dearer).keys()

    def test_what_could_not_be_written_is_not_taken_as_written(
        self, store: Store, raw_tables: dict[str, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects = RawObjects(store)

        def refuse(_objects: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(store, "put_many", refuse)
        with pytest.raises(StoreError):
            objects.put("market", raw_tables["market"])
        monkeypatch.undo()
        for reference in objects.put("market", raw_tables["market"]):
            store.verify(reference)


class TestMending:
    def _damage(self, store: Store, config: Config) -> list[Reference]:
        run = ingest(AS_OF, store, config)
        references = [each for table in raw_inputs(run, store).values() for each in table]
        store.put(references[3].key, b"PAR1")
        store._client.delete_object(Bucket=store.bucket, Key=store._full(references[-1].key))
        return references

    def test_a_second_run_mends_what_the_first_has_read(
        self, store: Store, small_config: Config, caplog: pytest.LogCaptureFixture
    ) -> None:
        references = self._damage(store, small_config)
        ingest(AS_OF, store, small_config)
        verify_all(store, references)
        assert f"{references[3].key} is damaged or lost, and is written again" in caplog.text

    def test_another_month_leaves_to_its_next_step_what_lies_there(self, store: Store, small_config: Config) -> None:
        damaged = self._damage(store, small_config)[3]
        run = ingest(AS_OF + -1, store, small_config)
        with pytest.raises(IntegrityError, match=f"{damaged.key} is not what was written.*run the month again"):
            read_raw(raw_inputs(run, store), store)
        assert ingest(AS_OF + -1, store, small_config) == run
        assert read_raw(raw_inputs(run, store), store)

    def test_what_was_written_or_read_is_not_read_again(
        self, store: Store, raw_tables: dict[str, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = RawObjects(store)
        first.put("market", raw_tables["market"])
        second = RawObjects(store)
        second.put("market", raw_tables["market"])
        second.mend()
        monkeypatch.setattr(store, "holds", None)
        first.mend()
        second.mend()
