"""The backfill command on the real thing: PostgreSQL, an S3 endpoint, Airflow's scheduler."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepfactor.config import DEFAULT_CONFIG, SimulationConfig, load_config
from deepfactor.months import Month, last_session, month_range
from deepfactor.publication import manifest_key, published_months
from deepfactor.sources.simulated import land
from deepfactor.stack.airflow_settings import DAG
from deepfactor.stack.layout import Ports
from deepfactor.stack.stack import Stack
from tests.faults.conftest import tally  # noqa: F401 - a fixture
from tests.faults.stack_faults import (
    DATABASE_KILLED,
    FollowedBackfill,
    check_months,
    endure,
    undisturbed,
)
from tests.faults.tally import Tally

pytestmark = pytest.mark.integration

# Not those of other tests, which may run at the same time.
PORTS = Ports(api=28380, s3=24880)
MONTHS = list(month_range(Month.parse("2015-12"), Month.parse("2016-02")))
# With one model.
STEPS = 7
SPAN = ("--from", "2015-12", "--to", "2016-02")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def config(stack: Stack) -> str:
    """A small market and the fastest model, which share no step with a month of other tests."""
    content = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    simulation = SimulationConfig(stocks=120)
    content["source"] |= {"folder": str(stack.layout.local / "market"), "simulate": asdict(simulation)}
    content |= {
        "universe": {"minimum_stocks": 50},
        "models": ["linear"],
        "signal_model": "linear",
        "expectations": load_config().expectations,
    }
    land(stack.layout.local / "market", simulation)
    path = stack.layout.local / "test.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def program(stack: Stack) -> list[str]:
    return [sys.executable, "-m", "deepfactor", "backfill", "--root", str(stack.layout.root)]


@pytest.fixture(scope="module")
def backfill(program: list[str]) -> Command:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *arguments], capture_output=True, text=True, timeout=900, env=_environment(), check=False
        )

    return call


def test_a_dry_run_starts_nothing(stack: Stack, backfill: Command) -> None:
    told = json.loads(backfill(*SPAN, "--dry-run", "--json").stdout)
    assert [(each["month"], each["would_run"]) for each in told["months"]] == [(str(month), True) for month in MONTHS]
    assert stack.session.runs(DAG) == []


def test_months_of_which_airflow_has_none_are_refused(stack: Stack, backfill: Command) -> None:
    for span in (("--from", "2006-01", "--to", "2006-03"), ("--from", "2016-02", "--to", "2016-03")):
        refused = backfill(*span)
        assert refused.returncode == 1
        assert "the schedule of deepfactor_monthly has no " in _text(refused.stderr)
    # Airflow itself would have made these runs, without any task.
    assert stack.session.runs(DAG) == []


def test_a_paused_dag_and_a_wrong_login_are_refused(
    stack: Stack, backfill: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.session.call("PATCH", f"/api/v2/dags/{DAG}", json={"is_paused": True})
    assert "the DAG deepfactor_monthly is paused" in _text(backfill(*SPAN).stderr)
    stack.session.unpause(DAG)
    monkeypatch.setenv("DEEPFACTOR_AIRFLOW_PASSWORD", "wrong")
    refused = backfill("--airflow", stack.address, "--user", "admin", *SPAN)
    assert "refused the login of user admin (401)" in _text(refused.stderr)


def test_months_that_fail_are_explained(stack: Stack, backfill: Command) -> None:
    done = backfill("--from", "2016-01", "--to", "2016-02", "--config", "no-such.yaml", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [each["month"] for each in told["months"]] == ["2016-01", "2016-02"]
    for each in told["months"]:
        assert (each["published"], each["state"], each["task"]) == (False, "failed", "ingest")
        assert "no-such.yaml" in each["reason"]
        assert "Traceback" not in each["reason"]
    again = backfill("--from", "2016-01", "--to", "2016-02")
    assert "0 of 2 months are published" in _text(again.stdout)
    assert len(_backfills(stack)) == 1


def test_an_interrupted_backfill_goes_on(stack: Stack, program: list[str], config: str) -> None:
    command = [*program, *SPAN, "--reprocess", "failed", "--config", config, "--max-active", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment())
    _until(lambda: len(_backfills(stack)) == 2)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "goes on in Airflow at" in _text(output)
    assert "The same command follows it again" in _text(output)


def test_it_is_followed_again_through_the_death_of_all_it_needs(
    stack: Stack,
    config: str,
    tally: Callable[[str], Tally],  # noqa: F811 - the fixture
) -> None:
    deaths = (DATABASE_KILLED,)
    followed = FollowedBackfill(stack, MONTHS, "--config", config)
    try:
        # In quick succession, for the sake of time: some die while others are only started again.
        endure(followed, [(each, tally(each.name)) for each in deaths], STEPS, 1, lambda: _check(stack, config))
    finally:
        followed.close()
    told = _text(followed.output())
    assert "Following backfill 2 (2015-12 … 2016-02)" in told
    assert "3 of 3 months are published, in s3://deepfactor/" in told
    assert len(_backfills(stack)) == 2
    assert published_months(stack.endpoint.open()) == MONTHS


def _check(stack: Stack, config: str) -> None:
    check_months(stack, MONTHS, undisturbed(stack, MONTHS, load_config(Path(config))))
    # Exactly the months, each under the day of its last session.
    runs = {run["logical_date"][:10]: run["state"] for run in stack.session.runs(DAG)}
    assert runs == {str(last_session(month)): "success" for month in MONTHS}


def test_what_is_published_stays_and_what_is_lost_comes_again(stack: Stack, backfill: Command, config: str) -> None:
    store = stack.endpoint.open()
    tags = {month: store.etag(manifest_key(month)) for month in MONTHS}
    assert backfill(*SPAN, "--config", config).returncode == 0
    assert len(_backfills(stack)) == 2
    lost = MONTHS[1]
    store._client.delete_object(Bucket=store.bucket, Key=store._full(manifest_key(lost)))
    done = backfill(*SPAN, "--config", config)
    assert done.returncode == 0, done.stdout + done.stderr
    # A database that was killed counts on from further up.
    assert re.search(r"Started backfill \d+ \(2016-01 … 2016-01\): 1 months", _text(done.stderr))
    # From the same inputs it is the same run, and the same bytes.
    assert {month: store.etag(manifest_key(month)) for month in MONTHS} == tags


def _backfills(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.session.call("GET", "/api/v2/backfills", params={"dag_id": DAG}).json()[
        "backfills"
    ]
    return found


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "DEEPFACTOR_STORE"}


def _text(output: str) -> str:
    """Return it in one line: messages are wrapped."""
    return re.sub(r"\s+", " ", output)
