from __future__ import annotations

import importlib
import runpy
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deepfactor.config import load_config
from deepfactor.models.names import MODELS
from deepfactor.months import Month, month_range
from deepfactor.objects import json_to_bytes
from deepfactor.publication import Manifest
from deepfactor.stack.airflow_settings import DAG as DAG_ID
from deepfactor.stack.airflow_settings import POOL
from deepfactor.stack.layout import CHECKOUT
from deepfactor.stack.progress import STEPS
from deepfactor.store import Store


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
    upstream = {name: set(task.upstream_task_ids) for name, task in dag.task_dict.items()}
    run = "ingest"
    assert upstream == {
        "ingest": set(),
        "validate": {run},
        "describe": {run, "validate"},
        "train": {run, "describe"},
        "attribute": {run, "train"},
        "bless": {run, "attribute"},
        "publish": {run, "bless"},
    }
    # The demonstration knows their order.
    assert set(upstream) <= set(STEPS)


def test_waiting_for_the_vendor_holds_no_slot_and_ends(dag: Any, serialized: Any, module: ModuleType) -> None:
    ingest = dag.task_dict["ingest"]
    assert ingest.mode == "reschedule" and serialized.task_dict["ingest"].reschedule
    # It gives up by itself before Airflow does, and then there is time to compute.
    assert module.WAIT < timedelta(seconds=ingest.timeout) < dag.dagrun_timeout


def test_training_is_mapped_bounded_and_named(dag: Any) -> None:
    train = dag.task_dict["train"]
    assert train.is_mapped
    assert train.partial_kwargs["pool"] == POOL == "training"
    assert "model" in train.partial_kwargs["map_index_template"]
    assert all(task.pool == "default_pool" for name, task in dag.task_dict.items() if name != "train")


def test_retries_back_off_and_everything_has_a_timeout(dag: Any) -> None:
    for task in dag.task_dict.values():
        assert task.retries == 6
        assert task.retry_exponential_backoff
        assert task.max_retry_delay <= timedelta(minutes=15)
        assert task.execution_timeout <= timedelta(hours=3)
        assert task.retry_policy is not None and task.has_retry_policy
    assert dag.dagrun_timeout is not None


def test_publishing_updates_the_asset(dag: Any) -> None:
    assert [each.name for each in dag.task_dict["publish"].outlets] == ["deepfactor_signals"]


def test_the_event_of_a_publication_tells_of_it(module: ModuleType, store: Store) -> None:
    gates = [{"gate": "coverage", "model": None, "passed": True}, {"gate": "members", "model": "dfm2", "passed": True}]
    told = module.publication(_manifest(store, gates), store)
    assert told == {"month": "2016-02", "run_id": "abc", "stocks": 126, "verdict": "passed", "warnings": []}
    gates = [{"gate": "last month", "model": None, "passed": False}, gates[1] | {"passed": False}]
    told = module.publication(_manifest(store, gates), store)
    assert told["verdict"] == "passed with warnings"
    assert told["warnings"] == ["last month of the month", "members of dfm2"]


def _manifest(store: Store, gates: list[dict[str, Any]]) -> Manifest:
    (reference,) = store.put_many([("gates.json", json_to_bytes(gates))])
    month = Month.parse("2016-02")
    return Manifest(month, "abc", "dfm2", "0", "0", {"stocks scored": 126}, (), {"gates.json": reference})


def test_a_failure_is_told_of_and_lateness_too(dag: Any, serialized: Any) -> None:
    assert serialized.has_on_failure_callback
    (deadline,) = dag.deadline
    assert deadline.name == "Published by 08:00 Asia/Tokyo"
    assert (deadline.reference.reference_name, deadline.interval) == ("PublishedBy", timedelta(0))
    assert deadline.callback.path == "deepfactor_lateness.month_is_late"
    # The vendor is waited for longer: first comes the word that the month is late, then that it has failed.
    assert timedelta(hours=14) < importlib.import_module("monthly").WAIT


def test_a_test_run_has_no_deadline_for_airflow_cannot_end_one_that_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["airflow", "dags", "test", DAG_ID])
    made = runpy.run_path(str(CHECKOUT / "dags" / "monthly.py"))["deepfactor_monthly"]()
    assert not made.deadline


def test_people_are_told_what_they_need(dag: Any, serialized: Any) -> None:
    assert {"deepfactor"} <= set(dag.tags)
    assert "month" in dag.doc_md
    for name, task in serialized.task_dict.items():
        assert task.doc_md.strip(), name
        assert task.owner == "deepfactor"
    assert set(dag.params) == {"month", "config", "models", "replace"}
    for name in dag.params:
        parameter = dag.params.get_param(name)
        assert parameter.description and parameter.schema["title"]


def test_what_may_be_chosen_is_what_there_is(dag: Any) -> None:
    models = dag.params.get_param("models").schema
    assert tuple(models["examples"]) == tuple(models["items"]["enum"]) == MODELS
    configurations = dag.params.get_param("config").schema["examples"]
    assert dag.params["config"] in configurations
    for each in configurations:
        load_config(CHECKOUT / each)


@pytest.mark.parametrize("chosen", ["dfm2", ["dfm3"], [1]])
def test_models_that_are_none_are_refused_at_the_trigger(dag: Any, chosen: Any) -> None:
    with pytest.raises(Exception, match="Invalid input for param|is not"):
        dag.params.get_param("models").resolve(chosen)


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
