"""Nothing that happens after the as-of month changes anything of the month, bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfactor import panel as panel_module
from deepfactor.attribution.relevance import relevance
from deepfactor.attribution.tables import signals_table
from deepfactor.config import Config, DatasetMapping, SourceConfig, TrainingConfig, UniverseConfig
from deepfactor.descriptors import describe
from deepfactor.features import Samples, prediction_samples, rank_panel, training_samples
from deepfactor.models.base import Network
from deepfactor.models.registry import train_model
from deepfactor.months import Month, Window, last_session
from deepfactor.panel import build_panel
from deepfactor.pipeline import ingest
from deepfactor.schemas import RAW
from deepfactor.sources import FilesSource, open_source
from deepfactor.store import Store

Tables = dict[str, pl.DataFrame]
Random = np.random.Generator

# Its last session, Friday the 29th, is not its last day: what is announced on the 30th was not known.
AS_OF = Month.parse("2016-01")
WINDOW = Window(AS_OF)
UNIVERSE = UniverseConfig(minimum_stocks=20)
TRAINING = TrainingConfig(members=1, epochs=1, batch_size=16, learning_rate=0.001)
CLOSE = last_session(AS_OF)


@dataclass(frozen=True)
class Change:
    """Something that happens after a day: other tables, in which all rows known by then are as they were."""

    name: str
    of: Callable[[str, pl.DataFrame, date, Random], pl.DataFrame]

    def __call__(self, tables: Tables, day: date, random: Random) -> Tables:
        changed = {}
        for name, table in tables.items():
            later = _is_later(name, day)
            before = table.filter(~later)
            after = self.of(name, table, day, random)
            assert after.filter(~later).is_empty(), self.name
            changed[name] = pl.concat([before, after])
        return changed

    def __repr__(self) -> str:
        return self.name


def _is_later(name: str, day: date) -> pl.Expr:
    return pl.col("available_from") > day if name == "fundamentals" else pl.col("month") > AS_OF.first_day


def _numbers(table: pl.DataFrame) -> list[str]:
    return [name for name, kind in table.schema.items() if kind == pl.Float64]


def _some(table: pl.DataFrame, random: Random, least: float = 0.0) -> pl.DataFrame:
    share = random.uniform(least, 1)
    return table.filter(pl.Series(random.random(table.height) < share))


def _moved(name: str, table: pl.DataFrame, months: int) -> pl.DataFrame:
    known = "available_from" if name == "fundamentals" else "month"
    return table.with_columns(pl.col(known).dt.offset_by(f"{months}mo"))


def scaled(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    later = table.filter(_is_later(name, day))
    factors = pl.Series(np.exp(random.normal(0, 3, later.height)))
    return later.with_columns(pl.col(_numbers(table)) * factors)


def emptied(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    later = table.filter(_is_later(name, day))
    return later.with_columns(pl.lit(None, pl.Float64).alias(each) for each in _numbers(table))


def removed(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    return _some(table.filter(_is_later(name, day)), random)


def repeated(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    later = table.filter(_is_later(name, day))
    return pl.concat([later, _some(later, random)])


def continued(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    """Add later months."""
    later = table.filter(_is_later(name, day))
    return pl.concat([later, _moved(name, later, int(random.integers(2, 30)))])


def listed(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    """Add stocks, among them some whose names come before all others, and index members."""
    later = table.filter(_is_later(name, day))
    if "security_id" not in table.columns:
        return later
    new = later.with_columns(security_id=pl.lit(str(random.integers(10))) + pl.col("security_id"))
    return pl.concat([later, new])


def restated(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    """Announce old periods again, some of them on the very next day."""
    later = table.filter(_is_later(name, day))
    if name != "fundamentals":
        return later
    once = table.unique(["security_id", "period_end"], keep="last", maintain_order=True)
    old = _some(once, random, least=0.5).with_columns(
        pl.col(_numbers(table)) * random.uniform(-2, 2), available_from=pl.lit(day + timedelta(days=1))
    )
    return pl.concat([later, old, old.with_columns(pl.col("available_from").dt.offset_by("40d"))])


def preannounced(name: str, table: pl.DataFrame, day: date, random: Random) -> pl.DataFrame:
    """Announce the newest period of every stock on the next day."""
    later = table.filter(_is_later(name, day))
    if name != "fundamentals":
        return later
    newest = table.group_by("security_id", maintain_order=True).last().select(table.columns)
    news = newest.with_columns(
        pl.col(_numbers(table)) * random.uniform(-2, 2),
        period_end=pl.lit(AS_OF.last_day),
        available_from=pl.lit(day + timedelta(days=1)),
    )
    return pl.concat([later, news])


CHANGES = tuple(
    Change(each.__name__, each)
    for each in (scaled, emptied, removed, repeated, continued, listed, restated, preannounced)
)
histories = st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 2**16)), min_size=1, max_size=4)


def _happen(tables: Tables, history: list[tuple[Change, int]], day: date = CLOSE) -> Tables:
    for change, seed in history:
        tables = change(tables, day, np.random.default_rng(seed))
    return tables


def _features(tables: Tables) -> tuple[Samples, Samples]:
    described = describe(build_panel(tables, WINDOW, UNIVERSE, "XTKS"), WINDOW)
    ranked = rank_panel(described, WINDOW)
    return training_samples(ranked, WINDOW, UNIVERSE), prediction_samples(ranked, WINDOW, UNIVERSE)


def _bytes(samples: Samples) -> tuple[object, ...]:
    arrays = (samples.months, samples.security_ids, samples.inputs, samples.returns, samples.known)
    return *(each.tobytes() for each in arrays), *(each.shape for each in arrays), samples.exclusions


def _signals(tables: Tables, model: str) -> tuple[object, ...]:
    """Train, predict and rank: the weights' bytes, their card, and the signals."""
    training, prediction = _features(tables)
    trained = train_model(model, AS_OF, training, TRAINING)
    assert isinstance(trained.model, Network)
    account = relevance(trained.model, prediction.inputs)
    signals = signals_table(AS_OF, model, prediction.security_ids, account.member_prediction)
    ledger = (account.inputs.tobytes(), account.bias.tobytes(), account.prediction.tobytes())
    return trained.model.to_bytes(), trained.card, signals.to_dict(as_series=False), ledger


