"""Ending what a backfill on the embedded stack needs while it works, and what must hold afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import psutil

from deepfactor.config import Config
from deepfactor.monthly import run_month
from deepfactor.months import Month
from deepfactor.publication import manifest_key, verify_month
from deepfactor.stack import airflow_services, object_store, postgres, processes
from deepfactor.stack.airflow_client import AirflowUnreachable
from deepfactor.stack.airflow_settings import DAG, POOL
from deepfactor.stack.layout import Layout
from deepfactor.stack.stack import Stack, status
from deepfactor.stack.state import ProcessRecord, read_state
from tests.faults.tally import Tally

# A machine that does much else is slow; nothing here may wait without a limit, though.
PATIENCE = 900.0


@dataclass(frozen=True)
class Fault:
    """Something that is ended while months run.

    Attributes
    ----------
    name, outcome
        What is done, and what comes of it, as the table calls them.
    find
        Returns the processes that may be ended; nothing where there is none at the moment.
    signal
        How.
    """

    name: str
    outcome: str
    find: Callable[[Layout], list[psutil.Process]]
    signal: signal.Signals = signal.SIGKILL


def _service(name: str) -> Callable[[Layout], list[psutil.Process]]:
    def find(layout: Layout) -> list[psutil.Process]:
        process = processes.find(read_state(layout).processes.get(name))
        return [process] if process else []

    return find


def _database(layout: Layout) -> list[psutil.Process]:
    server = postgres.running(layout)
    return [server] if server else []


def _workers(layout: Layout) -> list[psutil.Process]:
    """Return the executor's processes that watch over a task now."""
    return [worker for each in _service("scheduler")(layout) for worker in each.children() if worker.children()]


def _tasks(layout: Layout) -> list[psutil.Process]:
    return [task for worker in _workers(layout) for task in worker.children()]


_AGAIN = "started again"
DATABASE_RESTARTED = Fault("PostgreSQL restarted during a backfill", _AGAIN, _database, signal.SIGINT)
DATABASE_KILLED = Fault("PostgreSQL killed during a backfill", _AGAIN, _database)
SCHEDULER_KILLED = Fault("scheduler killed during a backfill", _AGAIN, _service("scheduler"))
API_SERVER_KILLED = Fault("api-server killed during a backfill", _AGAIN, _service(airflow_services.API))
ENDPOINT_KILLED = Fault("S3 endpoint killed during a backfill", _AGAIN, _service(object_store.SERVICE))
TASK_KILLED = Fault("task's process killed during a backfill", "tried again", _tasks)
WORKER_KILLED = Fault("worker killed under its task during a backfill", "tried again", _workers)


