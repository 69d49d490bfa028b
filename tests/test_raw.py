from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from deepfactor.config import Config
from deepfactor.months import Month
from deepfactor.raw import fetch_raw, read_raw, store_raw
from deepfactor.store import Store


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
