"""When a service is started again; that it is, is tested in ``tests/integration/test_backfill.py``."""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from deepfactor.stack import airflow_services, keeper, processes
from deepfactor.stack.keeper import Pace, Workers
from deepfactor.stack.layout import Layout
from deepfactor.stack.state import ProcessRecord, State, read_state, write_state


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.create()
    return layout


def test_a_service_that_keeps_dying_is_started_less_and_less_often() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    starts = []
    while now < 400:
        if pace.is_due("scheduler"):
            pace.note("scheduler")
            starts.append(now)
        now += 1
    waits = [after - before for before, after in pairwise(starts)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert pace.is_due("api-server")


def test_one_that_has_run_for_long_is_started_at_once() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    for moment in (0, 1, 3, 7, 200):
        now = moment
        assert pace.is_due("scheduler")
        pace.note("scheduler")
    now = 201.0
    assert pace.is_due("scheduler")


def test_what_has_died_is_seen(layout: Layout) -> None:
    ourselves = ProcessRecord(os.getpid(), psutil.Process().create_time())
    state = State(processes={"s3": ourselves, "scheduler": ProcessRecord(ourselves.pid, ourselves.created - 3600)})
    assert keeper.dead(layout, state) == ["postgres", *airflow_services.SERVICES]
    assert not keeper.is_running(state)
    assert keeper.is_running(state.having("keeper", ourselves))


def test_a_scheduler_that_has_lost_a_worker_is_noticed_once(layout: Layout) -> None:
    worker = "import setproctitle, time; setproctitle.setproctitle('airflow worker -- LocalExecutor: <idle>'); "
    begun = f"[subprocess.Popen([sys.executable, '-c', {worker + 'time.sleep(60)'!r}]) for _ in range(2)]"
    scheduler = [sys.executable, "-c", f"import subprocess, sys, time; workers = {begun}; time.sleep(60)"]
    record = processes.launch(scheduler, os.environ, layout.local, layout.logs / "test.log")
    process = psutil.Process(record.pid)
    while sum("LocalExecutor" in " ".join(each.cmdline()) for each in process.children()) < 2:
        time.sleep(0.05)
    workers = Workers()
    assert not workers.one_is_lost(record)
    assert not workers.one_is_lost(record)
    process.children()[0].kill()
    while all(each.status() != psutil.STATUS_ZOMBIE for each in process.children()):
        time.sleep(0.05)
    assert workers.one_is_lost(record)
    assert not workers.one_is_lost(record)
    processes.kill(processes.session_of(record))
    # Then it is the scheduler that has died.
    assert not workers.one_is_lost(record)


def test_it_ends_when_the_stack_is_no_longer_its_own(layout: Layout) -> None:
    keeper.keep(layout)
    write_state(layout, State(processes={"keeper": ProcessRecord(1, 0.0)}))
    keeper.keep(layout)
    # Nothing was started.
    assert set(read_state(layout).processes) == {"keeper"}


def test_it_is_a_process_of_the_stack(layout: Layout) -> None:
    settings = {**os.environ, processes.MARKER: str(layout.local)}
    # As `up` does: until its start is written down, the keeper waits.
    with layout.locked():
        state = keeper.start(layout, settings, State())
        assert keeper.start(layout, settings, state) == state
        process = processes.find(state.processes["keeper"])
        assert process is not None
        assert process.cmdline()[0] == sys.executable
        assert "keeper" not in keeper.stop(layout, state).processes
    assert processes.find(state.processes["keeper"]) is None