class FollowedBackfill:
    """The command of a backfill, working while other things happen.

    Parameters
    ----------
    stack, months
        Where, and what it publishes.
    arguments
        Of the command, besides the months.
    """

    def __init__(self, stack: Stack, months: Sequence[Month], *arguments: str) -> None:
        self.stack = stack
        self.months = list(months)
        self.calls = 0
        self._log = stack.layout.logs / f"backfill-{months[0]}.log"
        self._log.unlink(missing_ok=True)
        span = ("--from", str(months[0]), "--to", str(months[-1]))
        self._command = [sys.executable, "-m", "deepfactor", "backfill", "--root", str(stack.layout.root), *span]
        self._command += arguments
        self._call()

    def _call(self) -> None:
        self.calls += 1
        environment = {key: value for key, value in os.environ.items() if key != "DEEPFACTOR_STORE"}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT, env=environment)

    def is_working(self) -> bool:
        """Tell whether a month runs at this moment, as far as Airflow can say."""
        code = self._process.poll()
        assert code != 0, f"the backfill is over:\n{self.output()}"
        if code is not None:
            # It gives up where a server is away for three minutes, which on a busy machine is possible.
            self._call()
        return any(run["state"] == "running" for run in runs_of(self.stack, self.months))

    def tasks_done(self) -> int:
        """Return how many tasks of the months have succeeded."""
        query = {
            "state": "success",
            "logical_date_gte": f"{self.months[0].first_day}T00:00:00Z",
            "logical_date_lte": f"{self.months[-1].last_day}T23:59:59Z",
            "limit": 1,
        }
        answer = self.stack.session.call("GET", f"/api/v2/dags/{DAG}/dagRuns/~/taskInstances", params=query)
        return int(answer.json()["total_entries"])

    def suffer(self, fault: Fault, random: Random) -> None:
        """Cause a fault while a month runs, and wait until all services run again."""
        records: list[ProcessRecord] = []

        def struck() -> bool:
            # What is found may end by itself in this moment.
            with suppress(psutil.NoSuchProcess):
                if self.is_working() and (found := fault.find(self.stack.layout)):
                    victim = random.choice(found)
                    records.append(ProcessRecord(victim.pid, victim.create_time()))
                    victim.send_signal(fault.signal)
                    return True
            return False

        until(struck, "there was nothing to end")
        until(lambda: processes.find(records[-1]) is None, f"process {records[-1].pid} did not end")
        until(lambda: all(each.pid for each in status(self.stack.layout)), "not all services run again")

    def end(self) -> int:
        """Wait for the command, and return its exit code."""
        code = self._process.wait(PATIENCE)
        if code != 0:
            self._call()
            code = self._process.wait(PATIENCE)
        return code

    def output(self) -> str:
        """Return what the command has printed, all of its calls."""
        return self._log.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the command."""
        self._process.kill()
        self._process.wait()


def moments(faults: int, tasks: int, random: Random) -> list[int]:
    """Return after how many tasks each fault comes: one in each part of the first nine tenths of them."""
    part = 0.9 * tasks / faults
    return [int(part * (number + random.random())) for number in range(faults)]


def endure(
    backfill: FollowedBackfill, faults: Sequence[tuple[Fault, Tally]], tasks: int, seed: int, check: Callable[[], None]
) -> None:
    """Cause faults one after the other, and check what has come of it when the backfill is over.

    Parameters
    ----------
    backfill
        What suffers.
    faults
        In this order, each with the count that it belongs to; what does not hold in the end is booked to the last one.
    tasks
        Within how many of the backfill's first tasks the faults come.
    seed
        Of the moments, and of what is ended.
    check
        Raises where something does not hold.
    """
    random = Random(seed)
    times = moments(len(faults), tasks, random)
    for number, ((fault, tally), moment) in enumerate(zip(faults, times, strict=True)):
        with tally.case(f"seed {seed}, after {moment} tasks"):
            until(lambda moment=moment: backfill.tasks_done() >= moment, f"{moment} tasks were never done")
            time.sleep(random.uniform(0, 3))
            calls = backfill.calls
            backfill.suffer(fault, random)
            if number == len(faults) - 1:
                code = backfill.end()
                assert code == 0, f"the command ended with {code}:\n{backfill.output()}"
                assert "Traceback" not in backfill.output(), backfill.output()
                check()
            again = ", and the command called again" if backfill.calls > calls else ""
            tally.ended(f"{fault.outcome}{again}")


def undisturbed(stack: Stack, months: Sequence[Month], config: Config) -> dict[Month, bytes]:
    """Return the manifests that the library publishes when nothing happens."""
    store = stack.endpoint.open().below("undisturbed")
    for month in months:
        run_month(month, store, config, after=lambda *_: None)
    return {month: store.get(manifest_key(month)) for month in months}


def runs_of(stack: Stack, months: Sequence[Month]) -> list[dict[str, Any]]:
    """Return Airflow's runs of these months."""
    return stack.session.runs_between(DAG, months[0].first_day, months[-1].last_day)


def announcements(stack: Stack, months: Sequence[Month]) -> dict[str, int]:
    """Return how many events of a publication Airflow has had, by run."""
    found = {}
    for run in runs_of(stack, months):
        query = {"source_dag_id": DAG, "source_run_id": run["dag_run_id"], "limit": 1}
        answer = stack.session.call("GET", "/api/v2/assets/events", params=query).json()
        found[run["dag_run_id"]] = answer["total_entries"]
    return found


def check_months(
    stack: Stack, months: Sequence[Month], expected: dict[Month, bytes], announced: dict[str, int] | None = None
) -> None:
    """Raise unless each month is published once and as expected, and nothing is left over.

    Parameters
    ----------
    stack, months
        What to look at.
    expected
        Of :func:`undisturbed`.
    announced
        Of :func:`announcements`, before the backfill.
    """
    store = stack.endpoint.open()
    for month in months:
        manifest = verify_month(store, month)
        assert store.get(manifest_key(month)) == expected[month], f"{month} is not what an undisturbed run publishes"
        runs = {key.split("/")[2] for key in store.list(f"runs/{month}/")}
        assert runs == {manifest.run_id}, f"{month} has the runs {runs}"
    runs_there = runs_of(stack, months)
    assert [run["state"] for run in runs_there] == ["success"] * len(months), runs_there
    for run in runs_there:
        states = {each.name: each.state for each in stack.session.tasks(DAG, run["dag_run_id"])}
        assert set(states.values()) == {"success"}, f"{run['dag_run_id']}: {states}"
    before = announced or {}
    for name, number in announcements(stack, months).items():
        assert number == before.get(name, 0) + 1, f"{name} has been announced {number} times"
    pool = stack.session.call("GET", f"/api/v2/pools/{POOL}").json()
    assert pool["open_slots"] == pool["slots"], pool


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not _holds(condition):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except AirflowUnreachable:
        return False
