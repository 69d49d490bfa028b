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
