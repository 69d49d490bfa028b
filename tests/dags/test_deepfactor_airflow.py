"""What the DAG files share, and what holds for both."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, AirflowTaskTimeout, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from deepfactor.errors import ConfigurationError, DeepfactorError, StoreUnreachable, ValidationFailed
from deepfactor.stack.airflow_settings import DAG, EVALUATION_DAG
from deepfactor.stack.layout import CHECKOUT

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


def _decided(module: ModuleType, error: BaseException) -> RetryAction:
    """Return what is done about a failure."""
    return module.WhereItCanHelp().evaluate(error, 1, 3).action  # type: ignore[no-any-return]


@pytest.mark.parametrize("error", [ValidationFailed("half of the stocks are gone"), StoreUnreachable("no answer")])
def test_a_foreseen_failure_is_an_exit_with_its_message(
    module: ModuleType, error: DeepfactorError, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit) as caught, module.foreseen():
        raise error
    # Airflow logs an exit without a stack trace, and its code as it is.
    assert caught.value.code == 1
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert caught.value.reason == f"{type(error).__name__}: {error}"
    assert [(each.levelname, each.message) for each in caplog.records] == [("ERROR", str(error))]
    assert _decided(module, caught.value) is (RetryAction.DEFAULT if error.retryable else RetryAction.FAIL)


def test_a_fault_of_the_program_keeps_its_trace(module: ModuleType) -> None:
    with pytest.raises(KeyError), module.foreseen():
        raise KeyError("column")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        MemoryError(),
        AirflowTaskTimeout("too long"),
        AirflowException("API"),
        AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
    ],
)
def test_what_may_work_later_is_tried_again(module: ModuleType, error: BaseException) -> None:
    assert _decided(module, error) is RetryAction.DEFAULT


@pytest.mark.parametrize("error", [KeyError("column"), TypeError("none"), ZeroDivisionError()])
def test_a_fault_of_the_program_is_not(module: ModuleType, error: BaseException) -> None:
    assert _decided(module, error) is RetryAction.FAIL


def test_a_choice_of_models(module: ModuleType) -> None:
    path = "include/config/default.yaml"
    whole = module.read_config(path)
    for none in ((), [], None):
        assert module.read_config(path, none) == whole
    chosen = module.read_config(path, ["linear", "dfm2"])
    assert chosen.models == ("dfm2", "linear")
    assert chosen.digest() != whole.digest()
    with pytest.raises(ConfigurationError, match="dfm2 is missing, by which include/config/default.yaml ranks"):
        module.read_config(path, ["linear"])
    with pytest.raises(ConfigurationError, match="does not train svr, only dfm1, dfm2, linear: choose from these"):
        module.read_config(path, ["dfm2", "svr"])


def test_the_library_s_chatter_is_left_out(module: ModuleType) -> None:
    with module.foreseen():
        assert not logging.getLogger("great_expectations._docs_decorators").isEnabledFor(logging.INFO)


def test_paths_are_relative_to_the_checkout(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = module.read_config("include/config/default.yaml")
    assert config.source.folder == str(CHECKOUT / ".local" / "market")
    assert module.read_config("include/config/market_jp.yaml").source.folder is None


@pytest.mark.parametrize(("text", "hours"), [(None, 24), ("", 24), ("0", 0), ("48", 48)])
def test_hours_that_may_be_set(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str | None, hours: int
) -> None:
    monkeypatch.delenv("DEEPFACTOR_WAIT_HOURS", raising=False)
    if text is not None:
        monkeypatch.setenv("DEEPFACTOR_WAIT_HOURS", text)
    assert module.whole_hours("DEEPFACTOR_WAIT_HOURS", 24) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["a day", "1.5", "-3", "24h"])
def test_hours_that_are_none(module: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DEEPFACTOR_WAIT_HOURS", text)
    with pytest.raises(ValueError, match="DEEPFACTOR_WAIT_HOURS is .*: set it to a whole number of hours"):
        module.whole_hours("DEEPFACTOR_WAIT_HOURS", 24)
