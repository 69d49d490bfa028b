"""The command against a server that answers as Airflow does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deepfactor.cli import app
from deepfactor.months import Month, month_range
from tests.stack.airflow_server import DAG, PASSWORD, USER, AirflowServer, served

MONTHS = list(month_range(Month.parse("2015-10"), Month.parse("2016-02")))
SPAN = ("--from", "2015-10", "--to", "2016-02")


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowServer]:
    for module in ("following", "patience"):
        monkeypatch.setattr(f"deepfactor.backfill.{module}._INTERVAL", 0.0)
    monkeypatch.delenv("DEEPFACTOR_STORE", raising=False)
    monkeypatch.setenv("DEEPFACTOR_AIRFLOW_PASSWORD", PASSWORD)
    with served(AirflowServer()) as server:
        yield server


@pytest.fixture
def backfill(airflow: AirflowServer) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["backfill", "--airflow", airflow.address, "--user", USER, *arguments])

    return call


def text(result: Result) -> str:
    """Return all that was shown, in one line: messages are wrapped."""
    return re.sub(r"\s+", " ", result.output)


def test_all_months_are_run_once(airflow: AirflowServer, backfill: Callable[..., Result]) -> None:
    result = backfill(*SPAN, "--config", "include/config/paper.yaml", "--replace")
    assert result.exit_code == 0, result.output
    assert airflow.runs == dict.fromkeys(MONTHS, "success")
    (made,) = airflow.backfills
    assert made["dag_run_conf"] == {"config": "include/config/paper.yaml", "replace": True}
    # The last day, or the last month would be missing.
    assert (made["from_date"][:10], made["to_date"][:10]) == ("2015-10-01", "2016-02-29")
    # Where the tasks do not run here, the DAG's own limit holds.
    assert made["max_active_runs"] == 2
    assert "5 of 5 months are published, by Airflow's word; the store is not known here" in text(result)
    assert backfill(*SPAN).exit_code == 0
    assert len(airflow.backfills) == 1


def test_a_dry_run_changes_nothing(airflow: AirflowServer, backfill: Callable[..., Result]) -> None:
    airflow.runs = {MONTHS[0]: "success", MONTHS[1]: "failed"}
    result = backfill(*SPAN, "--dry-run")
    assert result.exit_code == 0, result.output
    for line in (
        "1 done in Airflow 2015-10",
        "1 failed; --reprocess failed runs it again 2015-11",
        "3 would run 2015-12 … 2016-02",
        "It would start a backfill 2015-12 … 2016-02 of 3 months.",
    ):
        assert line in text(result)
    told = json.loads(backfill(*SPAN, "--dry-run", "--json", "--reprocess", "failed").stdout)
    assert [each["would_run"] for each in told["months"]] == [False, True, True, True, True]
    assert not airflow.backfills


def test_a_failed_month_is_explained_and_can_be_run_again(
    airflow: AirflowServer, backfill: Callable[..., Result]
) -> None:
    airflow.verdicts[MONTHS[2]] = "failed"
    message = "the delivery has 3 stocks with two prices in 2015-12"
    detail = [{"exc_type": "AirflowFailException", "exc_value": message}]
    airflow.log = [{"level": "error", "event": "Task failed with exception", "error_detail": detail}]
    result = backfill(*SPAN, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["published"] == 4
    (failed,) = (each for each in told["months"] if not each["published"])
    assert (failed["month"], failed["task"], failed["reason"]) == ("2015-12", "validate", message)
    assert "--reprocess failed" in failed["advice"]
    shown = text(backfill(*SPAN))
    assert "4 of 5 months are published" in shown
    assert "2015-12 validate" in shown
    assert len(airflow.backfills) == 1

    airflow.verdicts.clear()
    assert backfill(*SPAN, "--reprocess", "failed").exit_code == 0
    assert airflow.backfills[-1]["reprocess_behavior"] == "failed"
    assert airflow.backfills[-1]["from_date"] == "2015-12-01T00:00:00Z"


def test_a_run_that_is_published_already_asks_to_replace(
    airflow: AirflowServer, backfill: Callable[..., Result]
) -> None:
    airflow.verdicts[MONTHS[2]] = "failed"
    airflow.log = [{"level": "error", "event": "2015-12 is already published as run abc, from other inputs"}]
    assert "--reprocess failed --replace" in text(backfill(*SPAN))


def test_it_follows_the_backfill_that_is_there_and_then_runs_what_is_missing(
    airflow: AirflowServer, backfill: Callable[..., Result]
) -> None:
    airflow.moves = False
    assert airflow.answer("POST", "/auth/token", {}, {"username": USER, "password": PASSWORD}, "")[0] == 201
    body = {
        "from_date": "2015-10-01T00:00:00Z",
        "to_date": "2015-11-30T00:00:00Z",
        "reprocess_behavior": "none",
        "max_active_runs": 1,
        "dag_run_conf": {},
    }
    airflow.answer("POST", "/api/v2/backfills", {}, body, next(iter(airflow.tokens)))
    airflow.moves = True
    assert "backfill 1 (2015-10 … 2015-11) is active: it would be followed first" in text(backfill(*SPAN, "--dry-run"))
    result = backfill(*SPAN)
    assert result.exit_code == 0, result.output
    assert "Following backfill 1 (2015-10 … 2015-11): 2 months, 1 at once" in text(result)
    assert "Started backfill 2 (2015-12 … 2016-02): 3 months" in text(result)


def test_a_paused_backfill_waits_for_somebody_to_say_so(
    airflow: AirflowServer, backfill: Callable[..., Result]
) -> None:
    assert "no backfill of deepfactor_monthly is active, so there is none to pause" in text(backfill("--pause"))
    airflow.moves = False
    with interrupted(airflow):
        pass
    assert backfill("--pause").exit_code == 0
    refused = backfill(*SPAN)
    assert refused.exit_code == 1
    assert "backfill 1 (2015-10 … 2016-02) is paused: --unpause lets it go on, --cancel ends it" in text(refused)
    airflow.moves = True
    assert backfill("--unpause", *SPAN).exit_code == 0
    assert airflow.runs == dict.fromkeys(MONTHS, "success")


def test_a_cancelled_backfill_tells_what_never_ran(airflow: AirflowServer, backfill: Callable[..., Result]) -> None:
    airflow.moves = False
    with interrupted(airflow):
        pass
    airflow.paused = True
    assert "is cancelled" in text(backfill("--cancel"))
    airflow.paused = False
    result = backfill(*SPAN)
    assert result.exit_code == 1
    assert "0 of 5 months are published" in text(result)
    assert "the run ended before a task failed" in text(result)
    airflow.moves = True
    assert backfill(*SPAN, "--reprocess", "failed").exit_code == 0


def test_an_interrupt_leaves_the_backfill_running(airflow: AirflowServer) -> None:
    airflow.moves = False
    with interrupted(airflow) as output:
        assert "backfill 1 (2015-10 … 2016-02) goes on in Airflow" in output
        assert "The same command follows it again" in output
    assert airflow.backfills[0]["completed_at"] is None


def test_an_interrupt_before_airflow_has_answered_leaves_it_running_too(airflow: AirflowServer) -> None:
    airflow.moves = False
    airflow.slow = 3.0
    with interrupted(airflow, at="POST /api/v2/backfills") as output:
        assert "backfill 1 (2015-10 … 2016-02) goes on in Airflow" in output


class interrupted:  # noqa: N801 - a context manager
    """Starts the command as a person does, and interrupts it once the backfill is there."""

    def __init__(self, airflow: AirflowServer, at: str = f"GET /api/v2/dags/{DAG}/dagRuns") -> None:
        self.airflow = airflow
        self.at = at

    def __enter__(self) -> str:
        command = [sys.executable, "-m", "deepfactor", "backfill", "--airflow", self.airflow.address, "--user", USER]
        process = subprocess.Popen(
            [*command, *SPAN],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        )
        deadline = time.monotonic() + 60
        while not self.airflow.backfills or self.airflow.asked[-1] != self.at:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130, output
        return re.sub(r"\s+", " ", output)

    def __exit__(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2016-02", "--to", "2015-12"), "--from 2016-02 comes after --to 2015-12"),
        (("--from", "2016-2", "--to", "2016-02"), "'2016-2' is not a month"),
        (
            ("--from", "2005-12", "--to", "2006-04"),
            "the schedule of deepfactor_monthly has no 2005-12 … 2006-02, but 2006-03 … 2006-04: it begins with the "
            "DAG's start date 2006-03-01",
        ),
        (("--from", "2016-01", "--to", "2016-04"), "has no 2016-03 … 2016-04, but 2016-01 … 2016-02"),
        (("--from", "2017-01", "--to", "2017-04"), "has no 2017-01 … 2017-04, but none of these months"),
        ((*SPAN, "--dag", "other"), "does not know the DAG other: look for import errors"),
    ],
)
def test_what_cannot_be_run(
    airflow: AirflowServer, backfill: Callable[..., Result], arguments: tuple[str, ...], message: str
) -> None:
    result = backfill(*arguments)
    assert result.exit_code == 1
    assert message in text(result)
    assert not airflow.backfills


def test_months_must_be_named(backfill: Callable[..., Result]) -> None:
    assert "say which months: --from and --to" in text(backfill("--from", "2016-02"))
    assert backfill("--pause", "--cancel").exit_code == 2


def test_a_paused_dag(airflow: AirflowServer, backfill: Callable[..., Result]) -> None:
    airflow.paused = True
    assert "the DAG deepfactor_monthly is paused, so none of its runs would start" in text(backfill(*SPAN))


@pytest.mark.parametrize(("method", "what"), [("GET", "read its backfills of"), ("POST", "backfill")])
def test_no_right(airflow: AirflowServer, backfill: Callable[..., Result], method: str, what: str) -> None:
    airflow.denied = (method,)
    result = backfill(*SPAN)
    assert result.exit_code == 1
    assert f"does not let this user {what} deepfactor_monthly: ask its administrator" in text(result)


def test_somebody_else_is_faster(
    airflow: AirflowServer, backfill: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = airflow._create

    def taken(body: Any) -> Any:
        real(body)
        return real(body)

    monkeypatch.setattr(airflow, "_create", taken)
    assert "somebody else has started a backfill of deepfactor_monthly meanwhile" in text(backfill(*SPAN))


@pytest.mark.parametrize("trouble", ["expired", "away"])
def test_an_api_server_that_is_started_again(
    airflow: AirflowServer, backfill: Callable[..., Result], trouble: str
) -> None:
    real, troubles = airflow._look, iter((trouble,))

    def look(backfill: dict[str, Any]) -> dict[str, Any]:
        match next(troubles, None):
            case "expired":
                airflow.expire()
            case "away":
                airflow.failures += [503, 502, 500]
        return real(backfill)

    airflow._look = look  # type: ignore[method-assign]
    assert backfill(*SPAN).exit_code == 0
    assert airflow.runs == dict.fromkeys(MONTHS, "success")
    assert airflow.failures == []


@pytest.mark.parametrize("begun", [True, False])
def test_the_answer_to_the_start_is_lost(
    airflow: AirflowServer, backfill: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    real, died = airflow._create, False

    def create(body: Any) -> Any:
        nonlocal died
        answer = real(body) if begun or died else None
        if died:
            return answer
        died = True
        return 503, {"detail": "the server is started again"}

    monkeypatch.setattr(airflow, "_create", create)
    result = backfill(*SPAN)
    assert result.exit_code == 0, result.output
    assert len(airflow.backfills) == 1
    assert airflow.runs == dict.fromkeys(MONTHS, "success")


def test_months_that_a_dying_server_has_left_out_are_run(
    airflow: AirflowServer, backfill: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = airflow._create

    def create(body: Any) -> Any:
        answer = real(body)
        if len(airflow.backfills) == 1:
            del airflow.runs[MONTHS[2]], airflow.runs[MONTHS[4]]
        return answer

    monkeypatch.setattr(airflow, "_create", create)
    result = backfill(*SPAN)
    assert result.exit_code == 0, result.output
    assert airflow.runs == dict.fromkeys(MONTHS, "success")
    assert [each["from_date"][:7] for each in airflow.backfills] == ["2015-10", "2015-12"]


def test_logins(airflow: AirflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*arguments: str) -> str:
        return text(CliRunner().invoke(app, ["backfill", *arguments, *SPAN, "--dry-run"]))

    monkeypatch.setenv("DEEPFACTOR_AIRFLOW_PASSWORD", "wrong")
    assert "refused the login of user analyst (401): Invalid credentials" in call(
        "--airflow", airflow.address, "--user", USER
    )
    monkeypatch.delenv("DEEPFACTOR_AIRFLOW_PASSWORD")
    assert "no login for" in call("--airflow", airflow.address, "--user", USER)
    assert "is no address of an Airflow" in call("--airflow", "airflow.example.com")
    monkeypatch.setenv("DEEPFACTOR_AIRFLOW_TOKEN", "given")
    monkeypatch.setenv("DEEPFACTOR_AIRFLOW", airflow.address)
    airflow.tokens.add("given")
    assert "5 would run" in call()


def test_nobody_there(airflow: AirflowServer, tmp_path: Path) -> None:
    with served(AirflowServer()) as gone:
        pass
    lost = CliRunner().invoke(app, ["backfill", "--airflow", gone.address, "--user", USER, *SPAN])
    assert lost.exit_code == 1
    assert "does not answer" in text(lost)
    result = CliRunner().invoke(app, ["backfill", "--root", str(tmp_path), *SPAN])
    assert result.exit_code == 1
    assert "no stack is up below" in text(result)
