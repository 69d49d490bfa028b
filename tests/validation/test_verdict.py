"""Validation of a month: what stops it, what is set aside and what must pass, on a small simulated market."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, ValidationFailed
from deepfactor.months import Month, Window
from deepfactor.validation import Validation, validate, verdict

AS_OF = Month.parse("2016-02")
WINDOW = Window(AS_OF)

Tables = dict[str, pl.DataFrame]


@pytest.fixture(scope="session")
def passed(raw_tables: Tables, small_config: Config) -> Validation:
    return validate(raw_tables, WINDOW, small_config)


class TestWhatPasses:
    def test_a_good_month(self, passed: Validation, raw_tables: Tables) -> None:
        assert passed.passed, passed.verdict["faults"]
        assert passed.require() is passed
        assert all(passed.tables[name].equals(table) for name, table in raw_tables.items())
        assert passed.quarantined.is_empty()
        assert all(each["evaluated"] for each in passed.verdict["expectations"])
        assert all(each["success"] for each in passed.verdict["expectations"] if each["scope"] == "month")

    def test_accounts_set_aside_say_why(self, raw_tables: Tables, small_config: Config) -> None:
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
        assert outcome.verdict["quarantined"] == [
            {"table": "fundamentals", "reason": "announced after the period", "rows": 1}
        ]

    def test_what_stops_says_so_everywhere(self, raw_tables: Tables, small_config: Config) -> None:
        gone = raw_tables | {"prices": raw_tables["prices"].filter(pl.col("month") != AS_OF.first_day)}
        outcome = validate(gone, WINDOW, small_config)
        with pytest.raises(ValidationFailed, match="2016-02 did not pass validation: .*the month has no prices"):
            outcome.require()
        assert "Stopped." in outcome.documents["index.html"].decode()


class TestDeterminism:
    def test_the_same_input_gives_the_same_bytes(
        self, passed: Validation, raw_tables: Tables, small_config: Config
    ) -> None:
        again = validate(raw_tables, WINDOW, small_config)
        assert again.documents == passed.documents
        assert json.dumps(again.verdict, allow_nan=False) == json.dumps(passed.verdict, allow_nan=False)

    def test_documents_need_no_network_and_hold_nothing_random(self, passed: Validation, raw_tables: Tables) -> None:
        assert set(passed.documents) == {"index.html", *(f"{name}.html" for name in raw_tables)}
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
    next(each for each in suites["market"]["expectations"] if each["meta"]["name"] == "month given").update(changes)
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

    def test_unknown_table(self, raw_tables: Tables, small_config: Config) -> None:
        with pytest.raises(ValidationFailed, match=r"\['pricess'\] are no raw tables, so the month is not validated"):
            validate(raw_tables | {"pricess": raw_tables["prices"]}, WINDOW, small_config)

    def test_suite_of_no_table(self, raw_tables: Tables, small_config: Config) -> None:
        suites = dict(small_config.expectations) | {"pricess": small_config.expectations["prices"]}
        with pytest.raises(ConfigurationError, match=r"\['pricess'\] are suites of no table"):
            validate(raw_tables, WINDOW, replace(small_config, expectations=suites))

    def test_condition_that_selects_nothing(self, raw_tables: Tables, small_config: Config) -> None:
        suites = json.loads(json.dumps(small_config.expectations))
        rule = next(each for each in suites["prices"]["expectations"] if each["meta"]["name"] == "unit of prices")
        rule["kwargs"]["row_condition"]["parameter"] = ["closse"]
        with pytest.raises(ConfigurationError, match="unit of prices: no distributions meet .*closse"):
            validate(raw_tables, WINDOW, replace(small_config, expectations=suites))

    def test_exception_while_facts_are_computed(
        self, raw_tables: Tables, small_config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise KeyError("lost")

        monkeypatch.setitem(verdict._RAW_FACTS, "months", broken)
        with pytest.raises(
            ValidationFailed, match="cannot be computed, so the month is not validated: KeyError: 'lost'"
        ):
            validate(raw_tables, WINDOW, small_config)

    def test_exception_while_documents_are_made(self, passed: Validation) -> None:
        def broken() -> dict[str, bytes]:
            raise OSError("no space")

        with pytest.raises(ValidationFailed, match="2016-02.*not validated: OSError: no space"):
            _ = replace(passed, render=broken).documents

    def test_no_rows_at_all(self, raw_tables: Tables, small_config: Config) -> None:
        outcome = validate({name: table.clear() for name, table in raw_tables.items()}, WINDOW, small_config)
        assert not outcome.passed
        assert any("the month has no prices" in fault for fault in outcome.verdict["faults"])

    def test_a_later_month_is_another_month(self, raw_tables: Tables, small_config: Config) -> None:
        outcome = validate(raw_tables, Window(AS_OF + -1), small_config)
        assert any("after the as-of month" in fault for fault in outcome.verdict["faults"])
        assert date(2016, 2, 1) in raw_tables["prices"]["month"]
