"""Validation of a month: what stops it, what is set aside and what must pass, on a small simulated market."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, ValidationFailed
from deepfactor.months import Month, Window
from deepfactor.validation import Validation, validate

AS_OF = Month.parse("2016-02")
WINDOW = Window(AS_OF)
THIS, BEFORE, AFTER = AS_OF.first_day, (AS_OF + -1).first_day, (AS_OF + 1).first_day

Tables = dict[str, pl.DataFrame]
NEWEST = pl.col("month") == THIS
# A stock listed throughout, so that its history can be damaged.
STOCK = pl.col("security_id") == pl.col("security_id").mode().sort().first()


@pytest.fixture(scope="session")
def passed(raw_tables: Tables, small_config: Config) -> Validation:
    return validate(raw_tables, WINDOW, small_config)


def _update(tables: Tables, name: str, **columns: pl.Expr) -> Tables:
    return tables | {name: tables[name].with_columns(**columns)}


def _scale(tables: Tables, where: pl.Expr, factor: float, *columns: str) -> Tables:
    names = columns or ("close", "total_return_price", "market_value", "traded_value")
    scaled = {name: pl.when(where).then(pl.col(name) * factor).otherwise(name) for name in names}
    return _update(tables, "prices", **scaled)


def _append(tables: Tables, name: str, rows: pl.DataFrame) -> Tables:
    return tables | {name: tables[name].vstack(rows.select(tables[name].columns))}


def _keep(tables: Tables, name: str, where: pl.Expr) -> Tables:
    return tables | {name: tables[name].filter(where)}


def _first(tables: Tables, name: str = "prices") -> pl.DataFrame:
    return tables[name].filter(NEWEST).head(1)


def _half(tables: Tables) -> pl.Expr:
    codes = tables["prices"]["security_id"].unique().sort()
    return pl.col("security_id").is_in(codes.head(len(codes) // 2).implode())


STOPS: dict[str, tuple[Callable[[Tables], Tables], str]] = {
    "a duplicated stock-month": (
        lambda t: _append(t, "prices", _first(t)),
        r"prices: a stock stands twice in a month \(found \[\{'month': '2016-02-01.*'security_id': '\d{4}'\}",
    ),
    "half of the stocks gone": (
        lambda t: _keep(t, "prices", ~(NEWEST & _half(t))),
        r"stocks are missing: the month has fewer than 80 % of the month before \(found \[0\.\d+\]\)",
    ),
    "the month gone": (lambda t: _keep(t, "prices", ~NEWEST), "the month has no prices"),
    "a price after the month": (
        lambda t: _append(t, "prices", _first(t).with_columns(month=pl.lit(AFTER))),
        r"prices: a row became known after the as-of month \(found \[1\]\)",
    ),
    "accounts after the month": (
        lambda t: _append(t, "fundamentals", t["fundamentals"].head(1).with_columns(available_from=pl.lit(AFTER))),
        "fundamentals: a row became known after the as-of month",
    ),
    "index after the month": (
        lambda t: _append(t, "market", _first(t, "market").with_columns(month=pl.lit(AFTER))),
        "market: a row became known after the as-of month",
    ),
    "accounts gone": (lambda t: _keep(t, "fundamentals", pl.lit(value=False)), "have accounts of the last 18 months"),
    "accounts twice": (
        lambda t: _append(t, "fundamentals", t["fundamentals"].head(1)),
        "fundamentals: the accounts of a period stand twice",
    ),
    "last month's file again": (
        lambda t: _append(
            _keep(t, "prices", ~NEWEST),
            "prices",
            t["prices"].filter(pl.col("month") == BEFORE).with_columns(month=pl.lit(THIS)),
        ),
        "the file was delivered again",
    ),
    "a wrong scale of many": (lambda t: _scale(t, NEWEST & _half(t), 1000.0), "doubled or halved"),
    "no prices in the rows": (
        lambda t: _update(t, "prices", close=pl.when(~NEWEST).then("close")),
        "more than 5 % of the month's rows lack a price",
    ),
    "no security code": (
        lambda t: _update(t, "prices", security_id=pl.when(~(NEWEST & STOCK)).then("security_id")),
        "prices: a row has no security_id",
    ),
    "index gone": (lambda t: _keep(t, "market", ~NEWEST), "market: the month has no row"),
    "no index return": (
        lambda t: _update(t, "market", market_return=pl.when(~NEWEST).then("market_return")),
        "market: the month has no market return",
    ),
    "index in percent": (
        lambda t: _update(t, "market", market_return=pl.col("market_return") * 100),
        "percent where a fraction belongs",
    ),
    "a column gone": (
        lambda t: t | {"prices": t["prices"].drop("volume")},
        r"prices: a column is missing or of another type",
    ),
    "a column of another type": (
        lambda t: _update(t, "fundamentals", sales=pl.col("sales").cast(pl.String)),
        r"fundamentals: a column is missing or of another type",
    ),
    "too much to set aside": (
        lambda t: _update(t, "prices", close=pl.when(NEWEST & _half(t)).then(0.0).otherwise("close")),
        r"prices: the price is zero or negative, in \d\d\.\d% of rows where 1\.0% are allowed",
    ),
}


class TestWhatStops:
    @pytest.mark.parametrize("name", STOPS)
    def test_stopped(self, name: str, raw_tables: Tables, small_config: Config) -> None:
        damage, expected = STOPS[name]
        outcome = validate(damage(raw_tables), WINDOW, small_config)
        assert not outcome.passed
        with pytest.raises(ValidationFailed, match="2016-02 did not pass validation: .*" + expected):
            outcome.require()
        assert "Stopped." in outcome.documents["index.html"].decode()


def _history(first: int, last: int) -> pl.Expr:
    return STOCK & pl.col("month").is_between((AS_OF + first).first_day, (AS_OF + last).first_day)


ASIDE: dict[str, tuple[pl.Expr, Callable[[Tables, pl.Expr], Tables], str]] = {
    "one month × 1,000": (_history(-30, -30), lambda t, w: _scale(t, w, 1e3), "no rise to another level"),
    "half a year / 1,000": (_history(-40, -35), lambda t, w: _scale(t, w, 1e-3), "no rise to another level"),
    "the newest month × 1,000": (_history(0, 0), lambda t, w: _scale(t, w, 1e3), "no rise to another level"),
    "the newest month / 1,000": (_history(0, 0), lambda t, w: _scale(t, w, 1e-3), "no fall to another level"),
    "× 7 and back": (_history(-20, -20), lambda t, w: _scale(t, w, 7.0), "no spike"),
    "negative prices": (
        _history(-9, -8),
        lambda t, w: _scale(t, w, -1.0, "close", "total_return_price"),
        "close positive",
    ),
    "negative volume": (_history(-9, -9), lambda t, w: _scale(t, w, -1.0, "volume"), "volume not negative"),
}


class TestWhatIsSetAside:
    @pytest.mark.parametrize("name", ASIDE)
    def test_exactly_these_rows(self, name: str, raw_tables: Tables, small_config: Config) -> None:
        where, damage, reason = ASIDE[name]
        damaged = damage(raw_tables, where)
        outcome = validate(damaged, WINDOW, small_config)
        wrong = damaged["prices"].filter(where).select("month", "security_id")
        assert wrong.height
        assert outcome.quarantined.select("month", "security_id").rows() == wrong.rows()
        assert outcome.quarantined["reason"].unique().to_list() == [reason]
        assert outcome.passed, outcome.verdict["faults"]
        assert outcome.tables["prices"].equals(damaged["prices"].filter(~where))
        assert outcome.verdict["quarantined"] == [{"table": "prices", "reason": reason, "rows": wrong.height}]

    def test_accounts_known_before_their_period_ended(self, raw_tables: Tables, small_config: Config) -> None:
        accounts = raw_tables["fundamentals"].with_row_index("n")
        early = pl.when(pl.col("n") == 7).then(pl.col("available_from").dt.offset_by("1y")).otherwise("period_end")
        damaged = raw_tables | {"fundamentals": accounts.with_columns(period_end=early).drop("n")}
        outcome = validate(damaged, WINDOW, small_config)
        assert outcome.passed
        assert outcome.quarantined.select("table", "row", "reason").rows() == [
            ("fundamentals", 7, "announced after the period")
        ]
        details = r"announced after the period: days_after_period = -36[56]"
        assert re.fullmatch(details, outcome.quarantined["details"].item())


UNUSUAL: dict[str, Callable[[Tables], Tables]] = {
    "a crash of 25 %": lambda t: _scale(t, NEWEST, 0.75),
    "a split by ten": lambda t: _update(
        t,
        "prices",
        close=pl.when(NEWEST & STOCK).then(pl.col("close") / 10).otherwise("close"),
        shares_outstanding=pl.when(NEWEST & STOCK)
        .then(pl.col("shares_outstanding") * 10)
        .otherwise("shares_outstanding"),
        volume=pl.when(NEWEST & STOCK).then(pl.col("volume") * 10).otherwise("volume"),
    ),
    "a legitimate tenfold rise that stays": lambda t: _scale(t, _history(-3, 0), 10.0),
    "a failure that loses 97 %": lambda t: _scale(t, _history(-1, 0), 0.03),
    "a tenth of the stocks gone at once": lambda t: _keep(
        t, "prices", ~(NEWEST & (pl.col("security_id").rank("dense").over("month") <= 7))
    ),
}


class TestWhatPasses:
    def test_a_good_month(self, passed: Validation, raw_tables: Tables) -> None:
        assert passed.passed, passed.verdict["faults"]
        assert passed.require() is passed
        assert all(passed.tables[name].equals(table) for name, table in raw_tables.items())
        assert passed.quarantined.is_empty()
        assert all(each["evaluated"] for each in passed.verdict["expectations"])

    @pytest.mark.parametrize("name", UNUSUAL)
    def test_unusual_and_right(self, name: str, raw_tables: Tables, small_config: Config) -> None:
        outcome = validate(UNUSUAL[name](raw_tables), WINDOW, small_config)
        assert outcome.passed, outcome.verdict["faults"]
        assert outcome.quarantined.is_empty()

    def test_a_large_move_is_reported(self, raw_tables: Tables, small_config: Config) -> None:
        outcome = validate(_scale(raw_tables, _history(0, 0), 10.0), WINDOW, small_config)
        assert outcome.passed
        failed = [each["name"] for each in outcome.verdict["expectations"] if not each["success"]]
        assert failed == ["large moves"]

    def test_an_odd_close_is_set_aside(self, raw_tables: Tables, small_config: Config) -> None:
        damaged = _scale(raw_tables, NEWEST & STOCK, 6.0, "close")
        outcome = validate(damaged, WINDOW, small_config)
        assert outcome.passed
        assert outcome.quarantined.select("month", "security_id", "reason").rows() == [
            (THIS, damaged["prices"].filter(NEWEST & STOCK)["security_id"].item(), "one row tells one story")
        ]


class TestDeterminism:
    def test_the_same_input_gives_the_same_bytes(
        self, passed: Validation, raw_tables: Tables, small_config: Config
    ) -> None:
        again = validate(raw_tables, WINDOW, small_config)
        assert again.documents == passed.documents
        assert json.dumps(again.verdict, allow_nan=False) == json.dumps(passed.verdict, allow_nan=False)

    def test_documents_need_no_network_and_hold_nothing_random(self, passed: Validation) -> None:
        assert set(passed.documents) == {"index.html", "prices.html", "fundamentals.html", "market.html"}
        for page in passed.documents.values():
            text = page.decode()
            assert not re.search(r"https?://|<script|<link", text)
            assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)
            assert set(re.findall(r'href="([^"#]+)', text)) <= set(passed.documents)
        assert "2016-02-29T09:00:00Z" in passed.documents["prices.html"].decode()

    def test_the_library_loads_without_great_expectations(self) -> None:
        code = "import deepfactor.validation, sys; assert 'great_expectations' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)


def _with_rule(config: Config, **changes: Any) -> Config:
    suites = json.loads(json.dumps(config.expectations))
    suites["market"]["expectations"][1] |= changes
    return replace(config, expectations=suites)


class TestFailsClosed:
    def test_no_suite(self, raw_tables: Tables, small_config: Config) -> None:
        suites = {name: suite for name, suite in small_config.expectations.items() if name != "market"}
        with pytest.raises(ConfigurationError, match="there is no suite for market"):
            validate(raw_tables, WINDOW, replace(small_config, expectations=suites))

    def test_unknown_expectation(self, raw_tables: Tables, small_config: Config) -> None:
        config = _with_rule(small_config, type="expect_the_best")
        with pytest.raises(ConfigurationError, match=r"market.json: month given: expect_the_best with .* is no expect"):
            validate(raw_tables, WINDOW, config)

    def test_unknown_argument(self, raw_tables: Tables, small_config: Config) -> None:
        config = _with_rule(small_config, kwargs={"column": "month", "at_least": 3})
        with pytest.raises(ConfigurationError, match=r"month given: .* is no expectation of Great Expectations"):
            validate(raw_tables, WINDOW, config)

    def test_unknown_column(self, raw_tables: Tables, small_config: Config) -> None:
        config = _with_rule(small_config, kwargs={"column": "moon"})
        with pytest.raises(
            ConfigurationError, match=r"month given: there is no column moon among the facts of its rows"
        ):
            validate(raw_tables, WINDOW, config)

    def test_exception_inside_an_expectation(self, raw_tables: Tables, small_config: Config) -> None:
        kwargs = {"column": "month", "min_value": 3}
        config = _with_rule(small_config, type="expect_column_values_to_be_between", kwargs=kwargs)
        with pytest.raises(ValidationFailed, match="month given could not be evaluated, so the month is not validated"):
            validate(raw_tables, WINDOW, config)

    def test_missing_table(self, raw_tables: Tables, small_config: Config) -> None:
        with pytest.raises(ValidationFailed, match="there is no market, so the month is not validated"):
            validate({name: raw_tables[name] for name in ("prices", "fundamentals")}, WINDOW, small_config)

    def test_no_rows_at_all(self, raw_tables: Tables, small_config: Config) -> None:
        outcome = validate({name: table.clear() for name, table in raw_tables.items()}, WINDOW, small_config)
        assert not outcome.passed
        assert any("the month has no prices" in fault for fault in outcome.verdict["faults"])

    def test_a_later_month_is_another_month(self, raw_tables: Tables, small_config: Config) -> None:
        outcome = validate(raw_tables, Window(AS_OF + -1), small_config)
        assert any("after the as-of month" in fault for fault in outcome.verdict["faults"])
        assert date(2016, 2, 1) in raw_tables["prices"]["month"]
