"""Data Docs: pages that need no network, say what became of the month, and are the same every time."""

from __future__ import annotations

import re

import polars as pl
import pytest

from deepfactor.months import Month
from deepfactor.validation.documents import render
from deepfactor.validation.judging import Judgement, judge, open_context
from deepfactor.validation.suites import Rule


@pytest.fixture(scope="module")
def judgements() -> list[Judgement]:
    frame = pl.DataFrame({"row": [0, 1], "value": [1.0, 9.0]})
    rules = [
        Rule(table, f"small <{table}>", "expect_column_values_to_be_between", {"column": "value", "max_value": 4.0},
             "warning", "rows", "window", f"a value of {table} is large", None)
        for table in ("prices", "market")
    ]  # fmt: skip
    context = open_context()
    return [judgement for rule in rules for judgement in judge(context, [rule], frame)]


SUMMARIES = {"prices": "Passed. 0 rows set aside.", "market": "Stopped. <b>late</b>. 0 rows set aside."}


def _pages(judgements: list[Judgement]) -> dict[str, str]:
    pages = render(Month.parse("2015-05"), "XTKS", judgements, SUMMARIES)
    return {name: body.decode() for name, body in pages.items()}


def test_a_page_for_each_suite_with_its_own_judgements(judgements: list[Judgement]) -> None:
    pages = _pages(judgements)
    assert set(pages) == {"index.html", "prices.html", "market.html"}
    assert "a value of prices is large" in pages["prices.html"]
    assert "a value of market is large" not in pages["prices.html"]


def test_the_hour_is_that_of_the_month_s_last_session(judgements: list[Judgement]) -> None:
    assert "2015-05-29T09:00:00Z" in _pages(judgements)["prices.html"]


def test_names_from_suites_and_data_are_never_markup(judgements: list[Judgement]) -> None:
    pages = _pages(judgements)
    assert "&lt;b&gt;late&lt;/b&gt;" in pages["index.html"]
    assert "<b>late</b>" not in "".join(pages.values())
    assert "small <prices>" not in pages["prices.html"]


def test_the_same_judgements_give_the_same_bytes_and_ask_nothing_of_the_network(judgements: list[Judgement]) -> None:
    pages = _pages(judgements)
    assert _pages(judgements) == pages
    assert not re.search(r"https?://|<script|<link", "".join(pages.values()))


def test_values_of_the_data_are_never_markup() -> None:
    """The library writes what it found into its tables as it is."""
    hostile = "<script>alert(1)</script>{{7*7}}$value\x1b\u202e"
    frame = pl.DataFrame({"row": [0, 1], "security_id": [hostile] * 2, "value": [1.0, 1.0]})
    kinds: dict[str, dict[str, object]] = {
        "expect_column_values_to_be_in_set": {"column": "security_id", "value_set": ["1301"]},
        "expect_column_values_to_be_unique": {"column": "security_id"},
        "expect_compound_columns_to_be_unique": {"column_list": ["security_id", "value"]},
        "expect_column_values_to_match_regex": {"column": "security_id", "regex": "^[0-9]+$"},
    }
    rules = [
        Rule("prices", kind, kind, kwargs, "error", "rows", "window", "why", None) for kind, kwargs in kinds.items()
    ]
    judged = judge(open_context(), rules, frame)
    pages = {
        name: body.decode()
        for name, body in render(
            Month.parse("2015-05"), "XTKS", judged, {"prices": f"Stopped. prices: {hostile}."}
        ).items()
    }
    for page in pages.values():
        assert "<script" not in page
        assert not {"\x1b", "\u202e"} & set(page)
        assert "Content-Security-Policy\" content=\"default-src 'none'" in page
    assert pages["prices.html"].count("&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}$value") >= len(kinds)
    # What was found is kept as it is.
    assert judged[0].observed == [hostile] * 2
