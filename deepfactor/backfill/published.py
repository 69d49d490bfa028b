"""What is published, and what Airflow knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from deepfactor.backfill.airflow import BackfillClient
from deepfactor.backfill.errors import BackfillError
from deepfactor.backfill.plan import ACTIVE, MonthStatus
from deepfactor.months import Month
from deepfactor.publication import published_months
from deepfactor.store import Store


def scheduled_dates(client: BackfillClient, months: Sequence[Month]) -> dict[Month, datetime]:
    """Return the logical date of each month, but for those whose run is active.

    Raises
    ------
    BackfillError
        If the schedule lacks a month.
    """
    start = client.facts().start
    # Airflow would make runs before the DAG's start, without any task.
    dates = {month: date for month, date in client.scheduled(months).items() if start is None or date >= start}
    active = {month for month, run in client.runs(months, dates).items() if run["state"] in ACTIVE}
    lacking = [month for month in months if month not in dates and month not in active]
    if lacking:
        there = sorted({*dates, *active})
        begins = f"begins with the DAG's start date {start.date()}" if start else "has no beginning"
        raise BackfillError(
            f"the schedule of {client.dag} has no {spans(lacking)}, but {spans(there) or 'none of these months'}: it "
            f"{begins}, and ends with the last month whose last session is over; choose --from and --to within"
        )
    return dates


def month_statuses(
    months: Sequence[Month], runs: Mapping[Month, Mapping[str, Any]], store: Store | None
) -> tuple[MonthStatus, ...]:
    """Return what is known of each month.

    Parameters
    ----------
    months
        The months, oldest first.
    runs
        Airflow's run of each month that has one.
    store
        Where the months are published; none: nobody can tell but Airflow.
    """
    manifests = None if store is None else set(published_months(store))
    return tuple(
        MonthStatus(
            month=month,
            run=runs[month]["dag_run_id"] if month in runs else None,
            state=runs[month]["state"] if month in runs else None,
            published=None if manifests is None else month in manifests,
        )
        for month in months
    )


def spans(months: Sequence[Month]) -> str:
    """Write months, oldest first, as spans.

    >>> spans([Month.parse("2015-11"), Month.parse("2015-12"), Month.parse("2016-02")])
    '2015-11 … 2015-12, 2016-02'
    """
    found: list[list[Month]] = []
    for month in months:
        if found and month - found[-1][-1] == 1:
            found[-1] = [found[-1][0], month]
        else:
            found.append([month])
    return ", ".join(" … ".join(map(str, ends)) for ends in found)
