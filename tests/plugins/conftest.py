from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from typing import Any

import pytest

from deepfactor.stack.layout import CHECKOUT

# Read when Airflow is first imported: without it, it would write to the home of whoever runs the tests.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(CHECKOUT / "plugins")


@pytest.fixture(scope="session")
def timetable() -> Any:
    """The class, as Airflow has it from the plugin."""
    from airflow import plugins_manager

    return plugins_manager.get_timetables_plugins()["trading_calendar.TradingCalendarTimetable"]


def serialized(schedule: Any, start: datetime = datetime(2006, 3, 1, tzinfo=UTC), **options: Any) -> Any:
    """Return a DAG on this schedule as the scheduler knows it."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    dag = DAG("months", schedule=schedule, start_date=start, **options)
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))
