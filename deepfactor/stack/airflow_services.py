"""Airflow's processes: API server, scheduler, DAG processor and triggerer."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

from deepfactor.stack import airflow_settings, ports, processes
from deepfactor.stack.airflow_client import AirflowClient
from deepfactor.stack.credentials import USER, Credentials
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout
from deepfactor.stack.state import State, write_state

LOGGER = logging.getLogger(__name__)

API = "api-server"
# Every task reports to the API server: it is started first and stopped last.
SERVICES: dict[str, tuple[str, ...]] = {
    API: ("api-server",),
    # Its log server would listen on every interface, and the API server reads the same disk.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    # It tells of a month that is late.
    "triggerer": ("triggerer", "--skip-serve-logs"),
}

# Tasks are forked from the scheduler, with what it has loaded.
_WARM = "deepfactor.stack.warm_airflow"

_PATIENCE = 180.0
_PARSING_PATIENCE = 120.0


def command(arguments: Sequence[str], module: str = "airflow") -> list[str]:
    """Return the command line of an Airflow command."""
    return [sys.executable, "-m", module, *arguments]


def client(state: State, credentials: Credentials) -> AirflowClient:
    """Return a session with the running API server."""
    return AirflowClient(f"http://{ports.LOOPBACK}:{state.ports[API]}", USER, credentials.password)


def choose_port(state: State, preferred: int) -> int:
    """Return the port that our API server has, or one that is free."""
    known = state.ports.get(API)
    if known is not None and processes.find(state.processes.get(API)) is not None:
        return known
    return ports.choose("Airflow's API server", known or preferred)


def migrate(layout: Layout, settings: Mapping[str, str], state: State) -> State:
    """Create or upgrade Airflow's tables, unless this version has done it before.

    Raises
    ------
    StackError
        With the end of the log.
    """
    wanted = version("apache-airflow")
    if state.migrated == wanted:
        return state
    log = layout.logs / "migrate.log"
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(  # noqa: S603 - the command is ours
            command(["db", "migrate"]),
            env=dict(settings),
            cwd=layout.airflow,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        raise StackError(f"Airflow's database cannot be prepared; {log} ends with:\n{processes.tail(log)}")
    return write_state(layout, replace(state, migrated=wanted))


def start(layout: Layout, settings: Mapping[str, str], state: State) -> State:
    """Start what does not run, and stop first what runs with other settings or was left by a service that has died."""
    layout.create()
    digest = airflow_settings.digest(settings)
    if state.settings != digest:
        state = write_state(layout, replace(stop(layout, state), settings=digest))
    for name, arguments in SERVICES.items():
        record = state.processes.get(name)
        if processes.find(record) is None:
            if record is not None:
                # Workers of a dead scheduler wait for ever, and what they work on is run again.
                processes.kill(processes.session_of(record))
            line = command(arguments, _WARM if name == "scheduler" else "airflow")
            started = processes.launch(line, settings, layout.airflow, layout.logs / f"{name}.log")
            state = write_state(layout, state.having(name, started))
    return state


def wait(layout: Layout, state: State, session: AirflowClient) -> None:
    """Wait until every service is healthy.

    Raises
    ------
    StackError
        If one ends, or is not healthy in three minutes, with the end of its log.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        health = session.health()
        waiting = [name for name in SERVICES if not _is_healthy(name, health)]
        ended = [name for name in SERVICES if processes.find(state.processes.get(name)) is None]
        if not waiting and not ended:
            return
        if ended or time.monotonic() > deadline:
            name = (ended or waiting)[0]
            what = "ended" if ended else f"is not healthy after {_PATIENCE:.0f} s"
            log = layout.logs / f"{name}.log"
            raise StackError(f"Airflow's {name} {what}; its log {log} ends with:\n{processes.tail(log)}")
        time.sleep(0.5)


def wait_for_dags(session: AirflowClient, dags: Sequence[str]) -> None:
    """Wait until the DAG processor has parsed the DAGs.

    Raises
    ------
    StackError
        If one is not there in two minutes, with the reason.
    """
    deadline = time.monotonic() + _PARSING_PATIENCE
    for dag in dags:
        while not session.has_dag(dag):
            if time.monotonic() > deadline:
                reasons = "\n".join(session.import_errors()) or "no file defines it"
                raise StackError(f"Airflow does not know the DAG {dag}: {reasons}")
            time.sleep(0.5)


def stop(layout: Layout, state: State) -> State:
    """Stop Airflow's processes and the tasks they run."""
    _stop_services(state, [name for name in SERVICES if name != API])
    _stop_services(state, [API])
    return write_state(layout, replace(state.without(*SERVICES), settings=None))


def _stop_services(state: State, names: Sequence[str]) -> None:
    records = [record for name in names if (record := state.processes.get(name)) is not None]
    leaders = [process for record in records if (process := processes.find(record)) is not None]
    members = [member for record in records for member in processes.session_of(record)]
    processes.stop(leaders, members)


def _is_healthy(name: str, health: Mapping[str, str | None]) -> bool:
    if name == API:
        return health.get("metadatabase") == "healthy"
    return health.get(name.replace("-", "_")) == "healthy"