@pytest.fixture(scope="module")
def history(small_config: Config) -> Tables:
    """The small market's raw tables up to its end, two months after the as-of month, with an index's members."""
    source = open_source(small_config.source)
    assert small_config.source.simulate is not None
    end = Month.parse(small_config.source.simulate.last_month)
    assert end > AS_OF
    tables = {name: source.fetch(name, WINDOW.first_history, end) for name in source.datasets()}
    largest = tables["prices"].filter(pl.col("market_value").rank("ordinal", descending=True).over("month") <= 60)
    return tables | {"constituents": largest.select(*RAW["constituents"].columns)}


@pytest.fixture(scope="module")
def features(history: Tables) -> tuple[object, ...]:
    return tuple(map(_bytes, _features(history)))


@pytest.fixture(scope="module")
def signals(history: Tables) -> dict[str, tuple[object, ...]]:
    return {model: _signals(history, model) for model in ("dfm1", "linear")}


class TestTheMonth:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(happened=histories)
    def test_features(self, history: Tables, features: tuple[object, ...], happened: list[tuple[Change, int]]) -> None:
        assert tuple(map(_bytes, _features(_happen(history, happened)))) == features

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(happened=histories)
    def test_features_of_the_largest_stocks(self, history: Tables, happened: list[tuple[Change, int]]) -> None:
        """Without an index the month's members follow from market values."""
        tables = {name: table for name, table in history.items() if name != "constituents"}
        first, second = (
            build_panel(each, WINDOW, UniverseConfig(size=50), "XTKS") for each in (tables, _happen(tables, happened))
        )
        assert first.equals(second)
        assert describe(first, WINDOW).equals(describe(second, WINDOW))

    @settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(happened=histories, model=st.sampled_from(("dfm1", "linear")))
    def test_network_and_signals(
        self,
        history: Tables,
        signals: dict[str, tuple[object, ...]],
        happened: list[tuple[Change, int]],
        model: str,
    ) -> None:
        assert _signals(_happen(history, happened), model) == signals[model]


class TestTheTestSees:
    """What the properties above would miss, they would not protect from."""

    @pytest.mark.parametrize("change", CHANGES, ids=str)
    def test_every_change_changes_the_next_month(self, history: Tables, change: Change) -> None:
        window = Window(AS_OF + 1)
        changed = change(history, CLOSE, np.random.default_rng(5))
        assert not all(table.equals(history[name]) for name, table in changed.items())
        if change.name in ("repeated", "continued", "listed"):
            return  # these are refused, or seen by no stock of the month after
        panels = [build_panel(each, window, UNIVERSE, "XTKS") for each in (history, changed)]
        assert not panels[0].equals(panels[1])

    @pytest.mark.parametrize("name", ["restated", "preannounced"])
    def test_a_cut_one_day_late(
        self, history: Tables, features: tuple[object, ...], name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change = next(each for each in CHANGES if each.name == name)
        monkeypatch.setattr(
            panel_module, "last_session", lambda month, calendar: last_session(month, calendar) + timedelta(days=1)
        )
        assert tuple(map(_bytes, _features(_happen(history, [(change, 5)])))) != features


def _deliver(tables: Tables, folder: Path) -> SourceConfig:
    """Write the raw tables as a vendor's files, and say how to read them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    mappings = {
        name: DatasetMapping(files=f"{name}.parquet", columns={column: column for column in table.columns})
        for name, table in tables.items()
    }
    return SourceConfig(datasets=mappings, folder=str(folder))


class TestTheSource:
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(happened=histories)
    def test_a_later_delivery_has_the_same_rows_of_the_month(
        self, history: Tables, tmp_path: Path, happened: list[tuple[Change, int]]
    ) -> None:
        """What a delivery of the month holds is what became known by its last calendar day."""
        fetched = []
        for tables in (history, _happen(history, happened, AS_OF.last_day)):
            source = FilesSource.from_config(_deliver(tables, tmp_path / "delivery"))
            fetched.append({name: source.fetch(name, WINDOW.first_history, AS_OF) for name in source.datasets()})
        assert all(first.equals(second) for first, second in zip(*(each.values() for each in fetched), strict=True))

    def test_a_later_delivery_is_the_same_run(
        self, history: Tables, small_config: Config, store: Store, tmp_path: Path
    ) -> None:
        """The vendor delivers all files again, later, with changes after the month and in another order."""
        config = replace(small_config, source=_deliver(history, tmp_path / "first"))
        later = _happen(history, [(change, 7) for change in CHANGES], AS_OF.last_day)
        shuffled = {name: table.sample(fraction=1, shuffle=True, seed=3) for name, table in later.items()}
        again = replace(small_config, source=_deliver(shuffled, tmp_path / "second"))
        assert ingest(AS_OF, store, config) == ingest(AS_OF, store, again)
