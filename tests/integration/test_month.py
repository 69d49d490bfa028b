"""Three months through the real thing: PostgreSQL, an S3 endpoint, Airflow's scheduler."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import date
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from rich.console import Console

from deepfactor.config import DEFAULT_CONFIG, SimulationConfig, load_config
from deepfactor.months import Month, last_session, month_range
from deepfactor.publication import manifest_key, verify_month
from deepfactor.sources.simulated import land
from deepfactor.stack import airflow_services, keeper, postgres, processes
from deepfactor.stack.airflow_client import FINISHED
from deepfactor.stack.airflow_settings import DAG
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.demonstration import demo
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Ports
from deepfactor.stack.stack import Stack, down, status, up
from deepfactor.stack.state import read_state
from tests.plugins.servers import webhook
from tests.security.leaks import in_command_lines, in_database, in_files, readable_by_others
from tests.sources.jquants.server import Service

pytestmark = pytest.mark.integration

# Not the default ports, so that a demonstration may run beside the tests.
PORTS = Ports(api=28080, s3=24580)
MONTHS = list(month_range(Month.parse("2015-12"), Month.parse("2016-02")))
# Looked for everywhere in the end.
KEY, WEBHOOK = "ak-5eCr3t-of-the-service", "T0-5eCr3t-of-the-webhook"


@pytest.fixture(scope="module")
def config(stack: Stack) -> Path:
    content = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    simulation = SimulationConfig(stocks=120)
    content["source"] |= {"folder": str(stack.layout.local / "market"), "simulate": asdict(simulation)}
    content |= {
        "universe": {"minimum_stocks": 50},
        "training": {"members": 2, "epochs": 3, "batch_size": 32, "learning_rate": 0.001},
        # One of each kind; the start of TensorFlow costs more than the training.
        "models": ["dfm2", "linear"],
        "expectations": load_config().expectations,
    }
    # Once here rather than in each of the three runs that begin together.
    land(stack.layout.local / "market", simulation)
    path = stack.layout.local / "test.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def backfill(stack: Stack, config: Path) -> dict[str, str]:
    """Backfill the months with Airflow's own command, and return each run's state by its logical date."""
    program = [str(Path(sys.executable).with_name("deepfactor")), "stack", "airflow", "--root", str(stack.layout.root)]
    command = ["backfill", "create", "--dag-id", DAG, "--from-date", "2015-12-01", "--to-date", "2016-02-29"]
    conf = ["--dag-run-conf", json.dumps({"config": str(config)})]
    subprocess.run([*program, *command, *conf], check=True, capture_output=True, timeout=120)
    return {run["logical_date"][:10]: run["state"] for run in _finished(stack, len(MONTHS))}


@pytest.fixture(scope="module")
def tags(stack: Stack, backfill: dict[str, str]) -> dict[Month, str | None]:
    """Entity tags of the manifests that the backfill wrote."""
    store = stack.endpoint.open()
    return {month: store.etag(manifest_key(month)) for month in MONTHS}


def test_the_demonstration_publishes_a_month_once(stack: Stack) -> None:
    month = Month.parse("2015-11")
    console = Console(file=StringIO(), width=120)
    assert demo(stack.layout.root, 120, str(month), console, ports=PORTS) == 0, _output(console)
    manifest = verify_month(stack.endpoint.open(), month)
    for shown in (f"Published as run {manifest.run_id}", "report.html", "Highest predictions", stack.address):
        assert shown in _output(console)
    copy = stack.layout.reports / str(month) / "report.html"
    assert copy.read_bytes() == stack.endpoint.open().read(manifest.report)
    again = Console(file=StringIO(), width=120)
    assert demo(stack.layout.root, 120, str(month), again, ports=PORTS) == 0, _output(again)
    assert f"Already published as run {manifest.run_id}, nothing new" in _output(again)


def test_the_backfill_publishes_each_month_under_its_own_month(stack: Stack, backfill: dict[str, str]) -> None:
    assert backfill == {str(last_session(month)): "success" for month in MONTHS}, _logs(stack)
    store = stack.endpoint.open()
    manifests = [verify_month(store, month) for month in MONTHS]
    assert [manifest.month for manifest in manifests] == MONTHS
    assert len({manifest.run_id for manifest in manifests}) == len(MONTHS)
    for manifest in manifests:
        assert all(f"/{manifest.month}/" in each.key for each in manifest.objects)
        assert max(_month_of(each.key) for each in manifest.inputs if "/prices/" in each.key) == manifest.month


def test_a_second_run_changes_nothing(stack: Stack, config: Path, tags: dict[Month, str | None]) -> None:
    # A run that names no month takes the last of the schedule, 2016-02.
    run = stack.session.trigger(DAG, {"config": str(config)})
    assert _wait(stack, run) == "success", _logs(stack)
    store = stack.endpoint.open()
    assert {month: store.etag(manifest_key(month)) for month in MONTHS} == tags
    assert len(store.list("runs/2016-02/")) > 0
    assert len({key.split("/")[2] for key in store.list("runs/2016-02/")}) == 1
    trained = [each for each in stack.session.tasks(DAG, run) if each.task == "train"]
    assert {each.label for each in trained} == set(load_config(config).models)


def test_any_task_may_be_cleared_and_run_again(stack: Stack, tags: dict[Month, str | None]) -> None:
    month = MONTHS[0]
    (run,) = [
        each["dag_run_id"]
        for each in stack.session.runs(DAG)
        if each["run_type"] == "backfill" and each["logical_date"].startswith(str(last_session(month)))
    ]
    store = stack.endpoint.open()
    objects = store.list(f"runs/{month}/")
    alone = [[task] for task in ("ingest", "validate", "describe", "train", "attribute", "bless", "publish")]
    # And from the middle, one of the mapped ones, with all that follows.
    for tasks, downstream in [*((each, False) for each in alone), ([["train", 0]], True)]:
        chosen = {"task_ids": tasks, "include_downstream": downstream, "only_failed": False}
        body = chosen | {"dag_run_id": run, "dry_run": False, "reset_dag_runs": True}
        stack.session.call("POST", f"/api/v2/dags/{DAG}/clearTaskInstances", json=body)
        assert stack.session.run(DAG, run)["state"] not in FINISHED
        assert _wait(stack, run) == "success", _logs(stack)
        assert store.etag(manifest_key(month)) == tags[month], tasks
        assert store.list(f"runs/{month}/") == objects, tasks
    assert min(each.attempt for each in stack.session.tasks(DAG, run)) > 1


def test_a_month_that_is_none_is_refused(stack: Stack) -> None:
    with pytest.raises(StackError, match="'2016-13' does not match"):
        stack.session.trigger(DAG, {"month": "2016-13"})


def test_a_month_that_the_data_do_not_reach_fails_clearly(
    stack: Stack, config: Path, tags: dict[Month, str | None]
) -> None:
    with webhook() as received:
        alerts = {"connection_id": "deepfactor_alerts", "conn_type": "http", "host": "127.0.0.1", "port": received.port}
        stack.session.call("POST", "/api/v2/connections", json=alerts | {"password": f"/services/{WEBHOOK}"})
        _assert_fails(stack, {"config": str(config), "month": "2019-05"}, "2019-05 is not in")
        deadline = time.monotonic() + 120
        while not (told := [body for path, body in received.messages if DAG in body["subject"] and WEBHOOK in path]):
            assert time.monotonic() < deadline, "no alert"
            time.sleep(0.5)
        stack.session.call("DELETE", "/api/v2/connections/deepfactor_alerts")
    (body,) = told
    assert body["subject"] == f"{DAG} 2019-05 failed: ingest"
    assert "ingest, attempt 1: SourceError: 2019-05 is not in" in body["text"]
    assert f"Log: {stack.address}/dags/{DAG}/runs/" in body["text"]
    assert not stack.endpoint.open().exists(manifest_key(Month.parse("2019-05")))


def test_a_service_that_refuses_the_key_and_repeats_it(stack: Stack, config: Path) -> None:
    nothing: Any = SimpleNamespace()
    with Service(nothing) as service:
        service.moods.extend([403] * 100)
        how = {"base_url": service.url, "cache": str(stack.layout.local / "jquants"), "requests_per_minute": 6000}
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        content["source"] = {"kind": "jquants", "jquants": how}
        path = stack.layout.local / "service.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        connection = {"connection_id": "jquants_default", "conn_type": "generic", "password": KEY}
        stack.session.call("POST", "/api/v2/connections", json=connection)
        _assert_fails(stack, {"config": str(path), "month": "2016-02"}, "status 403 for key ***")


def test_no_secret_stands_where_it_does_not_belong(stack: Stack) -> None:
    """After all of the above, failures included: logs, objects, the database's files and rows, command lines."""
    layout = stack.layout
    kept = (layout.secrets, layout.password)
    secrets = {**asdict(ensure_credentials(layout)), "service's key": KEY, "webhook's path": WEBHOOK}
    # Of a pair of keys it is the name.
    del secrets["access_key"]
    assert in_files(layout.local, secrets, but=kept) == []
    found, rows = in_database(str(postgres.running_address(layout)), secrets)
    assert found == []
    # The search does find.
    assert in_database(str(postgres.running_address(layout)), {"what is there": DAG})[0]
    for table in ("connection", "xcom", "rendered_task_instance_fields", "log", "dag_run", "task_instance"):
        assert rows[table] > 0, table
    assert in_command_lines(secrets) == []
    assert readable_by_others(kept) == []


