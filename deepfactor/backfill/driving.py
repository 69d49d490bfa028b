"""A backfill from the plan to the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from deepfactor.backfill.airflow import Backfill, BackfillClient
from deepfactor.backfill.errors import BackfillError
from deepfactor.backfill.following import Progress, follow
from deepfactor.backfill.outcome import MonthOutcome, outcomes
from deepfactor.backfill.patience import patiently
from deepfactor.backfill.plan import Behaviour, MonthStatus, Reprocess, Stretch, stretches
from deepfactor.backfill.published import month_statuses, scheduled_dates
from deepfactor.months import Month, month_range
from deepfactor.stack.airflow_client import AirflowUnreachable
from deepfactor.store import Store


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    months
        The as-of months, consecutive, oldest first.
    reprocess
        Which months that have a run are run again.
    max_active
        Months at once.
    conf
        Parameters of every run; what is not named has the DAG's default.
    """

    months: tuple[Month, ...]
    max_active: int
    reprocess: Reprocess = "none"
    conf: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What there is, and what would be done.

    Attributes
    ----------
    statuses
        What is known of each month.
    stretches
        The backfills to start, one after the other.
    active
        The backfill that Airflow already has; it is followed first.
    scheduled
        Logical dates.
    """

    statuses: tuple[MonthStatus, ...]
    stretches: tuple[Stretch, ...]
    active: Backfill | None
    scheduled: Mapping[Month, datetime]


class Display(Protocol):
    """Shows what happens."""

    def begin(self, backfill: Backfill, months: Sequence[Month], *, attached: bool) -> None:
        """Tell which backfill is followed, and whether it was there before."""

    def show(self, progress: Progress) -> None:
        """Tell how far it is."""


def plan_backfill(client: BackfillClient, request: Request, store: Store | None) -> Plan:
    """Return what there is and what would be done, without doing it.

    Raises
    ------
    BackfillError
        If the schedule lacks a month.
    """
    scheduled = scheduled_dates(client, request.months)
    statuses = month_statuses(request.months, client.runs(request.months, scheduled), store)
    return Plan(statuses, stretches(statuses, request.reprocess), client.active(), scheduled)


def run_backfill(
    client: BackfillClient, request: Request, store: Store | None, display: Display
) -> tuple[MonthOutcome, ...]:
    """Follow the backfill that is there, start what is missing then, and return what came of each month.

    Parameters
    ----------
    client
        Of the DAG.
    request
        What is asked for.
    store
        Where the months are published; none: Airflow's word counts.
    display
        Shows what happens.

    Raises
    ------
    BackfillError
        If the schedule lacks a month, the backfill that is there is paused, or somebody else is faster.
    AirflowUnreachable, StoreUnreachable
        If the API server or the store is gone for long.
    """
    active = patiently(client.active)
    if active is not None:
        _attach(client, active, display)
    plan = patiently(lambda: plan_backfill(client, request, store))
    for stretch in plan.stretches:
        _run(client, stretch, request, plan.scheduled, display)
    # An API server that dies while it makes the runs of a backfill leaves some of them out.
    left_out = patiently(lambda: plan_backfill(client, replace(request, reprocess="none"), store)).stretches
    for stretch in left_out:
        if stretch.behaviour is Behaviour.NONE:
            _run(client, stretch, request, plan.scheduled, display)
    return patiently(
        lambda: outcomes(client, month_statuses(request.months, client.runs(request.months, plan.scheduled), store))
    )


def _run(
    client: BackfillClient, stretch: Stretch, request: Request, scheduled: Mapping[Month, datetime], display: Display
) -> None:
    try:
        backfill = client.start(stretch, request.conf, request.max_active)
    except AirflowUnreachable:
        # It may have been started all the same: the answer is lost.
        active = patiently(client.active)
        backfill = active or client.start(stretch, request.conf, request.max_active)
    display.begin(backfill, stretch.months, attached=False)
    follow(client, backfill, stretch.months, scheduled, display.show)


def _attach(client: BackfillClient, backfill: Backfill, display: Display) -> None:
    if backfill.is_paused:
        raise BackfillError(f"{backfill} is paused: --unpause lets it go on, --cancel ends it")
    span = tuple(month_range(backfill.first, backfill.last))
    scheduled = patiently(lambda: client.scheduled(span))
    runs = patiently(lambda: client.runs(span, scheduled))
    # Airflow's answers do not say to which backfill a run belongs; one that was started just now has none yet.
    months = [month for month, run in runs.items() if _belongs(run, backfill)] or span
    display.begin(backfill, months, attached=True)
    follow(client, backfill, months, scheduled, display.show)


def _belongs(run: Mapping[str, Any], backfill: Backfill) -> bool:
    if run["run_type"] != "backfill":
        return False
    return run["end_date"] is None or datetime.fromisoformat(run["end_date"]) >= backfill.created
