"""Bad input of every kind: a right result or a message that says what to do, within bounds of time and memory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

import pytest

from deepfactor.evaluating.evaluate import evaluate
from deepfactor.pages.shelf import Shelf
from deepfactor.stack.layout import BUCKET
from deepfactor.stack.object_store import Endpoint
from tests.evaluating.made_span import FIRST
from tests.faults.inputs import bombs
from tests.faults.inputs.fuzzing import run
from tests.faults.tally import Tally
from tests.pages.made import publish_month

# Bytes by which a process may grow over all its cases. Deliveries are bounded by 20 MB here and may take four times
# that; an answer of the service may have 100 MB, and a regular expression as many as its engine allows.
_GROWTH = {
    "source_files": 300_000_000,
    "configurations": 400_000_000,
    "suites": 100_000_000,
    "published": 100_000_000,
    "answers": 400_000_000,
    "addresses": 300_000_000,
    "arguments": 600_000_000,
}
_FULL = 10_000
# To make the files takes most of it.
_GROWTH_OF_BOMBS = 700_000_000


def _count(tally: Tally, kind: str, count: int, environment: dict[str, str] | None = None) -> None:
    outcome = run(kind, count, environment)
    for number in range(count):
        with tally.case(f"{kind} {number}"):
            if number in outcome.violations:
                raise AssertionError(outcome.violations[number])
            tally.ended(outcome.ended[number])
    assert outcome.grown <= _GROWTH[kind], f"the process has grown by {outcome.grown / 1e6:.0f} MB"
    assert not outcome.left, f"{outcome.left} were written outside"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("source_files", "damaged and strange source files"),
        ("configurations", "damaged and strange configurations and mappings"),
        ("suites", "damaged and strange expectation suites"),
        ("published", "damaged and forged manifests"),
        ("answers", "damaged and strange answers of J-Quants"),
    ],
)
def test_what_is_read(kind: str, fault: str, tally: Callable[[str], Tally], cases: Callable[[int, int], int]) -> None:
    _count(tally(fault), kind, cases(_FULL, 150))


def test_bombs(tally: Callable[[str], Tally]) -> None:
    count = tally("files that would fill the memory")
    outcome = run("bombs", len(bombs.NAMES))
    for number, name in enumerate(bombs.NAMES):
        with count.case(name):
            assert number not in outcome.violations, outcome.violations[number]
            count.ended(outcome.ended[number])
    assert 0 < outcome.grown <= _GROWTH_OF_BOMBS, f"the process has grown by {outcome.grown / 1e6:.0f} MB"


@pytest.fixture(scope="module")
def published(endpoint: Endpoint) -> Shelf:
    """A store with two months and their evaluation."""
    key = endpoint.credentials
    shelf = Shelf.open(f"s3://{BUCKET}/{secrets.token_hex(6)}", endpoint.url, key.access_key, key.secret_key)
    for number in range(2):
        publish_month(shelf, FIRST + number)
    evaluate(shelf, FIRST, FIRST + 1)
    return shelf


@pytest.mark.integration
def test_addresses_of_pages(
    published: Shelf, endpoint: Endpoint, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    key = endpoint.credentials
    extra = {"store": published.url("").rstrip("/"), "endpoint_url": endpoint.url}
    connection = {"conn_type": "aws", "login": key.access_key, "password": key.secret_key, "extra": extra}
    environment = {"AIRFLOW_CONN_DEEPFACTOR_STORE": json.dumps(connection), "NO_PROXY": "*"}
    _count(tally("strange addresses and parameters of pages"), "addresses", cases(_FULL, 40), environment)


@pytest.mark.integration
def test_arguments_of_commands(
    published: Shelf, endpoint: Endpoint, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    key = endpoint.credentials
    before = published.etags("manifests/")
    environment = {
        "DEEPFACTOR_STORE": published.url("").rstrip("/"),
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "NO_PROXY": "*",
    }
    _count(tally("strange arguments of commands"), "arguments", cases(_FULL, 40), environment)
    assert published.etags("manifests/") == before, "a month was published or replaced"