def test_up_reuses_what_runs(stack: Stack) -> None:
    before = status(stack.layout)
    again = up(stack.layout, PORTS)
    again.session.close()
    assert again.address == stack.address
    assert status(stack.layout) == before
    assert {each.state for each in before} == {"up"}


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    # Last but one: it looks at the processes that did all of the above.
    addresses = {
        connection.laddr.ip
        for record in read_state(stack.layout).processes.values()
        for process in processes.session_of(record)
        for connection in process.net_connections()
        if connection.status == "LISTEN"
    }
    assert addresses == {"127.0.0.1"}


def test_down_leaves_nothing_behind(stack: Stack) -> None:
    assert set(down(stack.layout)) == {"postgres", "s3", *airflow_services.SERVICES, keeper.SERVICE}
    assert {each.state for each in status(stack.layout)} == {"down"}
    assert processes.leftovers(stack.layout) == []


def _assert_fails(stack: Stack, conf: dict[str, str], message: str) -> None:
    run = stack.session.trigger(DAG, conf)
    assert _wait(stack, run) == "failed"
    failed = [each for each in stack.session.tasks(DAG, run) if each.state == "failed"]
    assert [each.task for each in failed] == ["ingest"]
    # Waiting cannot help, so there is no second attempt.
    assert failed[0].attempt == 1
    log = stack.session.log(DAG, run, failed[0])
    assert message in "\n".join(log)
    # The message says all: no stack trace, which Airflow would put beside the line of the failure.
    assert "Task exited" in log
    path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}/taskInstances/ingest/logs/1"
    content = stack.session.call("GET", path, params={"full_content": True}).json()["content"]
    assert not [each for each in content if each.get("error_detail")]


