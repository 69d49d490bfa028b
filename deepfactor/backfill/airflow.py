"""What a backfill asks of Airflow's REST API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from deepfactor.backfill.errors import BackfillError
from deepfactor.backfill.plan import Behaviour, Stretch
from deepfactor.months import Month
from deepfactor.stack.airflow_client import AirflowClient, AirflowRefused

_BACKFILLS = "/api/v2/backfills"

_DENIED = 403
_UNKNOWN = 404
_CONFLICT = 409

Action = Literal["pause", "unpause", "cancel"]


@dataclass(frozen=True)
class DagFacts:
    """What a backfill must know of a DAG.

    Attributes
    ----------
    max_active_runs
        Runs that the DAG allows at once, backfills apart.
    start
        Its start date: a run before it has no tasks, and succeeds.
    """

    max_active_runs: int
    start: datetime | None


@dataclass(frozen=True)
class Backfill:
    """A backfill as Airflow has it."""

    number: int
    first: Month
    last: Month
    is_paused: bool
    behaviour: str
    max_active: int
    conf: dict[str, Any]
    created: datetime
    completed: bool

    @classmethod
    def from_answer(cls, content: dict[str, Any]) -> Backfill:
        """Read Airflow's answer."""
        return cls(
            number=content["id"],
            first=_month(content["from_date"]),
            last=_month(content["to_date"]),
            is_paused=bool(content["is_paused"]),
            behaviour=content["reprocess_behavior"],
            max_active=content["max_active_runs"],
            conf=content["dag_run_conf"] or {},
            created=datetime.fromisoformat(content["created_at"]),
            completed=content["completed_at"] is not None,
        )

    def __str__(self) -> str:
        return f"backfill {self.number} ({self.first} … {self.last})"


class BackfillClient:
    """The backfills of one DAG.

    Parameters
    ----------
    session
        With the API server.
    dag
        The DAG's id.
    """

    def __init__(self, session: AirflowClient, dag: str) -> None:
        self.session = session
        self.dag = dag

    def facts(self) -> DagFacts:
        """Return what a backfill must know of the DAG.

        Raises
        ------
        BackfillError
            If Airflow does not know the DAG, the user may not see it, or it is paused.
        """
        try:
            content = self.session.call("GET", f"/api/v2/dags/{self.dag}/details").json()
        except AirflowRefused as error:
            if error.status == _UNKNOWN:
                raise BackfillError(
                    f"Airflow at {self.session.address} does not know the DAG {self.dag}: look for import errors in "
                    "its UI, or name another one with --dag"
                ) from None
            raise self._denied(error, "read") from None
        if content["is_paused"]:
            raise BackfillError(
                f"the DAG {self.dag} is paused, so none of its runs would start: unpause it in Airflow's UI or with "
                f"`airflow dags unpause {self.dag}`"
            )
        start = content["start_date"]
        return DagFacts(int(content["max_active_runs"] or 1), datetime.fromisoformat(start) if start else None)

    def active(self) -> Backfill | None:
        """Return the backfill that is not completed; Airflow allows one at a time."""
        query = {"dag_id": self.dag, "order_by": "-id", "limit": 10}
        try:
            found = self.session.call("GET", _BACKFILLS, params=query).json()["backfills"]
        except AirflowRefused as error:
            raise self._denied(error, "read its backfills of") from None
        backfills = (Backfill.from_answer(each) for each in found)
        return next((each for each in backfills if not each.completed), None)

    def read(self, number: int) -> Backfill:
        """Return a backfill by its number."""
        return Backfill.from_answer(self.session.call("GET", f"{_BACKFILLS}/{number}").json())

    def apply(self, action: Action, backfill: Backfill) -> Backfill:
        """Pause a backfill, let it go on, or cancel it: then what has begun ends, and the rest is marked as failed."""
        try:
            return Backfill.from_answer(self.session.call("PUT", f"{_BACKFILLS}/{backfill.number}/{action}").json())
        except AirflowRefused as error:
            raise self._denied(error, f"{action} backfills of") from None

    def scheduled(self, months: Sequence[Month]) -> dict[Month, datetime]:
        """Return the logical date of every month of a span that the schedule has, and of which no run is active."""
        body = self._body(Stretch(months[0], months[-1], Behaviour.COMPLETED, tuple(months)))
        try:
            found = self.session.call("POST", f"{_BACKFILLS}/dry_run", json=body).json()["backfills"]
        except AirflowRefused as error:
            raise self._denied(error, "backfill") from None
        dates = (datetime.fromisoformat(each["logical_date"]) for each in found)
        return {Month.containing(each.date()): each for each in dates}

    def start(self, stretch: Stretch, conf: dict[str, Any], max_active: int) -> Backfill:
        """Start a backfill.

        Raises
        ------
        BackfillError
            If another one has been started meanwhile, or the user may not.
        """
        body = self._body(stretch) | {"dag_run_conf": conf, "max_active_runs": max_active}
        try:
            return Backfill.from_answer(self.session.call("POST", _BACKFILLS, json=body).json())
        except AirflowRefused as error:
            if error.status == _CONFLICT:
                raise BackfillError(
                    f"somebody else has started a backfill of {self.dag} meanwhile: the same command follows it"
                ) from None
            raise self._denied(error, "backfill") from None

    def runs(self, months: Sequence[Month], scheduled: Mapping[Month, datetime]) -> dict[Month, dict[str, Any]]:
        """Return Airflow's own run of each month that has one.

        Parameters
        ----------
        months
            A span of consecutive months.
        scheduled
            Of :meth:`scheduled`: a run by hand on another day of the month is not the month's.
        """
        runs = {}
        for run in self.session.runs_between(self.dag, months[0].first_day, months[-1].last_day):
            logical_date = datetime.fromisoformat(run["logical_date"])
            month = Month.containing(logical_date.date())
            if scheduled.get(month, logical_date) == logical_date:
                runs[month] = run
        return runs

    def _body(self, stretch: Stretch) -> dict[str, Any]:
        return {
            "dag_id": self.dag,
            # To the last day: a run's logical date is the day of the month's last session.
            "from_date": f"{stretch.first.first_day}T00:00:00Z",
            "to_date": f"{stretch.last.last_day}T00:00:00Z",
            "reprocess_behavior": stretch.behaviour.word,
        }

    def _denied(self, error: AirflowRefused, what: str) -> Exception:
        if error.status != _DENIED:
            return error
        return BackfillError(
            f"Airflow at {self.session.address} does not let this user {what} {self.dag}: ask its administrator for "
            "the right to read and to backfill it, or log in as somebody else"
        )


def _month(moment: str) -> Month:
    return Month.containing(datetime.fromisoformat(moment).date())
