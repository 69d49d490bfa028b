from __future__ import annotations

import copy
import importlib
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from deepfactor.errors import StoreError
from deepfactor.evaluating.parameters import USUAL, Parameters
from deepfactor.months import Month
from deepfactor.stack.airflow_settings import DAG, EVALUATION_DAG
from deepfactor.store import Store
from tests.evaluating.made_span import FIRST, publish_made


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return importlib.import_module("evaluation")


@pytest.fixture(scope="module")
def dag(module: ModuleType) -> Any:
    return module.deepfactor_evaluation()


@pytest.fixture(scope="module")
def serialized(dag: Any) -> Any:
    """The DAG as the scheduler knows it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def parameters(dag: Any, **given: Any) -> dict[str, Any]:
    """Return what a task sees of a run that was triggered with some parameters."""
    merged = copy.deepcopy(dag.params)
    merged.update(given)
    found: dict[str, Any] = merged.validate()
    return found


def test_the_flow(dag: Any) -> None:
    assert dag.dag_id == EVALUATION_DAG
    upstream = {name: set(task.upstream_task_ids) for name, task in dag.task_dict.items()}
    assert upstream == {"wait_for_months": set(), "evaluate": {"wait_for_months"}}


def test_what_the_monthly_dag_updates_starts_it(serialized: Any) -> None:
    published = importlib.import_module("monthly").deepfactor_monthly().task_dict["publish"].outlets
    condition = serialized.timetable.asset_condition
    assert [(each.name, each.uri) for _, each in condition.iter_assets()] == [
        (each.name, each.uri) for each in published
    ]
    # Events of other months are gathered while a run is active.
    assert serialized.max_active_runs == 1
    assert not serialized.catchup


def test_its_own_asset_starts_nothing_here(dag: Any, module: ModuleType) -> None:
    (outlet,) = dag.task_dict["evaluate"].outlets
    assert outlet == module.EVALUATION
    assert outlet not in dag.schedule


def test_waiting_holds_no_slot_and_ends(dag: Any, serialized: Any) -> None:
    wait = dag.task_dict["wait_for_months"]
    assert wait.mode == "reschedule"
    assert serialized.task_dict["wait_for_months"].reschedule
    assert wait.exponential_backoff and wait.max_wait == timedelta(minutes=1)
    # What waits in vain is skipped, and the next task runs all the same.
    assert wait.soft_fail and timedelta(seconds=wait.timeout) < dag.dagrun_timeout
    assert dag.task_dict["evaluate"].trigger_rule == "none_failed"
    # As long as a month may take once its delivery is there.
    module = importlib.import_module("monthly")
    assert timedelta(seconds=wait.timeout) >= module.deepfactor_monthly().dagrun_timeout - module.WAIT


def test_retries_back_off_and_everything_has_a_timeout(dag: Any) -> None:
    for task in dag.task_dict.values():
        assert task.retries == 6
        assert task.retry_exponential_backoff
        assert task.max_retry_delay <= timedelta(minutes=15)
        assert task.execution_timeout <= timedelta(hours=1)
    assert dag.dagrun_timeout is not None


def test_people_are_told_what_they_need(dag: Any) -> None:
    assert {"deepfactor"} <= set(dag.tags)
    assert DAG in dag.doc_md
    assert all(dag.params.get_param(name).description for name in dag.params)
    assert f"Empty: {USUAL.basis_points:g}." in dag.params.get_param("basis_points").description
    assert f"Empty: {USUAL.missing_return:g}." in dag.params.get_param("missing_return").description


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", "2016-13"),
        ("to", "2016-02-01"),
        ("to", 201602),
        ("basis_points", -1),
        ("basis_points", "ten"),
        ("missing_return", -1.5),
        ("trials", 0),
        ("trials", 2.5),
        ("replace", "yes"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_trigger(dag: Any, name: str, value: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError, match=f"Invalid input for param {name}"):
        parameters(dag, **{name: value})


def test_what_is_not_given_is_the_usual(dag: Any, module: ModuleType) -> None:
    assert module.suppositions(parameters(dag)) == USUAL
    given = parameters(dag, basis_points=0, missing_return=-0.3, trials=12)
    assert module.suppositions(given) == Parameters(missing_return=-0.3, basis_points=0, trials=12)


def test_the_span_is_that_of_the_published_months(dag: Any, module: ModuleType, store: Store) -> None:
    for month in (FIRST + 2, FIRST):
        publish_made(store, month)
    assert module.span(parameters(dag), store) == (FIRST, FIRST + 2)
    assert module.span(parameters(dag, **{"from": None, "to": None}), store) == (FIRST, FIRST + 2)
    assert module.span(parameters(dag, **{"from": "2013-02"}), store) == (FIRST + 1, FIRST + 2)
    assert module.span(parameters(dag, to="2014-01"), store) == (FIRST, Month.parse("2014-01"))


def test_where_nothing_is_published_it_says_so(dag: Any, module: ModuleType, store: Store) -> None:
    with pytest.raises(StoreError, match=r"no month is published in s3://.*: run deepfactor_monthly first"):
        module.span(parameters(dag), store)
