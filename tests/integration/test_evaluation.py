"""Published months start evaluations, on the real thing: PostgreSQL, an S3 endpoint, Airflow's scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from deepfactor.evaluating.results import EvaluationManifest, find_evaluation, manifest_key, read_evaluation
from deepfactor.months import Month, month_range
from deepfactor.stack.airflow_client import FINISHED
from deepfactor.stack.airflow_settings import DAG, EVALUATION_DAG
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Ports
from deepfactor.stack.stack import Stack
from tests.evaluating.made_span import FIRST, made_month, publish_made

pytestmark = pytest.mark.integration

# Not those of other tests, which may run at the same time.
PORTS = Ports(api=28280, s3=24780)
LAST = FIRST + 5


@pytest.fixture(scope="module")
def announce(stack: Stack) -> Callable[[Month], None]:
    """Publish a made month and update the asset, which is what the monthly DAG's last task does."""
    answer = stack.session.call("GET", "/api/v2/assets", params={"name_pattern": "deepfactor_signals"})
    (asset,) = answer.json()["assets"]
    for month in month_range(FIRST, LAST + 2):
        made_month(month)  # beforehand: what waits looks less often the longer it waits

    def publish(month: Month) -> None:
        manifest = publish_made(stack.endpoint.open(), month)
        body = {"asset_id": asset["id"], "extra": {"month": str(month), "run_id": manifest.run_id}}
        stack.session.call("POST", "/api/v2/assets/events", json=body)

    return publish


def test_where_nothing_is_published_it_says_so(stack: Stack) -> None:
    run = stack.session.trigger(EVALUATION_DAG, {})
    _until(lambda: stack.session.run(EVALUATION_DAG, run)["state"] in FINISHED, stack)
    wait, evaluate = (_task(stack, run, name) for name in ("wait_for_months", "evaluate"))
    # A run by hand waits for nothing, and nothing changes by trying again.
    assert (wait.state, evaluate.state, evaluate.attempt) == ("success", "failed", 1)
    log = "\n".join(stack.session.log(EVALUATION_DAG, run, evaluate))
    assert "no month is published in s3://deepfactor/" in log
    assert "Traceback" not in log


def test_a_span_that_is_none_is_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match="Invalid input for param to"):
        stack.session.trigger(EVALUATION_DAG, {"to": "2016-13"})


def test_months_of_a_backfill_start_two_evaluations_after_it(stack: Stack, announce: Callable[[Month], None]) -> None:
    store = stack.endpoint.open()
    backfill = _queued(stack, "2100-01-01T00:00:00Z")
    announce(FIRST)
    _until(
        lambda: [_task(stack, run, "wait_for_months").state for run in _started(stack)] == ["up_for_reschedule"], stack
    )
    for month in month_range(FIRST + 1, LAST):
        announce(month)
    time.sleep(2)
    # All but the first are gathered, and the first waits.
    (first,) = _started(stack)
    assert stack.session.run(EVALUATION_DAG, first)["state"] == "running"
    assert _task(stack, first, "evaluate").state is None
    assert store.list("evaluations/") == []

    _end(stack, backfill)
    runs = _settled(stack)
    assert list(runs.values()) == ["success"] * 2
    evaluation = read_evaluation(store, FIRST, LAST)
    assert _states(evaluation.coverage) == {
        **dict.fromkeys(month_range(FIRST, LAST + -1), "scored"),
        LAST: "not known yet",
    }
    # Already the first run knew all of it.
    (manifest,) = {key for key in store.list("evaluations/") if key.count("/") == 1}
    assert manifest == manifest_key(FIRST, LAST)
    second = max(runs)
    log = "\n".join(stack.session.log(EVALUATION_DAG, second, _task(stack, second, "evaluate")))
    assert f"{FIRST} to {LAST} is evaluated already" in log
    assert "months: 5 scored, 1 not known yet; all of it lies in s3://deepfactor/evaluations/" in log


def test_a_month_is_scored_as_soon_as_its_result_is_known(stack: Stack, announce: Callable[[Month], None]) -> None:
    announce(LAST + 1)
    assert list(_settled(stack).values()) == ["success"] * 3
    evaluation = read_evaluation(stack.endpoint.open(), FIRST, LAST + 1)
    assert _states(evaluation.coverage)[LAST] == "scored"
    assert _states(evaluation.coverage)[LAST + 1] == "not known yet"
    found = find_evaluation(stack.endpoint.open(), FIRST, LAST + 1)
    assert found is not None
    assert _told(stack) == _extra(found)


def test_months_that_stand_still_are_not_waited_for(stack: Stack, announce: Callable[[Month], None]) -> None:
    stack.session.call("PATCH", f"/api/v2/dags/{DAG}", json={"is_paused": True})
    standing = _queued(stack, None)
    announce(LAST + 2)
    assert list(_settled(stack).values()) == ["success"] * 4
    assert stack.session.run(DAG, standing)["state"] == "queued"
    assert _states(read_evaluation(stack.endpoint.open(), FIRST, LAST + 2).coverage)[LAST + 1] == "scored"


def _queued(stack: Stack, due: str | None) -> str:
    """Return a run of a month that stays queued until it is due, or as long as the DAG is paused."""
    body = {"logical_date": None, "conf": {"month": str(LAST)}} | ({"run_after": due} if due else {})
    run = str(stack.session.call("POST", f"/api/v2/dags/{DAG}/dagRuns", json=body).json()["dag_run_id"])
    assert stack.session.run(DAG, run)["state"] == "queued"
    return run


def _end(stack: Stack, run: str) -> None:
    stack.session.call("DELETE", f"/api/v2/dags/{DAG}/dagRuns/{run}")


def _started(stack: Stack) -> dict[str, str]:
    """Return the state of each evaluation that months have started."""
    runs = stack.session.runs(EVALUATION_DAG)
    return {run["dag_run_id"]: run["state"] for run in runs if run["run_type"] == "asset_triggered"}


def _settled(stack: Stack) -> dict[str, str]:
    """Wait until nothing runs or will, and return the state of each evaluation that months have started."""
    waiting = f"/api/v2/dags/{EVALUATION_DAG}/assets/queuedEvents"

    def quiet() -> bool:
        # In this order: an event goes and its run comes in one transaction.
        gathered = stack.session.call("GET", waiting).json()["total_entries"]
        return gathered == 0 and set(_started(stack).values()) <= FINISHED

    _until(quiet, stack)
    return _started(stack)


def _until(condition: Callable[[], bool], stack: Stack) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, [
            (run, each.name, each.state) for run in _started(stack) for each in stack.session.tasks(EVALUATION_DAG, run)
        ]
        time.sleep(0.5)


def _task(stack: Stack, run: str, name: str) -> Any:
    return next(each for each in stack.session.tasks(EVALUATION_DAG, run) if each.task == name)


def _states(coverage: pl.DataFrame) -> dict[Month, str]:
    return {Month.containing(row["month"]): row["state"] for row in coverage.iter_rows(named=True)}


def _told(stack: Stack) -> dict[str, Any]:
    """Return what the newest event of the evaluation's own asset says."""
    query = {"name_pattern": "deepfactor_evaluation", "order_by": "-timestamp", "limit": 1}
    (event,) = stack.session.call("GET", "/api/v2/assets/events", params=query).json()["asset_events"]
    told: dict[str, Any] = event["extra"]
    return told


def _extra(manifest: EvaluationManifest) -> dict[str, Any]:
    return {
        "evaluation_id": manifest.evaluation_id,
        "from": str(manifest.first),
        "to": str(manifest.last),
        "scored": manifest.known,
    }
