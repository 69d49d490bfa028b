"""The stack as a whole: up, down, status."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import psutil

from deepfactor.backfill.sizing import models_at_once
from deepfactor.cores import available_cores
from deepfactor.stack import airflow_services, airflow_settings, keeper, object_store, postgres, processes
from deepfactor.stack import ports as addresses
from deepfactor.stack.airflow_client import AirflowClient
from deepfactor.stack.credentials import Credentials, ensure_credentials
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout, Ports
from deepfactor.stack.state import State, read_state, write_state

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    layout: Layout
    endpoint: object_store.Endpoint
    address: str
    session: AirflowClient


@dataclass(frozen=True)
class ServiceStatus:
    """One service, for people."""

    name: str
    state: str
    pid: int | None
    address: str


def up(layout: Layout, ports: Ports | None = None, say: Callable[[str], None] = LOGGER.info) -> Stack:
    """Start every service that does not run healthily, and wait until all do.

    Raises
    ------
    StackError
        Naming the service that does not start, with the end of its log.
    """
    ports = ports or Ports()
    layout.create()
    with layout.locked():
        credentials = ensure_credentials(layout)
        state = read_state(layout)
        _sweep(layout, state)
        say("PostgreSQL and the S3 endpoint")
        database = _start_database(layout, state)
        endpoint, state = object_store.start(layout, credentials, read_state(layout), ports.s3)
        state = write_state(layout, replace(state, s3_on_demand=False))
        state = _stop_silent_server(layout, credentials, state)
        port = airflow_services.choose_port(state, ports.api)
        state = write_state(layout, state.listening(airflow_services.API, port))
        settings = airflow_settings.environment(layout, endpoint, database, port)
        if state.migrated is None:
            say("Airflow's tables (the first time only)")
        state = airflow_services.migrate(layout, settings, state)
        say("Airflow's API server, scheduler, DAG processor and triggerer")
        state = airflow_services.start(layout, settings, state)
        session = airflow_services.client(state, credentials)
        airflow_services.wait(layout, state, session)
        slots = models_at_once(psutil.virtual_memory().available, available_cores())
        session.ensure_pool(airflow_settings.POOL, slots, "Models that train at once: bounded by memory and cores")
        # Without the second, the first month would be published before anything waits for it.
        airflow_services.wait_for_dags(session, (airflow_settings.DAG, airflow_settings.EVALUATION_DAG))
        session.unpause(airflow_settings.DAG)
        keeper.start(layout, settings, state)
    return Stack(layout, endpoint, f"http://{addresses.LOOPBACK}:{port}", session)


def command_environment(layout: Layout) -> dict[str, str]:
    """Return the environment in which an Airflow command works on the stack that is up.

    Raises
    ------
    StackError
        If it is not up.
    """
    state = read_state(layout)
    url = object_store.running(state)
    database = postgres.running_address(layout)
    if url is None or database is None or airflow_services.API not in state.ports:
        raise StackError("the stack is not up: run `deepfactor stack up` first")
    endpoint = object_store.Endpoint(url, ensure_credentials(layout))
    settings = airflow_settings.environment(layout, endpoint, database, state.ports[airflow_services.API])
    # A person's command is none of the stack's processes, which `down` stops.
    return {key: value for key, value in settings.items() if key != processes.MARKER}


def down(layout: Layout) -> list[str]:
    """Stop everything that belongs to the stack, nothing else, and return what was stopped."""
    if not layout.local.exists():
        return []
    with layout.locked():
        state = read_state(layout)
        stopped = [name for name, record in state.processes.items() if processes.find(record) is not None]
        state = keeper.stop(layout, state)
        state = airflow_services.stop(layout, state)
        state = object_store.stop(layout, state)
        forgotten = processes.leftovers(layout)
        processes.stop(forgotten)
        stopped += [f"left-over process {each.pid}" for each in forgotten]
        # After the left-overs: they may hold connections.
        if postgres.stop(layout):
            stopped.append("postgres")
    return stopped


def status(layout: Layout) -> list[ServiceStatus]:
    """Return what runs where."""
    state = read_state(layout)
    server = postgres.running(layout)
    found = [ServiceStatus("postgres", _word(server), server.pid if server else None, str(layout.postgres))]
    for name in (object_store.SERVICE, *airflow_services.SERVICES, keeper.SERVICE):
        process = processes.find(state.processes.get(name))
        port = state.ports.get(name)
        address = f"http://{addresses.LOOPBACK}:{port}" if port and process else ""
        found.append(ServiceStatus(name, _word(process), process.pid if process else None, address))
    return found


def _start_database(layout: Layout, state: State) -> str:
    if not (layout.postgres / "PG_VERSION").exists():
        write_state(layout, replace(state, migrated=None))
    return postgres.start(layout)


def _sweep(layout: Layout, state: State) -> None:
    """Stop processes of this stack that the state file has lost: they would hold ports and run tasks twice."""
    alive = [record for record in state.processes.values() if processes.find(record) is not None]
    known = {member.pid for record in alive for member in processes.session_of(record)}
    # A leader that was killed leaves its workers behind.
    orphans = [each for record in state.processes.values() for each in processes.session_of(record)]
    found = {each.pid: each for each in (*processes.leftovers(layout), *orphans)}
    forgotten = [each for pid, each in found.items() if pid not in known]
    for each in forgotten:
        LOGGER.warning("stopping a left-over of this stack: %s", addresses.describe(each))
    # Not politely: a task that is asked to end tells Airflow that it failed, one that is gone is run again.
    processes.kill(forgotten)


def _stop_silent_server(layout: Layout, credentials: Credentials, state: State) -> State:
    """Stop Airflow if its API server runs but does not answer."""
    if processes.find(state.processes.get(airflow_services.API)) is None:
        return state
    session = airflow_services.client(state, credentials)
    try:
        if session.health():
            return state
    finally:
        session.close()
    LOGGER.warning("Airflow's API server does not answer: starting Airflow again")
    return airflow_services.stop(layout, state)


def _word(process: object) -> str:
    return "down" if process is None else "up"
