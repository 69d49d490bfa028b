"""The real drop, where it is at hand: it passes, with its wrong prices set aside and its real moves kept."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import INCLUDE, load_config
from deepfactor.months import Month, Window, month_range
from deepfactor.sources import open_source
from deepfactor.validation import Validation, validate
from deepfactor.validation.levels import price_levels
from tests.validation.test_levels import LIMITS

FOLDER = Path(os.environ.get("DEEPFACTOR_MARKET_JP", INCLUDE.parent.parent / "shared" / "market-jp"))
AS_OF = Month.parse("2018-11")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the real drop is not at {FOLDER}: set DEEPFACTOR_MARKET_JP to its folder"
)

Tables = dict[str, pl.DataFrame]
Rows = set[tuple[str, str]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Everything from 1999-05 to the as-of month."""
    source = open_source(load_config(INCLUDE / "config" / "market_jp.yaml", FOLDER).source)
    return {name: source.fetch(name, Month.parse("1999-05"), AS_OF) for name in source.datasets()}


@pytest.fixture(scope="module")
def outcome(tables: Tables) -> Validation:
    """The window of the as-of month, validated."""
    window = Window(AS_OF)
    days = window.first_history.first_day, AS_OF.first_day
    known = {"prices": "month", "market": "month", "fundamentals": "available_from"}
    history = {name: table.filter(pl.col(known[name]) >= days[0]) for name, table in tables.items()}
    return validate(history, window, load_config(INCLUDE / "config" / "market_jp.yaml", FOLDER))


@pytest.fixture(scope="module")
def aside(tables: Tables) -> pl.DataFrame:
    """Rows of the whole span whose facts set them aside, or whose price is not positive."""
    facts = price_levels(tables["prices"], tables["fundamentals"])
    wrong = pl.any_horizontal(pl.col(name) > limit for name, limit in LIMITS.items())
    return tables["prices"].hstack(facts).filter(wrong | (pl.col("close") <= 0))


def _rows(frame: pl.DataFrame) -> Rows:
    return set(frame.select("security_id", pl.col("month").dt.strftime("%Y-%m")).rows())


def _months(code: str, first: str, last: str) -> Rows:
    return {(code, str(month)) for month in month_range(Month.parse(first), Month.parse(last))}


def _all(parts: Iterable[tuple[str, str, str]]) -> Rows:
    return {row for part in parts for row in _months(*part)}


class TestNewestWindow:
    def test_it_passes(self, outcome: Validation) -> None:
        assert outcome.passed, outcome.verdict["faults"]
        failed = {each["name"] for each in outcome.verdict["expectations"] if not each["success"]}
        errors = {each["name"] for each in outcome.verdict["expectations"] if each["severity"] == "error"}
        assert failed & errors == set()

    def test_how_much_is_set_aside(self, outcome: Validation) -> None:
        prices = outcome.quarantined.filter(pl.col("table") == "prices")
        assert 1_500 < prices.height < 2_200
        assert prices.filter(pl.col("month") == AS_OF.first_day).height < 6


class TestWholeSpan:
    def test_negative_and_thousandfold_prices(self, aside: pl.DataFrame) -> None:
        assert 3_500 < aside.height < 5_000
        wrong = _all(
            [
                ("4288", "2001-07", "2004-03"),  # negative, then a thousandth, until 2004-04
                ("8766", "2000-01", "2005-08"),
                ("6249", "2011-03", "2011-03"),  # one month × 100
                ("8894", "2008-02", "2008-07"),  # half a year / 500
                ("3857", "2002-04", "2007-09"),
                ("5936", "2005-09", "2006-07"),  # a tenth, for eleven months
                ("7983", "2017-10", "2017-10"),  # × 4.4, against the month's trades
                ("5449", "2001-01", "2018-11"),  # a hundredfold throughout
                ("2159", "2007-08", "2018-11"),
            ]
        )
        assert wrong <= _rows(aside)

    def test_the_prices_beside_them_are_kept(self, aside: pl.DataFrame) -> None:
        beside = {
            *_months("4288", "2004-04", "2004-12"),
            *_months("8894", "2007-08", "2008-01"),
            *_months("8894", "2008-08", "2008-12"),
            ("6249", "2011-02"),
            ("6249", "2011-04"),
            *_months("3857", "2007-10", "2009-12"),
            *_months("7983", "2017-11", "2018-11"),
        }
        assert not beside & _rows(aside)

    def test_a_bankruptcy_is_real_and_the_quotes_after_it_are_not(self, aside: pl.DataFrame) -> None:
        found = {row for row in _rows(aside) if row[0] == "9201" and row[1] > "2009"}
        assert found == _months("9201", "2010-03", "2012-08")

    def test_real_moves_are_kept(self, aside: pl.DataFrame) -> None:
        # × 4 to × 10 within a month, and a fall to a fifth, with the trades to show for them.
        moves = {
            ("1711", "2013-10"), ("2146", "2009-06"), ("2150", "2014-11"), ("2158", "2011-02"), ("3350", "2013-02"),
            ("3652", "2014-08"), ("4576", "2013-04"), ("5724", "2014-11"), ("6033", "2018-08"), ("6633", "2013-07"),
            ("8202", "2009-06"), ("9501", "2011-03"), ("9820", "2018-08"),
        }  # fmt: skip
        before = {(code, str(Month.parse(month) + -1)) for code, month in moves}
        assert not (moves | before) & _rows(aside)

    def test_stocks_that_are_only_cheap_or_dear_beside_their_accounts_are_kept(self, aside: pl.DataFrame) -> None:
        beyond = aside.filter(pl.col("scale_by_accounts") > 1)["security_id"]
        assert not {"1822", "6137", "3914", "4587", "8337"} & set(beyond)


def test_real_jumps_of_the_newest_month_are_kept_when_they_happen(tables: Tables) -> None:
    for month, codes in {"2013-04": ["4576"], "2018-08": ["6033", "9820"], "2010-01": ["9201"]}.items():
        last = Month.parse(month)
        prices = tables["prices"].filter(pl.col("security_id").is_in(codes), pl.col("month") <= last.first_day)
        accounts = tables["fundamentals"].filter(pl.col("available_from") <= last.last_day)
        facts = prices.hstack(price_levels(prices, accounts)).filter(pl.col("month") == last.first_day)
        assert facts.height == len(codes)
        assert facts.filter(pl.any_horizontal(pl.col(name) > limit for name, limit in LIMITS.items())).is_empty()


def test_prices_wrong_in_the_newest_month_are_set_aside_when_they_happen(tables: Tables) -> None:
    prices = tables["prices"].filter(
        pl.col("month") <= date(2017, 10, 1), pl.col("security_id").is_in(["7877", "7983"])
    )
    facts = prices.hstack(price_levels(prices, tables["fundamentals"].clear()))
    newest = facts.filter(pl.col("month") == date(2017, 10, 1))
    assert newest.filter(pl.col("rise_from_level") > LIMITS["rise_from_level"]).height == 2
