"""A market of hostile names through all steps on a real endpoint, and through all that people are shown of it."""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser
from typer.testing import CliRunner

from deepfactor.cli import app
from deepfactor.config import Config
from deepfactor.errors import ValidationFailed
from deepfactor.monthly import run_month
from deepfactor.months import Window
from deepfactor.publication import PublishedMonth, open_month, verify_month
from deepfactor.raw import fetch_raw
from deepfactor.reports.month import render_month
from deepfactor.reports.numbers import legible
from deepfactor.reports.spreadsheet import frame_to_csv
from deepfactor.reports.validation import validation_summary
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from deepfactor.validation import validate
from deepfactor.validation.verdict import Validation
from tests.conftest import AS_OF
from tests.reports.watched import Watched
from tests.security.inspection import elsewhere, page_faults, spreadsheet_faults, steering, texts
from tests.security.made import with_names
from tests.security.market import land_hostile

pytestmark = pytest.mark.integration

SEED = 8
MODEL = "linear"


@pytest.fixture(scope="module")
def config(small_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    hostile = land_hostile(tmp_path_factory.mktemp("hostile") / "market", small_config, SEED)
    return replace(hostile, models=(MODEL,), signal_model=MODEL)


@pytest.fixture(scope="module")
def published(bucket: Store, config: Config) -> tuple[Store, PublishedMonth]:
    """The month, made and published by the pipeline."""
    store = bucket.below(secrets.token_hex(6))
    run_month(AS_OF, store, config, after=lambda *_: None)
    return store, open_month(store, verify_month(store, AS_OF))


@pytest.fixture(scope="module")
def names(published: tuple[Store, PublishedMonth]) -> list[str]:
    return published[1].signals["security_id"].to_list()


@pytest.fixture(scope="module")
def honest(names: list[str]) -> dict[str, str]:
    """Names that are none, which stand in the same order."""
    return {name: f"{1000 + place}" for place, name in enumerate(sorted(names))}


@pytest.fixture(scope="module")
def stopped(config: Config) -> Iterator[tuple[Validation, Validation]]:
    """What validation says of a month whose rows stand twice, and of the same with names that are none."""

    def judged(tables: dict[str, pl.DataFrame]) -> Validation:
        last = tables["prices"].filter(pl.col("month") == AS_OF.first_day)
        wrong = last.with_columns(close=-pl.col("close"), security_id=pl.col("security_id") + "\x1b[31m<i>").head(3)
        return validate(tables | {"prices": pl.concat([tables["prices"], last, wrong])}, Window(AS_OF), config)

    tables = fetch_raw(AS_OF, config)
    codes = pl.concat(frame["security_id"] for frame in tables.values() if "security_id" in frame.columns).unique()
    plain = {name: f"{1000 + place}" for place, name in enumerate(codes.sort())}
    renamed = {
        name: frame.with_columns(pl.col("security_id").replace(plain)) if "security_id" in frame.columns else frame
        for name, frame in tables.items()
    }
    return judged(tables), judged(renamed)


@pytest.fixture
def environment(endpoint: Endpoint, published: tuple[Store, PublishedMonth], monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the store as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", published[0].url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)


def test_the_names_are_there_as_they_were_delivered(names: list[str]) -> None:
    assert len(names) > 50
    text = "".join(names)
    assert all(each in text for each in "<>\"'&=@\x00\x1b\u202e\n/\\%{[")
    assert max(map(len, names)) >= 8_000


def test_the_months_page_has_the_elements_of_an_honest_one(
    published: tuple[Store, PublishedMonth], honest: dict[str, str], names: list[str]
) -> None:
    store, month = published
    page = store.read(month.manifest.report)
    report = month.report()
    frames = {name: with_names(getattr(report, name), honest) for name in ("signals", "ledger", "attribution")}
    assert page_faults(page, render_month(replace(report, **frames))) == []
    shown = texts(page)
    assert [name for name in names if legible(name) not in shown] == []


def test_nothing_runs_in_the_months_page(
    published: tuple[Store, PublishedMonth], browser: Browser, tmp_path: Path, names: list[str]
) -> None:
    store, month = published
    path = tmp_path / "report.html"
    path.write_bytes(store.read(month.manifest.report))
    watched = Watched(browser, path.as_uri())
    assert watched.column(0) == [legible(name) for name in month.report().stocks()["security_id"]]
    # What is shown on request is made by the script: each stock's account, opened and closed.
    for row in range(0, len(names), 7):
        watched.page.locator("#signals-table tbody th").nth(row).click()
        watched.page.keyboard.press("Escape")
    watched.page.locator("#filter-name").fill("<script>")
    assert watched.complaints == []
    assert elsewhere(watched.requests, (path.as_uri(),)) == []
    assert watched.page.title() == f"Signals of {AS_OF} · {MODEL} · deepfactor"


def test_no_spreadsheet_computes_anything(published: tuple[Store, PublishedMonth], names: list[str]) -> None:
    store, month = published
    body = store.read(month.manifest.named("signals.csv"))
    assert body == frame_to_csv(month.signals)
    assert spreadsheet_faults(body) == []
    rows = list(csv.DictReader(StringIO(body.decode(), newline="")))
    assert [float(row["prediction"]) for row in rows] == month.signals["prediction"].to_list()
    assert min(float(row["prediction"]) for row in rows) < 0
    assert [row["security_id"].replace("'", "") for row in rows] == [name.replace("'", "") for name in names]


def test_documents_of_a_month_that_passes_name_nobody_and_stay_whole(published: tuple[Store, PublishedMonth]) -> None:
    store, month = published
    objects = month.manifest.named_objects
    documents = [name for name in objects if name.endswith(".html") and name != "report.html"]
    assert len(documents) >= 6
    for name in documents:
        page = store.read(objects[name])
        assert page_faults(page, page) == [], name


def test_documents_of_a_month_that_is_stopped_have_the_elements_of_honest_ones(
    stopped: tuple[Validation, Validation], browser: Browser, tmp_path: Path
) -> None:
    hostile, honest = stopped
    assert not hostile.passed
    shown = "".join(map(texts, hostile.documents.values()))
    # The library writes values of the data into its tables.
    assert "<i>" in shown or "<script>" in shown or "&lt;" in shown
    for name, page in hostile.documents.items():
        assert page_faults(page, honest.documents[name]) == [], name
        path = tmp_path / name
        path.write_bytes(page)
        watched = Watched(browser, path.as_uri())
        assert watched.complaints == []
        assert elsewhere(watched.requests, (path.as_uri(),)) == []
        watched.page.close()


def test_messages_and_tables_of_a_month_that_is_stopped_steer_nothing(stopped: tuple[Validation, Validation]) -> None:
    hostile, _ = stopped
    with pytest.raises(ValidationFailed) as raised:
        hostile.require()
    assert steering(str(raised.value)) == []
    assert "\n" not in str(raised.value)
    from rich.console import Console

    console = Console(file=StringIO(), width=200, force_terminal=False)
    console.print(validation_summary(hostile.verdict, hostile.quarantined))
    assert steering(console.file.getvalue()) == []  # type: ignore[attr-defined]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("arguments", [("show",), ("verify",), ("explain", "--portfolio", "top")])
def test_commands_steer_no_terminal(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*arguments, "--month", str(AS_OF)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert steering(result.output) == []


@pytest.mark.usefixtures("environment")
def test_any_stock_can_be_explained_and_steers_nothing(names: list[str], tmp_path: Path, browser: Browser) -> None:
    short = [name for name in names if len(name) < 200 and not name.startswith("-") and "\x00" not in name]
    for place, name in enumerate(short[:: len(short) // 4]):
        path = tmp_path / f"{place}.html"
        command = ["explain", "--month", str(AS_OF), "--security", name, "--html", str(path)]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0, (name, result.output)
        assert steering(result.output) == []
        watched = Watched(browser, path.as_uri())
        assert watched.complaints == []
        assert elsewhere(watched.requests, (path.as_uri(),)) == []
        watched.page.close()
        machine = CliRunner().invoke(app, [*command[:5], "--json"], catch_exceptions=False)
        assert json.loads(machine.stdout)["subject"]["name"] == name
        assert machine.stdout.isascii() and steering(machine.stdout) == []


@pytest.mark.usefixtures("environment")
def test_a_name_that_is_not_there_steers_no_message(names: list[str]) -> None:
    for name in names[:: len(names) // 3]:
        command = ["explain", "--month", str(AS_OF), f"--security={name.replace(chr(0), '')}!"]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 1
        assert "has no prediction by" in result.output.replace("\n", " ")
        assert steering(result.output) == []
