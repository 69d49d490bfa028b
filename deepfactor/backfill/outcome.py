"""What came of each month: published, or which task failed, why, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepfactor.backfill.airflow import BackfillClient
from deepfactor.backfill.plan import MonthStatus
from deepfactor.months import Month
from deepfactor.stack.airflow_client import TaskState

_AGAIN = "then `--reprocess failed`"
# What helps against a failure of a step, where its message does not say it better.
_ADVICE = {
    "ingest": f"complete the delivery, {_AGAIN}",
    "validate": f"look at the month's Data Docs and correct the delivery, {_AGAIN}",
    "bless": f"look at the gates in the run's gates.json, {_AGAIN}",
    "train": f"read the task's log; with too little memory a lower --max-active, {_AGAIN}",
}
_CONFLICT = "is already published as run"


@dataclass(frozen=True)
class MonthOutcome:
    """What came of a month.

    Attributes
    ----------
    month
        The as-of month.
    published
        Whether it is published, as far as one can see.
    run
        Id of Airflow's run, none if there is none.
    state
        The run's state.
    task
        The task that failed.
    reason
        Its last error.
    advice
        What to do.
    """

    month: Month
    published: bool
    run: str | None
    state: str | None
    task: str | None = None
    reason: str | None = None
    advice: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "month": str(self.month),
            "published": self.published,
            "run": self.run,
            "state": self.state,
            "task": self.task,
            "reason": self.reason,
            "advice": self.advice,
        }


def outcomes(client: BackfillClient, statuses: Sequence[MonthStatus]) -> tuple[MonthOutcome, ...]:
    """Return what came of each month, with the reason from the failed task's log."""
    return tuple(_outcome(client, status) for status in statuses)


def _outcome(client: BackfillClient, status: MonthStatus) -> MonthOutcome:
    if status.done:
        return MonthOutcome(status.month, True, status.run, status.state)
    task, reason, advice = _failure(client, status)
    return MonthOutcome(status.month, False, status.run, status.state, task, reason, advice)


def _failure(client: BackfillClient, status: MonthStatus) -> tuple[str | None, str, str]:
    if status.run is None:
        return None, "Airflow has no run of it", "call the command again"
    if status.active:
        return None, f"Airflow's run is {status.state}", "call the command again to wait for it"
    if status.state == "success":
        reason = "Airflow's run succeeded, but the store has no manifest"
        return None, reason, "is it the store of this Airflow? Otherwise call the command again: it runs the month anew"
    failed = [each for each in client.session.tasks(client.dag, status.run) if each.state == "failed"]
    if not failed:
        return None, "the run ended before a task failed: cancelled, or out of time", "`--reprocess failed`"
    first = min(failed, key=_start)
    reason = client.session.failure(client.dag, status.run, first) or "its log names no error"
    if _CONFLICT in reason:
        return first.name, reason, "`--reprocess failed --replace` publishes this run in its place"
    return first.name, reason, _ADVICE.get(first.task, f"read the task's log, {_AGAIN}")


def _start(task: TaskState) -> float:
    return task.started.timestamp() if task.started else 0.0
