"""Facts of tables, rows, months: what each says, on a few rows that can be counted by hand."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from deepfactor.months import Month, Window
from deepfactor.schemas import CONSTITUENTS, FUNDAMENTALS, MARKET, PRICES
from deepfactor.validation.facts import column_facts, month_facts, raw_distributions, row_facts

AS_OF = Month.parse("2015-05")
WINDOW = Window(AS_OF)


def _prices(rows: list[tuple[int, str, float]]) -> pl.DataFrame:
    """Month counted from the as-of month, code, and one value for every column."""
    content = [
        {
            "month": (AS_OF + ahead).first_day,
            "security_id": code,
            **dict.fromkeys(("close", "total_return_price", "market_value", "volume"), value),
            "shares_outstanding": 1.0,
            "traded_value": value * value,
        }
        for ahead, code, value in rows
    ]
    return pl.DataFrame(content, schema=dict(PRICES.columns))


def _accounts(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(FUNDAMENTALS.columns))


PRICES_OF_TWO_MONTHS = _prices([(-1, "1301", 10.0), (-1, "1302", 20.0), (0, "1301", 10.0), (0, "1303", 5.0)])


class TestColumns:
    def test_types_and_what_is_not_there(self) -> None:
        facts = column_facts(MARKET, pl.DataFrame({"month": ["2015-05"], "market_return": [float("nan")]}))
        assert facts.select("column", "found", "as_expected", "not_finite").rows() == [
            ("month", "String", False, 0),
            ("market_return", "Float64", True, 1),
            ("risk_free_rate", "missing", False, 0),
        ]

    def test_infinite_is_not_finite_and_null_is_no_value(self) -> None:
        table = pl.DataFrame({"market_return": [float("inf"), None, 0.1]})
        assert column_facts(MARKET, table).filter(column="market_return")["not_finite"].item() == 1


class TestRows:
    def test_what_becomes_known_after_the_last_session_is_still_the_month_s(self) -> None:
        """In May 2015 the last session was the 29th."""
        known = [date(2015, 5, 29), date(2015, 5, 31), date(2015, 6, 1)]
        table = _accounts(
            [{"security_id": "1301", "period_end": date(2015, 3, 31), "available_from": d} for d in known]
        )
        facts = row_facts({"fundamentals": table}, WINDOW)["fundamentals"]
        assert facts["months_after"].to_list() == [0, 0, 1]
        assert facts["scope_month"].to_list() == [date(2015, 5, 1), date(2015, 5, 1), date(2015, 6, 1)]
        assert facts["row"].to_list() == [0, 1, 2]

    def test_rows_keep_their_order(self) -> None:
        tables = {"prices": PRICES_OF_TWO_MONTHS, "fundamentals": FUNDAMENTALS.empty()}
        facts = row_facts(tables, WINDOW)["prices"]
        assert facts.select(PRICES.columns.keys()).equals(PRICES_OF_TWO_MONTHS)
        assert facts["vwap_ratio"].to_list() == [1.0] * 4


class TestMonths:
    def test_every_month_of_the_window_has_a_row(self) -> None:
        market = pl.DataFrame(
            {"month": [AS_OF.first_day], "market_return": [None], "risk_free_rate": [0.0]}, schema=dict(MARKET.columns)
        )
        members = PRICES_OF_TWO_MONTHS.select(*CONSTITUENTS.columns)
        tables = {
            "prices": PRICES_OF_TWO_MONTHS,
            "fundamentals": FUNDAMENTALS.empty(),
            "market": market,
            "constituents": members,
        }
        facts = month_facts(tables, WINDOW)
        assert {name: frame.height for name, frame in facts.items()} == dict.fromkeys(tables, 133)
        assert facts["prices"]["stocks"].to_list()[-3:] == [0, 2, 2]
        assert facts["market"].select("rows", "returns").rows()[-2:] == [(0, 0), (1, 0)]

    def test_prices(self) -> None:
        tables = {"prices": PRICES_OF_TWO_MONTHS, "fundamentals": FUNDAMENTALS.empty()}
        newest = month_facts(tables, WINDOW)["prices"].tail(1).to_dicts()[0]
        expected = {
            "stocks": 2,
            "stocks_ratio": 1.0,
            "gone_share": 0.5,
            "new_share": 0.5,
            "longest_gap": 0.5,
            "priced_share": 1.0,
            "unchanged_share": 1.0,
            "large_move_share": 0.0,
            "return_gap_share": 0.0,
            "value_gap_share": 0.0,
            "accounts_share": 0.0,
            "repeated_share": 0.5,
            "repeated_month": date(2015, 4, 1),
            "odd_codes": 0,
        }
        assert {name: newest[name] for name in expected} == expected
        assert newest["trade_price_ratio"] == pytest.approx(1.0)

    def test_members_without_a_price(self) -> None:
        members = _prices([(0, "1301", 1.0), (0, "1309", 1.0)]).select(*CONSTITUENTS.columns)
        facts = month_facts({"prices": PRICES_OF_TWO_MONTHS, "constituents": members}, WINDOW)["constituents"]
        assert facts["priced_share"].to_list()[-1] == 0.5


def test_a_move_of_the_whole_market_is_no_drift() -> None:
    moved = [
        (ahead, f"{1300 + n}", (100.0 + n) * (0.75 if ahead == 0 else 1.0))
        for n in range(30)
        for ahead in range(-12, 1)
    ]
    market = pl.DataFrame(
        {"month": [AS_OF.first_day], "market_return": [-0.25], "risk_free_rate": [0.0]}, schema=dict(MARKET.columns)
    )
    facts = raw_distributions({"prices": _prices(moved), "market": market}, WINDOW)["prices"]
    close = facts.filter(column="close").to_dicts()[0]
    assert (close["values"], close["values_before"]) == (30, 360)
    assert close["scale"] == pytest.approx(1.0)
    assert close["distance"] == pytest.approx(0.0)
    assert facts.filter(column="volume")["scale"].item() == pytest.approx(0.75)
