from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deepfactor.stack import processes
from deepfactor.stack.layout import Layout
from deepfactor.stack.stack import down, status
from deepfactor.stack.state import ProcessRecord, State, read_state, write_state

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Ignores SIGTERM, and has a child that would outlive it.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    f"subprocess.Popen({SLEEP!r})\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)",
]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.create()
    return layout


@pytest.fixture
def foreigner() -> Iterator[psutil.Process]:
    with subprocess.Popen(SLEEP) as process:
        yield psutil.Process(process.pid)
        process.kill()


def launch(layout: Layout, command: list[str] = SLEEP) -> ProcessRecord:
    environment = {**os.environ, processes.MARKER: str(layout.local)}
    return processes.launch(command, environment, layout.airflow, layout.logs / "test.log")


def test_a_launched_process_leads_its_session_and_is_found_again(layout: Layout) -> None:
    record = launch(layout)
    process = processes.find(record)
    assert process is not None
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    processes.stop([process])
    assert processes.find(record) is None


def test_another_process_with_the_recorded_id_is_not_ours(foreigner: psutil.Process, layout: Layout) -> None:
    record = ProcessRecord(foreigner.pid, foreigner.create_time() - 3600)
    assert processes.find(record) is None
    assert processes.session_of(record) == []
    write_state(layout, State(processes={"scheduler": record, "s3": record}))
    assert down(layout) == []
    assert foreigner.is_running()


def test_down_stops_what_was_started_and_leaves_the_rest_alone(foreigner: psutil.Process, layout: Layout) -> None:
    record = launch(layout)
    write_state(layout, State(processes={"scheduler": record}))
    assert down(layout) == ["scheduler"]
    assert processes.find(record) is None
    assert foreigner.is_running()
    assert read_state(layout).processes == {}
    assert down(layout) == []


def test_down_finds_processes_that_the_state_file_has_lost(foreigner: psutil.Process, layout: Layout) -> None:
    record = launch(layout)
    assert down(layout) == [f"left-over process {record.pid}"]
    assert processes.find(record) is None
    assert foreigner.is_running()


def test_down_does_not_touch_another_stack(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    other.create()
    record = launch(other)
    assert down(layout) == []
    assert processes.find(record) is not None
    assert down(other) == [f"left-over process {record.pid}"]


def test_a_process_that_ignores_the_signal_is_killed_with_its_children(layout: Layout) -> None:
    record = launch(layout, STUBBORN)
    while "ready" not in processes.tail(layout.logs / "test.log"):
        time.sleep(0.05)
    leader = processes.find(record)
    assert leader is not None
    children = leader.children(recursive=True)
    assert len(children) == 1
    processes.stop([leader], patience=0.5)
    assert processes.find(record) is None
    assert not children[0].is_running()


def test_what_a_killed_leader_leaves_is_known_by_its_session(layout: Layout) -> None:
    record = launch(layout, STUBBORN)
    while "ready" not in processes.tail(layout.logs / "test.log"):
        time.sleep(0.05)
    leader = psutil.Process(record.pid)
    orphan = leader.children()[0]
    leader.kill()
    leader.wait(5)
    assert [each.pid for each in processes.session_of(record)] == [orphan.pid]
    processes.stop([], processes.session_of(record), patience=0.1)
    assert not orphan.is_running()


def test_down_before_any_up(tmp_path: Path) -> None:
    assert down(Layout(tmp_path)) == []
    assert not (tmp_path / ".local").exists()
    assert {each.state for each in status(Layout(tmp_path))} == {"down"}


def test_a_damaged_state_file_counts_as_none(layout: Layout) -> None:
    layout.state.write_text("{half")
    assert read_state(layout) == State()


def test_state_is_read_back_and_readable_by_its_owner_only(layout: Layout) -> None:
    state = State(processes={"s3": ProcessRecord(1, 2.5)}, ports={"s3": 4566}, migrated="3.3.2", settings="digest")
    write_state(layout, state)
    assert read_state(layout) == state
    assert layout.state.stat().st_mode & 0o777 == 0o600
    write_state(layout, replace(state, migrated=None))
    assert layout.state.stat().st_mode & 0o777 == 0o600
    assert list(layout.local.glob(".stack.json.*")) == []
