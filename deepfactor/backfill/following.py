"""Looking at a backfill until it is completed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deepfactor.backfill.airflow import Backfill, BackfillClient
from deepfactor.backfill.patience import patiently
from deepfactor.months import Month

_INTERVAL = 2.0


@dataclass(frozen=True)
class Progress:
    """How far a backfill is.

    Attributes
    ----------
    backfill
        As Airflow has it.
    months, done, failed, running
        Number of its months, and of those that ended well, that failed, and that Airflow works on.
    seconds_left
        As the months so far went; none before the first one has ended.
    ended
        Months that ended since the last look, each with its state.
    """

    backfill: Backfill
    months: int
    done: int
    failed: int
    running: int
    seconds_left: float | None
    ended: tuple[tuple[Month, str], ...] = ()


def follow(
    client: BackfillClient,
    backfill: Backfill,
    months: Sequence[Month],
    scheduled: Mapping[Month, datetime],
    report: Callable[[Progress], None],
) -> Backfill:
    """Report a backfill's progress until it is completed, and return it.

    Parameters
    ----------
    client, backfill
        What to look at.
    months
        The months that it runs, oldest first.
    scheduled
        Their logical dates.
    report
        Called after each look.

    Raises
    ------
    AirflowUnreachable
        If the API server does not answer for three minutes. The backfill goes on all the same.
    """
    number, ended = backfill.number, set[Month]()
    while True:
        # In this order: what is completed has all its states.
        backfill, runs = patiently(lambda: (client.read(number), client.runs(months, scheduled)))
        progress = progress_of(backfill, months, runs, ended, datetime.now(UTC))
        ended |= {month for month, _ in progress.ended}
        report(progress)
        if backfill.completed:
            return backfill
        time.sleep(_INTERVAL)


def progress_of(
    backfill: Backfill,
    months: Sequence[Month],
    runs: Mapping[Month, Mapping[str, Any]],
    known: set[Month],
    now: datetime,
) -> Progress:
    """Return how far a backfill is.

    Parameters
    ----------
    backfill, months
        As in :func:`follow`.
    runs
        Airflow's run of each month that has one.
    known
        Months of which the end has been reported.
    now
        When it was looked.
    """
    states = {month: runs[month]["state"] if month in runs else None for month in months}
    over = {month: str(state) for month, state in states.items() if state in ("success", "failed")}
    left = len(months) - len(over)
    # Airflow says when a run began to be worked on; what was queued together begins one after the other.
    starts = [_moment(run["start_date"]) for month, run in runs.items() if month in over and run["start_date"]]
    pace = max((now - min(starts)).total_seconds(), 0.0) / len(over) if starts else None
    return Progress(
        backfill=backfill,
        months=len(months),
        done=sum(state == "success" for state in over.values()),
        failed=sum(state == "failed" for state in over.values()),
        running=sum(state == "running" for state in states.values()),
        seconds_left=None if pace is None else pace * left,
        ended=tuple((month, state) for month, state in sorted(over.items()) if month not in known),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
