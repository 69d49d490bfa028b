"""What starts again what dies of a stack that is up: a process, ``python -m deepfactor.stack.keeper ROOT CHECKOUT``."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from deepfactor.stack import airflow_services, airflow_settings, object_store, postgres, processes
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout
from deepfactor.stack.state import ProcessRecord, State, read_state, write_state

LOGGER = logging.getLogger(__name__)

SERVICE = "keeper"
_DATABASE = "postgres"

_INTERVAL = 1.0

# A service that dies again within two minutes of its start is waited for longer and longer, up to a minute.
_SETTLED = 120.0
_LONGEST = 60.0


class Pace:
    """When a service may be started again: at once, unless it has died soon after it was started the last time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._starts: dict[str, tuple[float, float]] = {}

    def is_due(self, name: str) -> bool:
        """Tell whether the service may be started now."""
        last, delay = self._starts.get(name, (-math.inf, 0.0))
        return self._clock() >= last + delay

    def note(self, name: str) -> None:
        """Remember that the service is started now."""
        last, delay = self._starts.get(name, (-math.inf, 0.0))
        now = self._clock()
        self._starts[name] = (now, min(2 * delay, _LONGEST) if delay and now - last < _SETTLED else 1.0)


class Workers:
    """The executor's workers: a scheduler starts them once, and needs all of them.

    One that is killed may take with it for ever the task that it has just been given, a slot, or the lock of the queue
    that it has in common with the others. Airflow's LocalExecutor sees none of this; another scheduler begins anew.
    """

    def __init__(self) -> None:
        self._known: dict[ProcessRecord, set[ProcessRecord]] = {}

    def one_is_lost(self, scheduler: ProcessRecord | None) -> bool:
        """Tell whether one has died since the last look, its scheduler not."""
        process = processes.find(scheduler)
        if scheduler is None or process is None:
            return False
        known = self._known.get(scheduler, set())
        there = {each for each in known if processes.find(each) is not None}
        self._known = {scheduler: there | _workers(process)}
        return there != known and processes.find(scheduler) is not None


def _workers(scheduler: psutil.Process) -> set[ProcessRecord]:
    found = set()
    for each in scheduler.children():
        with suppress(psutil.NoSuchProcess):
            if each.status() != psutil.STATUS_ZOMBIE and "LocalExecutor" in " ".join(each.cmdline()):
                found.add(ProcessRecord(each.pid, each.create_time()))
    return found


def start(layout: Layout, settings: Mapping[str, str], state: State) -> State:
    """Start the keeper unless it runs."""
    if is_running(state):
        return state
    command = [sys.executable, "-m", "deepfactor.stack.keeper", str(layout.root.resolve()), str(layout.checkout)]
    record = processes.launch(command, settings, layout.airflow, layout.logs / f"{SERVICE}.log")
    return write_state(layout, state.having(SERVICE, record))


def stop(layout: Layout, state: State) -> State:
    """Stop the keeper if it runs, before what it would start again."""
    process = processes.find(state.processes.get(SERVICE))
    if process is not None:
        processes.stop([process])
    return write_state(layout, state.without(SERVICE))


def is_running(state: State) -> bool:
    """Tell whether the stack is kept up, be it that something of it has just died."""
    return processes.find(state.processes.get(SERVICE)) is not None


def dead(layout: Layout, state: State) -> list[str]:
    """Return which services have died."""
    services = (object_store.SERVICE, *airflow_services.SERVICES)
    gone = [name for name in services if processes.find(state.processes.get(name)) is None]
    return gone if postgres.running(layout) else [_DATABASE, *gone]


def revive(layout: Layout, pace: Pace, workers: Workers) -> list[str]:
    """Start again what has died and is due, and return its names.

    A scheduler that has lost a worker counts as dead, and is ended.

    Raises
    ------
    StackError
        If something does not start.
    """
    state = read_state(layout)
    scheduler = state.processes.get("scheduler")
    if workers.one_is_lost(scheduler) and (process := processes.find(scheduler)):
        LOGGER.warning("a worker of the scheduler has died")
        processes.kill([process])
    gone = dead(layout, state)
    if not any(map(pace.is_due, gone)):
        return []
    for name in gone:
        pace.note(name)
    credentials = ensure_credentials(layout)
    if object_store.SERVICE in gone:
        endpoint, state = object_store.start(layout, credentials, state, state.ports[object_store.SERVICE])
    else:
        # One that lives is not asked: it may only be slow.
        endpoint = object_store.Endpoint(object_store.address(state), credentials)
    database = postgres.start(layout)
    settings = airflow_settings.environment(layout, endpoint, database, state.ports[airflow_services.API])
    airflow_services.start(layout, settings, state)
    return gone


def keep(layout: Layout) -> None:
    """Look after a stack until it is another keeper's, or nobody's."""
    pace, workers = Pace(), Workers()
    while layout.state.exists():
        with layout.locked():
            record = read_state(layout).processes.get(SERVICE)
            if record is None or record.pid != os.getpid():
                break
            try:
                for name in revive(layout, pace, workers):
                    LOGGER.warning("%s has died and is started again", name)
            except (StackError, OSError, psutil.Error) as error:
                # Whatever it is, it may be over at the next look.
                LOGGER.error("%s", error)
        time.sleep(_INTERVAL)
    LOGGER.info("the stack below %s is no longer this keeper's", layout.local)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    keep(Layout(Path(sys.argv[1]), Path(sys.argv[2])))
