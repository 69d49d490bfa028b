"""When a month is late: a deadline for Airflow, and what happens when it is missed."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pendulum
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.deadline import BaseDeadlineReference
from deepfactor_alerts import Alert, run_url, send
from trading_calendar import TradingCalendarTimetable, time_of_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from deepfactor.months import Month

LOGGER = logging.getLogger(__name__)

_SCHEDULE = ("calendar", "at", "timezone", "last_month")


class PublishedBy(BaseDeadlineReference):
    """The first time of day after a month is due by which it has to be published.

    Only the schedule's own runs have a deadline, so that a month is told of once, and none if it has passed when the
    run is made: a backfill of ten years, or a month that is caught up with, is late for nobody.

    Parameters
    ----------
    by
        Time of day, ``HH:MM``, in the zone of the schedule.
    schedule
        Parameters of the ``TradingCalendarTimetable`` by which the months are due.

    Raises
    ------
    AirflowTimetableInvalid
        If the time of day is none.
    """

    required_kwargs: ClassVar = {"dag_id", "run_id"}

    def __init__(self, by: str, schedule: Mapping[str, str | None]) -> None:
        self.by = time_of_day(by)
        self.schedule = dict(schedule)

    def serialize_reference(self) -> dict[str, Any]:
        """Return the parameters."""
        return super().serialize_reference() | {"by": f"{self.by:%H:%M}"} | self.schedule

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> PublishedBy:
        """Return the reference with these parameters."""
        return cls(reference_data["by"], {name: reference_data[name] for name in _SCHEDULE if name in reference_data})

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str) -> datetime | None:
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
        if run.run_type != "scheduled":
            return None
        timetable = TradingCalendarTimetable(**self.schedule)
        deadline = self.deadline(timetable.due(timetable.month(run)))
        return deadline if deadline > pendulum.now("UTC") else None

    def deadline(self, due: datetime) -> datetime:
        """Return the deadline of a month that is due then."""
        same_day = datetime.combine(due.date(), self.by, due.tzinfo)
        return same_day if same_day > due else datetime.combine(due.date() + timedelta(days=1), self.by, due.tzinfo)


async def month_is_late(schedule: Mapping[str, str | None], context: Mapping[str, Any]) -> str:
    """Send the alert, unless another run has published the month; called by the triggerer.

    Parameters
    ----------
    schedule
        Of the months.
    context
        What Airflow tells of a missed deadline: the run, as the API describes it, and the deadline.
    """
    # The calendar, stores and webhooks know nothing of async: here they would stop every other trigger.
    return await asyncio.to_thread(_tell_unless_published, TradingCalendarTimetable(**schedule), context)


def _tell_unless_published(timetable: TradingCalendarTimetable, context: Mapping[str, Any]) -> str:
    deadline = pendulum.parse(str(context["deadline"]["deadline_time"])).in_timezone(timetable.timezone)
    run, month = context["dag_run"], timetable.last_due(deadline)
    published = _is_published(month)
    if published:
        LOGGER.info("%s is published, though not by %s", month, run["dag_run_id"])
        return f"{month} is published"
    doubt = "" if published is False else ", as far as can be told: the store cannot be read"
    alert = Alert(
        f"{run['dag_id']} {month} is not published by {deadline:%Y-%m-%d %H:%M} {timetable.timezone.name}{doubt}",
        f"Its run is {run['state']}.\nRun: {run_url(run['dag_id'], run['dag_run_id'])}\n"
        "Look there for the task that waits, works or failed: ingest waits for the vendor's delivery.",
    )
    send(alert)
    return alert.subject


def _is_published(month: Month) -> bool | None:
    """Tell whether a month is published, none if the store cannot be asked."""
    from deepfactor_store import open_store

    from deepfactor.errors import DeepfactorError
    from deepfactor.publication import manifest_key

    try:
        return open_store().exists(manifest_key(month))
    except (DeepfactorError, OSError) as error:
        LOGGER.warning("whether %s is published is not known: %s", month, error)
        return None


class LatenessPlugin(AirflowPlugin):
    """Makes the deadline known to Airflow, which refuses to serialize any other."""

    name = "deepfactor_lateness"
    deadline_references: ClassVar = [PublishedBy]
