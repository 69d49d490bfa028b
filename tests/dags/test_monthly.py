from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deepfactor.months import Month, month_range
from deepfactor.stack.airflow_settings import DAG as DAG_ID
from deepfactor.stack.airflow_settings import POOL
from deepfactor.stack.progress import STEPS


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return importlib.import_module("monthly")


@pytest.fixture(scope="module")
def dag(module: ModuleType) -> Any:
    return module.deepfactor_monthly()


@pytest.fixture(scope="module")
def serialized(dag: Any) -> Any:
    """The DAG as the scheduler knows it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_the_flow(dag: Any) -> None:
    assert dag.dag_id == DAG_ID
    assert set(dag.task_dict) == set(STEPS)
    upstream = {name: set(task.upstream_task_ids) for name, task in dag.task_dict.items()}
    run = "ingest"
    assert upstream["ingest"] == upstream["models"] == set()
    assert upstream["validate"] == {run}
    assert upstream["describe"] == {run, "validate"}
    assert upstream["train"] == {run, "describe", "models"}
    assert upstream["attribute"] == {run, "train"}
    assert upstream["bless"] == {run, "attribute"}
    assert upstream["publish"] == {run, "bless"}


def test_training_is_mapped_bounded_and_named(dag: Any) -> None:
    train = dag.task_dict["train"]
    assert train.is_mapped
    assert train.partial_kwargs["pool"] == POOL == "training"
    assert "model" in train.partial_kwargs["map_index_template"]
    assert all(task.pool == "default_pool" for name, task in dag.task_dict.items() if name != "train")


def test_retries_back_off_and_everything_has_a_timeout(dag: Any) -> None:
    for task in dag.task_dict.values():
        assert task.retries == 3
        assert task.retry_exponential_backoff
        assert task.max_retry_delay <= timedelta(minutes=15)
        assert task.execution_timeout <= timedelta(hours=2)
    assert dag.dagrun_timeout is not None


def test_publishing_updates_the_asset(dag: Any) -> None:
    assert [each.name for each in dag.task_dict["publish"].outlets] == ["deepfactor_signals"]


def test_people_are_told_what_they_need(dag: Any) -> None:
    assert {"deepfactor"} <= set(dag.tags)
    assert "month" in dag.doc_md
    for name in ("month", "config", "replace"):
        assert dag.params.get_param(name).description


@pytest.mark.parametrize("text", ["2016-13", "2016-2", "16-02", "february", "2016-02-01"])
def test_a_month_that_is_none_is_refused_at_the_trigger(dag: Any, text: str) -> None:
    with pytest.raises(Exception, match="does not match"):
        dag.params.get_param("month").resolve(text)


def _run(logical: datetime | None, after: datetime, interval: Any = (None, None)) -> Any:
    start, end = interval
    return SimpleNamespace(logical_date=logical, run_after=after, data_interval_start=start, data_interval_end=end)


def test_the_parameter_names_the_month(module: ModuleType) -> None:
    run = _run(None, datetime(2016, 3, 1, tzinfo=UTC))
    assert module.month_of({"month": "2010-05"}, run) == Month.parse("2010-05")


@pytest.mark.parametrize("given", ["", None])
@pytest.mark.parametrize(("triggered", "expected"), [("2016-03-01", "2016-02"), ("2016-02-17", "2016-01")])
def test_a_run_by_hand_takes_the_last_month_that_was_due(
    serialized: Any, module: ModuleType, given: str | None, triggered: str, expected: str
) -> None:
    moment = datetime.fromisoformat(triggered).replace(tzinfo=UTC)
    interval = serialized.timetable.infer_manual_data_interval(run_after=moment)
    for run in (_run(moment, datetime.now(UTC), interval), _run(None, moment)):
        assert module.month_of({"month": given}, run) == Month.parse(expected)


def test_a_backfill_covers_exactly_its_months(serialized: Any, module: ModuleType) -> None:
    runs = serialized.iter_dagrun_infos_between(datetime(2006, 3, 1, tzinfo=UTC), datetime(2016, 2, 29, tzinfo=UTC))
    months = [
        module.month_of({"month": ""}, _run(each.logical_date, each.run_after, each.data_interval)) for each in runs
    ]
    assert months == list(month_range(Month.parse("2006-03"), Month.parse("2016-02")))


def test_the_schedule_is_that_of_the_exchange(serialized: Any) -> None:
    assert serialized.timetable.summary == "18:00 Asia/Tokyo, last XTKS session of the month"
    # With an end date, no run by hand with a later logical date would ever start its tasks.
    assert serialized.end_date is None
