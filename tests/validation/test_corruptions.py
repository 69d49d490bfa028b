"""Nothing wrong reaches the signals unseen: a good month, damaged in every way of the catalogue, and judged."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from deepfactor.config import Config, SourceConfig
from deepfactor.errors import DeepfactorError
from deepfactor.months import Window
from deepfactor.portfolio import quintiles, ranks
from deepfactor.raw import fetch_raw
from deepfactor.schemas import FACTORS, LEDGER, SIGNALS
from deepfactor.validation import Validation, validate
from deepfactor.validation.results import validate_results
from tests.validation.corruptions import (
    AS_OF,
    CORRUPTIONS,
    DAMAGED_RESULTS,
    UNUSUAL,
    Corruption,
    Reported,
    SetAside,
    Stopped,
    Tables,
)


def _unmet(outcome: Validation) -> set[tuple[str, str]]:
    return {(each["table"], each["name"]) for each in outcome.verdict["expectations"] if not each["success"]}


def _check(corruption: Corruption, good: Tables, bad: Tables, outcome: Validation, usual: set[tuple[str, str]]) -> None:
    """Compare an outcome with the one that the corruption must have."""
    told = _unmet(outcome) - usual
    assert not outcome.passed or not outcome.quarantined.is_empty() or told, "it would reach the signals unseen"
    match corruption.outcome:
        case Stopped(saying):
            assert not outcome.passed
            assert any(saying in fault for fault in outcome.verdict["faults"]), outcome.verdict["faults"]
        case SetAside(table):
            assert outcome.passed, outcome.verdict["faults"]
            pairs = enumerate(zip(good[table].rows(), bad[table].rows(), strict=True))
            changed = [row for row, (before, after) in pairs if before != after]
            assert outcome.quarantined.select("table", "row").rows() == [(table, row) for row in changed]
            assert outcome.tables[table].height == good[table].height - len(changed)
        case Reported(name):
            assert outcome.passed, outcome.verdict["faults"]
            assert outcome.quarantined.is_empty()
            assert name in {each for _, each in told}


@pytest.fixture(scope="module")
def usual(raw_tables: Tables, small_config: Config) -> set[tuple[str, str]]:
    """What a good month is told of already."""
    outcome = validate(raw_tables, Window(AS_OF), small_config)
    assert outcome.passed, outcome.verdict["faults"]
    assert outcome.quarantined.is_empty()
    return _unmet(outcome)


def test_the_catalogue_is_large_and_names_each_case_once() -> None:
    names = [each.name for each in (*CORRUPTIONS, *DAMAGED_RESULTS)]
    assert len(set(names)) == len(names) >= 100


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda each: each.name)
def test_raw_tables(
    corruption: Corruption, raw_tables: Tables, small_config: Config, usual: set[tuple[str, str]]
) -> None:
    bad = corruption.change(raw_tables)
    _check(corruption, raw_tables, bad, validate(bad, Window(AS_OF), small_config), usual)


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_and_right(name: str, raw_tables: Tables, small_config: Config) -> None:
    tables = UNUSUAL[name](raw_tables)
    assert any(not tables[each].equals(raw_tables[each]) for each in tables)
    outcome = validate(tables, Window(AS_OF), small_config)
    assert outcome.passed, outcome.verdict["faults"]
    assert outcome.quarantined.is_empty(), outcome.quarantined.rows()


@pytest.fixture(scope="module")
def results(described: pl.DataFrame, small_config: Config) -> Tables:
    """Signals as good models would give them, and their ledger."""
    chosen = described.filter(pl.col("month") == AS_OF.first_day, pl.col("in_universe")).sort("security_id")
    codes = chosen["security_id"].to_numpy().astype(str)
    random = np.random.default_rng(7)
    common = random.normal(0, 0.01, len(codes))
    signals, ledger = [], []
    for model in small_config.models:
        prediction = 0.005 + common + random.normal(0, 0.004, len(codes))
        rank = ranks(prediction, codes)
        key = {"month": AS_OF.first_day, "model": model, "security_id": codes, "prediction": prediction}
        signals.append(pl.DataFrame({**key, "dispersion": 0.001, "rank": rank, "quintile": quintiles(rank)}))
        ledger.append(
            pl.DataFrame({**key, **dict.fromkeys(FACTORS, 0.0), "bias": prediction, "level": 0.0, "leak": 0.0})
        )
    tables = {"signals": pl.concat(signals), "ledger": pl.concat(ledger)}
    checked = {"signals": SIGNALS.check(tables["signals"], ""), "ledger": LEDGER.check(tables["ledger"], "")}
    return {"descriptors": described, **checked}


def _judged(tables: Tables, config: Config) -> Validation:
    return validate_results(tables["descriptors"], tables["signals"], tables["ledger"], AS_OF, config)


@pytest.fixture(scope="module")
def usual_results(results: Tables, small_config: Config) -> set[tuple[str, str]]:
    outcome = _judged(results, small_config)
    assert outcome.passed, outcome.verdict["faults"]
    return _unmet(outcome)


@pytest.mark.parametrize("corruption", DAMAGED_RESULTS, ids=lambda each: each.name)
def test_descriptors_and_signals(
    corruption: Corruption, results: Tables, small_config: Config, usual_results: set[tuple[str, str]]
) -> None:
    bad = corruption.change(results)
    _check(corruption, results, bad, _judged(bad, small_config), usual_results)


def _newest(folder: Path) -> Path:
    return folder / "prices" / "2016.parquet"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _text(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def _rewrite(path: Path, *columns: pl.Expr, drop: str | None = None) -> None:
    frame = pl.read_parquet(path).with_columns(*columns)
    (frame.drop(drop) if drop else frame).write_parquet(path)


def _gzip(folder: Path) -> None:
    index = folder / "index.csv"
    packed = gzip.compress(index.read_bytes())
    index.write_bytes(packed[: len(packed) // 2])


# What befalls the vendor's files, and a piece of what is said of it.
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file that is missing": (lambda f: _newest(f).unlink(), "has no prices for 2016-0"),
    "an empty file": (lambda f: _newest(f).write_bytes(b""), "cannot be read"),
    "a file that was cut off": (lambda f: _cut(_newest(f)), "cannot be read"),
    "packed where it should not be, and cut off": (_gzip, "index.csv"),
    "a file delivered under a second name": (
        lambda f: shutil.copy(_newest(f), f / "prices" / "2016-02.parquet"),
        "stands twice in a month",
    ),
    "last year's file under this year's name": (
        lambda f: shutil.copy(f / "prices" / "2015.parquet", _newest(f)),
        "has no prices for 2016-0",
    ),
    "a column that is missing": (lambda f: _rewrite(_newest(f), drop="adj_close"), "adj_close"),
    "a column of another name": (
        lambda f: _rewrite(_newest(f), pl.col("close").alias("last"), drop="close"),
        "there is no column close",
    ),
    "text where a number belongs": (
        lambda f: _rewrite(_newest(f), pl.lit("n/a").alias("volume")),
        "where a finite number belongs",
    ),
    "dates of another form": (
        lambda f: _rewrite(_newest(f), pl.col("date").dt.strftime("%d.%m.%Y")),
        "where a date",
    ),
    "a header in the middle": (
        lambda f: _text(f / "index.csv", lambda lines: [*lines[:-3], lines[0], *lines[-3:]]),
        "index.csv",
    ),
    "columns shifted by one": (
        lambda f: _text(f / "index.csv", lambda lines: [*lines[:-5], *("0," + line for line in lines[-5:])]),
        "index.csv",
    ),
    "numbers with a decimal comma": (
        lambda f: _text(f / "index.csv", lambda lines: [lines[0], *(_comma(line) for line in lines[1:])]),
        "index.csv",
    ),
    "another encoding": (
        lambda f: (f / "index.csv").write_bytes((f / "index.csv").read_text().encode("utf-16")),
        "index.csv",
    ),
}


def _comma(line: str) -> str:
    month, *values = line.split(",")
    return ",".join([month, *(f'"{value.replace(".", ",")}"' for value in values)])


@pytest.fixture
def delivery(small_config: Config, raw_tables: Tables, tmp_path: Path) -> tuple[Path, SourceConfig]:
    """A copy of the good month's files, and the configuration that reads them."""
    assert raw_tables
    assert small_config.source.folder is not None
    copy = tmp_path / "delivery"
    shutil.copytree(small_config.source.folder, copy)
    return copy, replace(small_config.source, folder=str(copy), simulate=None)


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, delivery: tuple[Path, SourceConfig], small_config: Config) -> None:
    folder, source = delivery
    damage, saying = FILES[name]
    damage(folder)
    config = replace(small_config, source=source)
    with pytest.raises(DeepfactorError) as refused:
        validate(fetch_raw(AS_OF, config), Window(AS_OF), config).require()
    assert saying in str(refused.value)
