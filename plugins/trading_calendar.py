"""The schedule: one run a month, at a time of day on the exchange's last session.

Schedulers, DAG processors and API servers load this file, and so does every task with its DAG: nothing of the library
is imported at the top, and the calendar itself (``exchange_calendars``, and with it pandas) where a date is asked for.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pendulum
from airflow.exceptions import AirflowTimetableInvalid
from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, Timetable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import time

    from airflow.sdk.types import DagRunProtocol as DagRun
    from airflow.timetables.base import TimeRestriction
    from pendulum.tz.timezone import FixedTimezone, Timezone

    from deepfactor.months import Month


class TradingCalendarTimetable(Timetable):
    """One run for each month, due at a time of day on the exchange's last session of that month.

    A run's logical date, which is the start of its data interval, is midnight UTC of the session's day; the interval
    ends when the run is due. A last session is never the first of a month, so the logical date lies in the run's month
    in whatever time zone it is read, and days written without one mean the same everywhere: a backfill from 2006-03-01
    to 2016-02-29 has the months 2006-03 … 2016-02.

    A run that somebody triggers has the interval of the last month that was due at its logical date. A logical date
    that a month has itself is that month's, even before it is due: otherwise a run by hand could take the date, and the
    scheduler would take the month for done.

    Beyond the published sessions the exchange's rules tell, and then the last weekday
    (:func:`deepfactor.months.planned_session`). Airflow asks again whenever it parses the DAG, so what is published
    later is followed.

    Parameters
    ----------
    calendar
        Code of the exchange, as ``exchange_calendars`` has it.
    at
        Time of day at which a run is due, ``HH:MM``.
    timezone
        The zone of that time, such as ``Asia/Tokyo``.
    last_month
        The last month that has a run, ``YYYY-MM``; none: the schedule has no end. A DAG's ``end_date`` would also keep
        the tasks of every run from starting whose logical date is later.

    Raises
    ------
    AirflowTimetableInvalid
        If a parameter is not of this form. Whether the calendar is known is looked up when the DAG is serialized.
    """

    def __init__(
        self,
        calendar: str = "XTKS",
        at: str = "18:00",
        timezone: str = "Asia/Tokyo",
        last_month: str | None = None,
    ) -> None:
        self._calendar = calendar
        self._at = time_of_day(at)
        self._timezone = _zone(timezone)
        self._last_month = _month(last_month) if last_month is not None else None
        self.description = (
            f"Once a month, at {self._at:%H:%M} {self._timezone.name} on the month's last session of the exchange "
            f"{calendar}; the run is that month's."
        )

    @property
    def summary(self) -> str:
        """What the UI shows beside the DAG."""
        end = f", until {self._last_month}" if self._last_month is not None else ""
        return f"{self._at:%H:%M} {self._timezone.name}, last {self._calendar} session of the month{end}"

    def serialize(self) -> dict[str, Any]:
        """Return the parameters.

        Raises
        ------
        AirflowTimetableInvalid
            If the calendar is unknown. Here, because only the DAG processor comes here: tasks only validate.
        """
        from deepfactor.errors import ConfigurationError
        from deepfactor.months import Month, planned_session

        try:
            planned_session(Month.of(2000, 1), self._calendar)
        except ConfigurationError as error:
            raise AirflowTimetableInvalid(str(error)) from None
        return {
            "calendar": self._calendar,
            "at": f"{self._at:%H:%M}",
            "timezone": self._timezone.name,
            "last_month": str(self._last_month) if self._last_month is not None else None,
        }

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> TradingCalendarTimetable:
        """Return the timetable with these parameters."""
        return cls(**data)

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        """Return the run after the last one; without catch-up no month before the last one that is due."""
        candidates = []
        if last_automated_data_interval is not None:
            candidates.append(self._month_at(last_automated_data_interval.start) + 1)
        if restriction.earliest is not None:
            candidates.append(self._first_month(restriction.earliest))
        if not restriction.catchup:
            candidates.append(self.last_due(pendulum.now("UTC")))
        if not candidates:
            return None
        month = max(candidates)
        interval = self._interval(month)
        if restriction.latest is not None and interval.start > restriction.latest:
            return None
        if self._last_month is not None and month > self._last_month:
            return None
        return DagRunInfo(run_after=interval.end, data_interval=interval)

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        """Return the interval of the month that a run with this logical date computes."""
        month = self._month_of_date(run_after) or self.last_due(run_after)
        return self._interval(month if self._last_month is None else min(month, self._last_month))

    def run_info_from_dag_run(self, *, dag_run: DagRun) -> DagRunInfo:
        """Return what the scheduler goes on from, be it a run by hand that has taken a month's logical date."""
        interval = self._interval(self.month(dag_run))
        return DagRunInfo(run_after=interval.end, data_interval=interval)

    def month(self, run: DagRun) -> Month:
        """Return the month that a run computes, however it was started.

        It is the month whose logical date the run has, else that of its data interval, but for two whims of Airflow's.
        A run that is triggered without a logical date has no interval. And ``airflow dags trigger`` gives the interval
        of the moment at which somebody triggers, also where a logical date is given.

        Parameters
        ----------
        run
            As a task has it in its context, or as the database has it.
        """
        if run.logical_date is not None and (month := self._month_of_date(run.logical_date)):
            return month
        start, end = run.data_interval_start, run.data_interval_end
        if start is None or (start, end) == self.infer_manual_data_interval(run_after=run.run_after):
            start, _ = self.infer_manual_data_interval(run_after=run.logical_date or run.run_after)
        return self._month_at(start)

    @property
    def timezone(self) -> Timezone | FixedTimezone:
        """The zone of the time of day at which a run is due."""
        return self._timezone

    def due(self, month: Month) -> datetime:
        """Return when the run of a month is due, in the schedule's time zone."""
        return self._interval(month).end.in_timezone(self._timezone)

    def last_due(self, moment: datetime) -> Month:
        """Return the last month that was due at a moment."""
        month = self._month_at(moment)
        return month if self._interval(month).end <= moment else month + -1

    def _interval(self, month: Month) -> DataInterval:
        from deepfactor.months import planned_session

        day = planned_session(month, self._calendar)
        due = pendulum.datetime(day.year, day.month, day.day, self._at.hour, self._at.minute, tz=self._timezone)
        end = due.in_timezone("UTC")
        # East of Greenwich an early time of day is before midnight UTC.
        return DataInterval(start=min(pendulum.datetime(day.year, day.month, day.day, tz="UTC"), end), end=end)

    def _month_at(self, moment: datetime) -> Month:
        from deepfactor.months import Month

        return Month.containing(moment.astimezone(self._timezone).date())

    def _month_of_date(self, logical_date: datetime) -> Month | None:
        month = self._month_at(logical_date)
        return month if self._interval(month).start == logical_date else None

    def _first_month(self, earliest: datetime) -> Month:
        month = self._month_at(earliest)
        return month if self._interval(month).start >= earliest else month + 1


def time_of_day(text: str) -> time:
    """Return the time of day that is written ``HH:MM``.

    Raises
    ------
    AirflowTimetableInvalid
        If it is none.
    """
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - the zone is the next parameter
    except ValueError:
        raise AirflowTimetableInvalid(f"{text!r} is not a time of day: write it as HH:MM, for example 18:00") from None


def _zone(name: str) -> Timezone | FixedTimezone:
    try:
        return pendulum.timezone(name)
    except (ValueError, TypeError):
        raise AirflowTimetableInvalid(f"unknown time zone {name!r}: use a name such as Asia/Tokyo") from None


def _month(text: str) -> Month:
    from deepfactor.errors import ConfigurationError
    from deepfactor.months import Month

    try:
        return Month.parse(text)
    except ConfigurationError as error:
        raise AirflowTimetableInvalid(str(error)) from None


class TradingCalendarPlugin(AirflowPlugin):
    """Makes the timetable known to Airflow, which refuses to serialize any other."""

    name = "trading_calendar"
    timetables: ClassVar = [TradingCalendarTimetable]