def _wait(stack: Stack, run: str) -> str:
    deadline = time.monotonic() + 180
    while (state := str(stack.session.run(DAG, run)["state"])) not in FINISHED:
        assert time.monotonic() < deadline, f"{run} is still {state}"
        time.sleep(0.5)
    return state


def _finished(stack: Stack, count: int) -> list[dict[str, str]]:
    deadline = time.monotonic() + 400
    while True:
        runs = [run for run in stack.session.runs(DAG) if run["run_type"] == "backfill"]
        if len(runs) >= count and all(run["state"] in FINISHED for run in runs):
            return runs
        assert time.monotonic() < deadline, [(run["dag_run_id"], run["state"]) for run in runs]
        time.sleep(1)


def _output(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def _logs(stack: Stack) -> str:
    """Return the ends of the logs of what failed, for the message of a failed test."""
    lines = []
    for run in stack.session.runs(DAG):
        for each in stack.session.tasks(DAG, run["dag_run_id"]):
            if each.state == "failed":
                log = stack.session.log(DAG, run["dag_run_id"], each)[-15:]
                lines += [f"{run['dag_run_id']} {each.name}", *log]
    return "\n".join(lines)


def _month_of(key: str) -> Month:
    """Return the month in a raw table's key ``raw/<dataset>/<month>/…``."""
    return Month.containing(date.fromisoformat(f"{key.split('/')[2]}-01"))
