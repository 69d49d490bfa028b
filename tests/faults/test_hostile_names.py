"""Names from the data that mean harm, by the thousand: text for people, whatever they hold and wherever they stand."""

from __future__ import annotations

import csv
import importlib
import logging
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote

import polars as pl
import pytest
from rich.console import Console

from deepfactor.errors import DeepfactorError
from deepfactor.pages.routes import answer
from deepfactor.pages.shelf import Shelf
from deepfactor.pages.site import Site
from deepfactor.pages.trouble import trouble_of, trouble_page
from deepfactor.reports.month import render_month
from deepfactor.reports.numbers import legible
from deepfactor.reports.spreadsheet import frame_to_csv
from deepfactor.reports.summary import month_summary
from deepfactor.stack.layout import BUCKET, CHECKOUT
from deepfactor.stack.object_store import Endpoint
from deepfactor.terminal import LegibleFormatter, legible_lines
from tests.evaluating.made_span import FIRST, STOCKS
from tests.faults.tally import Tally
from tests.pages.made import publish_month
from tests.reports.conftest import build_report
from tests.security.hostile import KINDS
from tests.security.inspection import page_faults, skeleton, spreadsheet_faults, steering, texts
from tests.security.made import publish_hostile
from tests.security.market import distinct

SEED = 2016
STOCKS_OF_A_PAGE = 24

Begin = Callable[[str], Tally]
Cases = Callable[[int, int], int]


def batches(count: int, size: int = STOCKS_OF_A_PAGE) -> Iterator[tuple[int, list[str]]]:
    """Yield so many names in all, so many at a time, each with the number of its first."""
    found = distinct(count, SEED)
    for start in range(0, len(found), size):
        yield start, found[start : start + size]


def test_in_the_months_page(tally: Begin, cases: Cases) -> None:
    fault = tally("hostile name in the month's page")
    honest = render_month(build_report(stocks=STOCKS_OF_A_PAGE, models=("dfm2",)))
    for start, names in batches(cases(10_000, 120)):
        page = render_month(build_report(stocks=STOCKS_OF_A_PAGE, models=("dfm2",), names=names))
        faults, shown = page_faults(page, honest), texts(page)
        for place, name in enumerate(names, start):
            with fault.case(f"seed {SEED}, name {place}: {name[:200]!r}"):
                assert faults == []
                assert legible(name) in shown
                fault.ended("shown as text")


def test_in_a_table_for_spreadsheets(tally: Begin, cases: Cases) -> None:
    fault = tally("hostile name in a table for spreadsheets")
    for start, names in batches(cases(10_000, 300), 50):
        body = frame_to_csv(pl.DataFrame({"model": ["dfm2"] * len(names), "name": names, "value": [-1.5] * len(names)}))
        rows = list(csv.DictReader(StringIO(body.decode(), newline="")))
        faults = spreadsheet_faults(body)
        for place, (name, row) in enumerate(zip(names, rows, strict=True), start):
            with fault.case(f"seed {SEED}, name {place}: {name[:200]!r}"):
                assert faults == []
                assert row["name"].replace("'", "") == name.replace("'", "")
                assert float(row["value"]) == -1.5
                fault.ended("changed by an apostrophe" if row["name"] != name else "kept as it is")


def test_in_a_terminal_and_in_a_log(tally: Begin, cases: Cases) -> None:
    fault = tally("hostile name in a terminal and a log")
    formatter = LegibleFormatter("%(message)s")
    for start, names in batches(cases(10_000, 200), 20):
        console = Console(file=StringIO(), width=25_000, force_terminal=True, color_system=None)
        console.print(month_summary(build_report(stocks=20, models=("dfm2",), names=names)))
        screen = console.file.getvalue()  # type: ignore[attr-defined]
        for place, name in enumerate(names, start):
            with fault.case(f"seed {SEED}, name {place}: {name[:200]!r}"):
                # Styles are the table's own.
                assert not {"\x07", "\x08", "\r", "\x9b", "\u202e", "\u200b"} & set(screen)
                assert legible(name).strip() in screen
                record = logging.LogRecord("x", logging.INFO, "x", 1, "%s is published", (name,), None)
                assert steering(formatter.format(record)) == []
                assert "\n" not in formatter.format(record)
                assert steering(legible_lines(str(DeepfactorError(f"no {name} in the month")))) == []
                fault.ended("shown as text")


