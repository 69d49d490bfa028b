"""What the DAG files share, and what holds for both."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from deepfactor.errors import ConfigurationError, DeepfactorError, StoreUnreachable, ValidationFailed
from deepfactor.stack.airflow_settings import CONNECTION, DAG, EVALUATION_DAG
from deepfactor.stack.layout import CHECKOUT
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store

DAGS = CHECKOUT / "dags"

IMPORT = """
import airflow.sdk, airflow.sdk.exceptions, importlib, sys, time
sys.path.append(sys.argv[1])
started = time.process_time()
importlib.import_module(sys.argv[2])
print(time.process_time() - started)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return importlib.import_module("deepfactor_airflow")


@pytest.mark.parametrize("name", ["monthly", "evaluation"])
def test_parsing_is_quick_and_pulls_in_nothing_heavy(name: str) -> None:
    command = [sys.executable, "-c", IMPORT, str(DAGS), name]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, names = run.stdout.splitlines()[-2:]
    # Of the processor: what else the machine does is not the file's cost.
    assert float(seconds) < 0.5
    assert "deepfactor_airflow" in names.split()
    assert not set(names.split()) & {
        "tensorflow",
        "polars",
        "boto3",
        "pandas",
        "sklearn",
        "scipy",
        "great_expectations",
        "deepfactor",
    }


def test_airflow_finds_both_dags_and_no_other_file() -> None:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.dag_processing.importers.python_importer import PythonDagImporter

    found = PythonDagImporter().list_dag_files(DAGS)
    assert {Path(each).name for each in found} == {"monthly.py", "evaluation.py"}
    bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags")
    assert bag.import_errors == {}
    assert set(bag.dags) == {DAG, EVALUATION_DAG}


def test_the_store_is_that_of_the_connection(
    module: ModuleType, endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"login": endpoint.credentials.access_key, "password": endpoint.credentials.secret_key}
    extra = {"store": store.url("").rstrip("/"), "endpoint_url": endpoint.url}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", json.dumps({"conn_type": "aws", "extra": extra} | keys))
    assert module.CONNECTION == CONNECTION
    reference = module.open_store().put("body", b"bytes")
    assert store.read(reference) == b"bytes"


def test_a_connection_without_a_store_says_what_is_missing(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", '{"conn_type": "aws"}')
    with pytest.raises(ConfigurationError, match='deepfactor_store has no "store" in its extra: set it'):
        module.open_store()


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
