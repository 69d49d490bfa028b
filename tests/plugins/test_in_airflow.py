"""Every way of starting a run, through Airflow's own commands on a database of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deepfactor.months import Month, last_session, month_range
from deepfactor.stack.layout import CHECKOUT

DAG = """
from datetime import datetime, timedelta, UTC
from pathlib import Path

from airflow.sdk import AsyncCallback, DeadlineAlert, dag, task
from deepfactor_lateness import PublishedBy, month_is_late
from trading_calendar import TradingCalendarTimetable

DUE = {"calendar": "XTKS", "at": "18:00", "timezone": "Asia/Tokyo", "last_month": None}
SCHEDULE = TradingCalendarTimetable(**DUE)
START = datetime(2006, 3, 1, tzinfo=UTC)
DEADLINE = DeadlineAlert(PublishedBy("08:00", DUE), timedelta(0), AsyncCallback(month_is_late, {"schedule": DUE}))


@dag(schedule=SCHEDULE, start_date=START, catchup=True, deadline=DEADLINE)
def mornings():
    @task
    def nothing():
        pass

    nothing()


mornings()


@dag(schedule=SCHEDULE, start_date=START, catchup=True)
def months():
    @task
    def note(**context):
        Path(__file__).with_name("month").write_text(str(SCHEDULE.month(context["dag_run"])))

    note()


months()
"""

# One process: to start Airflow takes longer than each command does.
COMMANDS = """
import json, pathlib, sys
from datetime import datetime, UTC
from airflow.cli.cli_parser import get_parser

parser = get_parser()


def command(*arguments):
    given = parser.parse_args(arguments)
    given.func(given)


command("db", "migrate")
command("dags", "reserialize")
command("backfill", "create", "--dag-id", "months", "--from-date", "2015-12-01", "--to-date", "2016-02-29")
command("backfill", "create", "--dag-id", "mornings", "--from-date", "2015-12-01", "--to-date", "2016-02-29")
command("dags", "trigger", "mornings")
command("dags", "trigger", "months", "--run-id", "with-date", "--logical-date", "2014-03-31T08:59:00+00:00")
command("dags", "trigger", "months", "--run-id", "without-date")
command("dags", "trigger", "months", "--run-id", "own-date", "--logical-date", "2013-05-31")
command("dags", "trigger", "months", "--run-id", "now", "--logical-date", sys.argv[2])
command("dags", "test", "months", "2014-03-01")

from airflow.api_fastapi.common.parameters import Range, RangeFilter
from airflow.api_fastapi.core_api.datamodels.dag_run import TriggerDAGRunPostBody
from airflow.api_fastapi.core_api.services.ui.calendar import CalendarService
from airflow.models import DagModel, DagRun
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.timetables.base import DagRunInfo
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType


def calendar(year):
    span = Range(
        lower_bound_gte=datetime(year, 1, 1, tzinfo=UTC),
        lower_bound_gt=None,
        upper_bound_lte=None,
        upper_bound_lt=datetime(year + 1, 1, 1, tzinfo=UTC),
    )
    shown = CalendarService().get_calendar_data(
        "months", session, dag, RangeFilter(span, DagRun.logical_date), RangeFilter(None, DagRun.partition_date)
    )
    return [(each.date.date().isoformat(), each.state) for each in shown.dag_runs]


with create_session() as session:
    dag = SerializedDagModel.get_dag("months", session=session)
    model = session.get(DagModel, "months")
    runs = [
        (run.run_id, str(dag.timetable.month(run)), run.logical_date and run.logical_date.isoformat())
        for run in session.query(DagRun).filter_by(dag_id="months").order_by(DagRun.id)
    ]
    posted = TriggerDAGRunPostBody(logical_date="2016-03-01T00:00:00+09:00").validate_context(dag)
    found = {
        "tested": pathlib.Path(sys.argv[1], "month").read_text(),
        "runs": runs,
        "next": [model.next_dagrun.isoformat(), model.next_dagrun_create_after.isoformat()],
        "summary": model.timetable_summary,
        "past": calendar(2016),
        "present": calendar(datetime.fromisoformat(sys.argv[2]).year),
        "posted": posted["data_interval"].start.isoformat(),
    }

    # As the scheduler does: a month that it catches up with, and the one that comes next.
    dag = SerializedDagModel.get_dag("mornings", session=session)
    for moment in ("2016-03-01T00:00:00+00:00", sys.argv[2]):
        last = dag.timetable.infer_manual_data_interval(run_after=datetime.fromisoformat(moment))
        info = dag.next_dagrun_info(last_automated_run_info=DagRunInfo(run_after=last.end, data_interval=last))
        dag.create_dagrun(
            run_id=f"scheduled__{info.run_after.isoformat()}",
            logical_date=info.logical_date,
            data_interval=info.data_interval,
            run_after=info.run_after,
            run_type=DagRunType.SCHEDULED,
            triggered_by=DagRunTriggeredByType.TIMETABLE,
            state=DagRunState.QUEUED,
            session=session,
        )
    # Somebody who starts that month by hand looks at it.
    dag.create_dagrun(
        run_id="by-hand",
        run_after=info.run_after,
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.REST_API,
        state=DagRunState.QUEUED,
        session=session,
    )
    session.flush()
    found["mornings"] = sorted(run.run_type for run in session.query(DagRun).filter_by(dag_id="mornings"))
    found["deadlines"] = [
        (each.dagrun.run_id, each.deadline_time.isoformat()) for each in session.query(Deadline)
    ]
    print(json.dumps(found))