def test_in_an_alert(tally: Begin, cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = tally("hostile name in the reason of an alert")
    monkeypatch.syspath_prepend(str(CHECKOUT / "plugins"))
    alerts: Any = importlib.import_module("deepfactor_alerts")
    for place, name in enumerate(distinct(cases(10_000, 300), SEED)):
        with fault.case(f"seed {SEED}, name {place}: {name[:200]!r}"):
            pushed: dict[str, Any] = {}
            instance = SimpleNamespace(
                task_id="ingest", map_index=-1, rendered_map_index=None, try_number=1, log_url="http://airflow/",
                xcom_push=pushed.__setitem__,
            )  # fmt: skip
            alerts.remember_failure({"ti": instance, "exception": ValueError(f"no {name} in the month")})
            reason = pushed["failure"]["reason"]
            assert steering(reason) == [] and "\n" not in reason
            assert not {"<", ">"} & set(reason)
            assert len(reason) <= 2_100
            fault.ended("cut" if len(reason) > 2_000 else "one line")


@pytest.fixture(scope="module")
def hostile_site(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Shelf]]:
    key = endpoint.credentials
    shelf = Shelf.open(f"s3://{BUCKET}/{secrets.token_hex(6)}", endpoint.url, key.access_key, key.secret_key)
    publish_month(shelf, FIRST)
    site = Site(shelf, tmp_path_factory.mktemp("digests"), "/deep-factor", patience=30.0)
    yield site, shelf
    site.close()


@pytest.mark.integration
def test_in_an_address_of_the_pages(tally: Begin, cases: Cases, hostile_site: tuple[Site, Shelf]) -> None:
    fault = tally("hostile name in an address of the pages")
    site, _ = hostile_site
    for place, name in enumerate(distinct(cases(10_000, 150), SEED)):
        for path, query in (
            (f"securities/{name}", {}),
            ("securities", {"query": name}),
            (f"months/{FIRST}/{name}", {}),
        ):
            with fault.case(f"seed {SEED}, name {place} in {path[:30]!r}: {name[:200]!r}"):
                try:
                    shown = answer(site, path, query)
                except DeepfactorError as error:
                    shown = trouble_page(trouble_of(error), "/deep-factor")
                assert shown.status in (200, 303, 404)
                assert steering(shown.body.decode()) == []
                if name != "files/report.html":  # which is there
                    assert shown.body.count(b"<script") <= 1
                assert b"<img" not in shown.body and b"<iframe src=//" not in shown.body
                fault.ended({200: "a page", 303: "led on", 404: "told that it is not there"}[shown.status])


@pytest.mark.integration
def test_of_a_security_that_has_it(tally: Begin, cases: Cases, hostile_site: tuple[Site, Shelf]) -> None:
    fault = tally("security of a hostile name in the pages")
    site, shelf = hostile_site
    month = FIRST + 1
    # How many lines and cells are drawn is the figures' to say.
    elements = set().union(*(skeleton(answer(site, f"securities/{each}", {}).body) for each in STOCKS))
    for start, names in batches(cases(1_200, 30), len(STOCKS)):
        publish_hostile(shelf, month, dict(zip(STOCKS, names, strict=False)))
        with _pages(shelf) as site:
            for place, name in enumerate(names, start):
                with fault.case(f"seed {SEED}, name {place}: {name[:200]!r}"):
                    address = quote(name, safe="")
                    assert unquote(address) == name
                    shown = answer(site, f"securities/{unquote(address)}", {})
                    assert shown.status == 200
                    assert legible(name) in texts(shown.body)
                    assert set(skeleton(shown.body)) <= elements
                    assert page_faults(shown.body, shown.body) == []
                    fault.ended("found and shown as text")


@contextmanager
def _pages(shelf: Shelf) -> Iterator[Site]:
    """Pages of a store as it is now."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(shelf, Path(folder), "/deep-factor", patience=30.0)
        yield site
        site.close()


def test_names_are_as_many_as_are_wanted_and_of_every_kind() -> None:
    found = distinct(10_000, SEED)
    assert len(set(found)) == 10_000
    assert all(any(name.strip() in found for name in names) for names in KINDS.values())
