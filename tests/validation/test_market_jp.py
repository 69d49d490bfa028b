"""The real drop, where it is at hand: it passes, with its wrong prices set aside and its real moves kept."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import INCLUDE, load_config
from deepfactor.months import Month, Window
from deepfactor.sources import open_source
from deepfactor.validation import Validation, validate

FOLDER = Path(os.environ.get("DEEPFACTOR_MARKET_JP", INCLUDE.parent.parent / "shared" / "market-jp"))

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the real drop is not at {FOLDER}: set DEEPFACTOR_MARKET_JP to its folder"
)


@pytest.fixture(scope="module")
def outcome() -> Validation:
    config = load_config(INCLUDE / "config" / "market_jp.yaml", FOLDER)
    window = Window(Month.parse("2018-11"))
    source = open_source(config.source)
    tables = {name: source.fetch(name, window.first_history, window.as_of) for name in source.datasets()}
    return validate(tables, window, config)


def test_it_passes(outcome: Validation) -> None:
    assert outcome.passed, outcome.verdict["faults"]
    failed = {each["name"] for each in outcome.verdict["expectations"] if not each["success"]}
    assert failed & {each["name"] for each in outcome.verdict["expectations"] if each["severity"] == "error"} == set()


def test_how_much_is_set_aside(outcome: Validation) -> None:
    assert 900 < outcome.quarantined.height < 1_200
    newest = outcome.quarantined.filter(pl.col("month") == date(2018, 11, 1))
    assert newest.height < 5


def test_known_faults_are_set_aside_and_the_prices_beside_them_kept(outcome: Validation) -> None:
    kept = outcome.tables["prices"].select("security_id", pl.col("month").dt.strftime("%Y-%m")).rows()
    present = set(kept)
    # Two scales in a row, the older one wrong; a single month × 100; half a year / 500.
    assert ("3857", "2007-12") in present
    assert ("6249", "2011-03") not in present
    assert {("6249", "2011-02"), ("6249", "2011-04")} <= present
    assert not {("8894", f"2008-0{n}") for n in range(2, 8)} & present
    assert {("8894", "2008-01"), ("8894", "2008-08")} <= present


def test_real_moves_are_kept(outcome: Validation) -> None:
    kept = set(outcome.tables["prices"].select("security_id", pl.col("month").dt.strftime("%Y-%m")).rows())
    # × 5 within a month, with the trades to show for it.
    assert {("1711", "2013-10"), ("2150", "2014-11"), ("3350", "2013-02"), ("2146", "2009-06")} <= kept
