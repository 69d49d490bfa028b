from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from deepfactor.backfill.airflow import Backfill
from deepfactor.backfill.following import progress_of
from deepfactor.backfill.terminal import counts, left
from deepfactor.months import Month, month_range

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MONTHS = list(month_range(Month.parse("2015-11"), Month.parse("2016-02")))


def backfill(paused: bool = False, completed: bool = False) -> Backfill:
    return Backfill(7, MONTHS[0], MONTHS[-1], paused, "none", 2, {}, NOW, completed)


def runs(*states: str | None) -> dict[Month, dict[str, Any]]:
    started = (NOW - timedelta(minutes=10)).isoformat()
    return {
        month: {"state": state, "start_date": started}
        for month, state in zip(MONTHS, states, strict=True)
        if state is not None
    }


def test_nothing_has_ended_yet() -> None:
    told = progress_of(backfill(), MONTHS, runs("running", "queued", None, None), set(), NOW)
    assert (told.done, told.failed, told.running, told.seconds_left, told.ended) == (0, 0, 1, None, ())
    assert left(told) == "time left not known yet"


def test_the_time_left_is_that_of_the_months_so_far() -> None:
    told = progress_of(backfill(), MONTHS, runs("success", "failed", "running", "queued"), {MONTHS[0]}, NOW)
    # Two months in ten minutes, two to go.
    assert told.seconds_left == 600
    assert told.ended == ((MONTHS[1], "failed"),)
    assert counts(told) == "1 of 4 months done, 1 failed, 1 running"
    assert left(told) == "0:10:00 left"


def test_a_backfill_that_stands_still_says_so() -> None:
    states = runs("success", "queued", "queued", "queued")
    assert left(progress_of(backfill(paused=True), MONTHS, states, set(), NOW)) == "paused"
    assert left(progress_of(backfill(completed=True), MONTHS, states, set(), NOW)) == "completed"