"""

NOW = datetime.now(UTC)


def due(month: Month) -> datetime:
    """When the run of a month is due."""
    return datetime.combine(last_session(month), time(18), ZoneInfo("Asia/Tokyo"))


def last_due() -> Month:
    """The last month whose run is due."""
    month = Month.containing(NOW.astimezone(ZoneInfo("Asia/Tokyo")).date())
    return month if due(month) <= NOW else month + -1


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow has made of the commands."""
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    (dags / "months.py").write_text(DAG, encoding="utf-8")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # The default asks the name service, which a laptop may not have.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [sys.executable, "-c", COMMANDS, str(dags), NOW.isoformat()]
    run = subprocess.run(command, env=inherited | settings, capture_output=True, text=True, cwd=home)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_a_backfill_makes_exactly_its_months(seen: dict[str, Any]) -> None:
    assert [run for run in seen["runs"] if run[0].startswith("backfill")] == [
        ["backfill__2015-12-30T09:00:00+00:00", "2015-12", "2015-12-30T00:00:00+00:00"],
        ["backfill__2016-01-29T09:00:00+00:00", "2016-01", "2016-01-29T00:00:00+00:00"],
        ["backfill__2016-02-29T09:00:00+00:00", "2016-02", "2016-02-29T00:00:00+00:00"],
    ]


def test_a_run_by_hand_computes_the_last_month_that_was_due(seen: dict[str, Any]) -> None:
    months = {name: month for name, month, _ in seen["runs"]}
    assert months["with-date"] == "2014-02"
    assert months["own-date"] == "2013-05"
    assert months["without-date"] == months["now"] == str(last_due())
    assert seen["posted"] == "2016-02-29T00:00:00+00:00"


def test_a_test_run_computes_the_last_month_that_was_due(seen: dict[str, Any]) -> None:
    assert seen["tested"] == "2014-02"


def test_no_two_runs_have_the_same_date(seen: dict[str, Any]) -> None:
    dates = [date for _, _, date in seen["runs"] if date]
    assert len(set(dates)) == len(dates) == 7


def test_the_scheduler_knows_what_is_next(seen: dict[str, Any]) -> None:
    # The newest run that Airflow has made by itself is that of 2016-02, from the backfill.
    assert seen["next"] == ["2016-03-31T00:00:00+00:00", "2016-03-31T09:00:00+00:00"]
    assert seen["summary"] == "18:00 Asia/Tokyo, last XTKS session of the month"


def test_the_calendar_shows_each_run_on_the_day_of_its_session(seen: dict[str, Any]) -> None:
    assert seen["past"] == [["2016-01-29", "queued"], ["2016-02-29", "queued"]]


def test_the_calendar_shows_what_is_planned_for_the_year(seen: dict[str, Any]) -> None:
    # The year is that of the newest run's month, so in January nothing is planned until its run is due.
    december = Month.of(due(last_due()).year, 12)
    planned = [last_session(month).isoformat() for month in month_range(last_due() + 1, december)]
    assert [day for day, state in seen["present"] if state == "planned"] == planned


def test_only_the_schedule_s_months_that_are_not_late_yet_have_a_deadline(seen: dict[str, Any]) -> None:
    following = due(last_due() + 1)
    morning = datetime.combine(following.date() + timedelta(days=1), time(8), ZoneInfo("Asia/Tokyo")).astimezone(UTC)
    run = f"scheduled__{following.astimezone(UTC).isoformat()}"
    assert seen["mornings"] == ["backfill"] * 3 + ["manual"] * 2 + ["scheduled"] * 2
    assert seen["deadlines"] == [[run, morning.isoformat()]]
