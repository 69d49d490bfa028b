from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from deepfactor.errors import ConfigurationError, DeepfactorError, StoreUnreachable, ValidationFailed
from deepfactor.months import Month
from deepfactor.stack.airflow_settings import CONNECTION, POOL
from deepfactor.stack.airflow_settings import DAG as DAG_ID
from deepfactor.stack.layout import CHECKOUT
from deepfactor.stack.progress import STEPS

FILE = CHECKOUT / "dags" / "monthly.py"

IMPORT = """
import airflow.sdk, airflow.sdk.exceptions, runpy, sys, time
started = time.process_time()
runpy.run_path(sys.argv[1])
print(time.process_time() - started)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    specification = importlib.util.spec_from_file_location("monthly", FILE)
    assert specification is not None and specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    yield loaded


@pytest.fixture(scope="module")
def dag(module: ModuleType) -> Any:
    return module.deepfactor_monthly()


@pytest.fixture(scope="module")
def serialized(dag: Any) -> Any:
    """The DAG as the scheduler knows it."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_parsing_is_quick_and_pulls_in_nothing_heavy() -> None:
    run = subprocess.run([sys.executable, "-c", IMPORT, str(FILE)], capture_output=True, text=True, check=True)
    seconds, names = run.stdout.splitlines()[-2:]
    # Of the processor: what else the machine does is not the file's cost.
    assert float(seconds) < 0.5
    assert not set(names.split()) & {
        "tensorflow",
        "polars",
        "boto3",
        "pandas",
        "sklearn",
        "great_expectations",
        "deepfactor",
    }


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


def test_publishing_updates_the_asset(dag: Any, module: ModuleType) -> None:
    assert [each.name for each in dag.task_dict["publish"].outlets] == ["deepfactor_signals"]
    assert module.CONNECTION == CONNECTION


def test_people_are_told_what_they_need(dag: Any) -> None:
    assert {"deepfactor"} <= set(dag.tags)
    assert "month" in dag.doc_md
    for name in ("month", "config", "replace"):
        assert dag.params.get_param(name).description


@pytest.mark.parametrize("text", ["2016-13", "2016-2", "16-02", "february", "2016-02-01"])
def test_a_month_that_is_none_is_refused_at_the_trigger(dag: Any, text: str) -> None:
    with pytest.raises(Exception, match="does not match"):
        dag.params.get_param("month").resolve(text)


@pytest.mark.parametrize("logical", ["2015-12", "2016-01", "2016-02"])
def test_the_data_interval_names_the_month(module: ModuleType, logical: str) -> None:
    month = Month.parse(logical)
    start = datetime.combine(month.first_day, datetime.min.time(), UTC)
    assert module.month_of({"month": ""}, start) == month
    assert module.month_of({"month": None}, start) == month
    assert module.month_of({"month": "2010-05"}, start) == Month.parse("2010-05")


def test_no_month_is_guessed(module: ModuleType) -> None:
    with pytest.raises(ConfigurationError, match="does not say which month"):
        module.month_of({"month": ""}, None)


def _raised(module: ModuleType, error: BaseException) -> BaseException:
    with pytest.raises(BaseException) as caught, module.final_where_waiting_cannot_help():
        raise error
    return caught.value


def test_what_waiting_cannot_help_fails_at_once_with_its_message_only(module: ModuleType) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    final = _raised(module, ValidationFailed("half of the stocks are gone"))
    assert isinstance(final, AirflowFailException)
    assert str(final) == "half of the stocks are gone"
    assert final.__cause__ is None and final.__suppress_context__


def test_a_fault_of_the_program_fails_at_once_with_its_trace(module: ModuleType) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    final = _raised(module, KeyError("column"))
    assert isinstance(final, AirflowFailException)
    assert isinstance(final.__cause__, KeyError)


@pytest.mark.parametrize("error", [StoreUnreachable("no answer"), ConnectionResetError("gone")])
def test_what_may_work_later_is_tried_again(module: ModuleType, error: Exception) -> None:
    assert _raised(module, error) is error
    assert isinstance(error, OSError) or (isinstance(error, DeepfactorError) and error.retryable)


def test_paths_are_relative_to_the_checkout(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = module.read_config("include/config/default.yaml")
    assert config.source.folder == str(CHECKOUT / ".local" / "market")
    assert module.read_config("include/config/market_jp.yaml").source.folder is None


@pytest.mark.parametrize(("triggered", "expected"), [("2016-03-01", "2016-02"), ("2016-02-17", "2016-01")])
def test_a_logical_date_by_hand_means_the_last_complete_month(
    serialized: Any, module: ModuleType, triggered: str, expected: str
) -> None:
    moment = datetime.fromisoformat(triggered).replace(tzinfo=UTC)
    interval = serialized.timetable.infer_manual_data_interval(run_after=moment)
    assert module.month_of({"month": ""}, interval.start) == Month.parse(expected)


def test_a_backfill_covers_exactly_its_months(serialized: Any, module: ModuleType) -> None:
    runs = serialized.iter_dagrun_infos_between(datetime(2015, 12, 1, tzinfo=UTC), datetime(2016, 2, 1, tzinfo=UTC))
    months = [str(module.month_of({"month": ""}, each.data_interval.start)) for each in runs]
    assert months == ["2015-12", "2016-01", "2016-02"]
