from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import psutil
import pytest

from deepfactor.backtest.workers import THREAD_VARIABLES, Failure, Outcome, Workers
from deepfactor.cores import available_cores
from deepfactor.errors import HistoryError


def sleep_and_return(seconds: float, value: Any) -> Any:
    time.sleep(seconds)
    return value, os.getpid()


def environment() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in THREAD_VARIABLES}


def log_and_fail(error: type[Exception]) -> None:
    logging.getLogger("deepfactor.somewhere").info("not told")
    logging.getLogger("deepfactor.somewhere").warning("%d is odd", 1)
    raise error("the reason")


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(3)


def _all(workers: Workers, count: int) -> dict[Any, Outcome]:
    ended: dict[Any, Outcome] = {}
    while len(ended) < count:
        ended |= dict(workers.finished())
    return ended


def test_tasks_run_beside_each_other_and_processes_are_used_again() -> None:
    with Workers(2) as workers:
        pids = []
        for _ in range(2):
            workers.start("a", sleep_and_return, 0.3, 1)
            workers.start("b", sleep_and_return, 0.3, 2)
            with pytest.raises(RuntimeError, match="all 2 workers are busy"):
                workers.start("c", sleep_and_return, 0, 3)
            ended = _all(workers, 2)
            assert [ended[key].value[0] for key in "ab"] == [1, 2]
            pids.append({ended[key].value[1] for key in "ab"})
        assert pids[0] == pids[1]
        assert len(pids[0]) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids[0])


def test_failures_and_log_lines_come_back(caplog: pytest.LogCaptureFixture) -> None:
    # A process of its own gets the level that is set here, whatever another test has left.
    caplog.set_level(logging.WARNING)
    with Workers(1) as workers:
        workers.start(1, log_and_fail, HistoryError)
        (foreseen,) = _all(workers, 1).values()
        workers.start(2, log_and_fail, ZeroDivisionError)
        (fault,) = _all(workers, 1).values()
    assert foreseen.failure == Failure("HistoryError: the reason")
    assert [(record.name, record.getMessage()) for record in foreseen.records] == [("deepfactor.somewhere", "1 is odd")]
    assert fault.failure is not None
    assert fault.failure.reason == "a fault of the program: ZeroDivisionError: the reason"
    assert 'raise error("the reason")' in (fault.failure.traceback or "")
    assert len(fault.records) == 1


def test_a_killed_process_costs_its_task_and_no_other() -> None:
    with Workers(2) as workers:
        workers.start("long", sleep_and_return, 1.0, "value")
        workers.start("killed", kill_itself)
        ended = _all(workers, 2)
        assert ended["long"].value[0] == "value"
        assert ended["killed"].failure == Failure(
            "its process was ended by SIGKILL: perhaps memory was short, then lower --memory or --workers"
        )
        workers.start("gone", leave)
        assert _all(workers, 1)["gone"].failure == Failure("its process ended by itself with exit code 3")
        workers.start("after", sleep_and_return, 0, "again")
        assert _all(workers, 1)["after"].value[0] == "again"


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_replaced() -> None:
    with Workers(1) as workers:
        workers.start(1, sleep_and_return, 0, None)
        first = psutil.Process(_all(workers, 1)[1].value[1])
        first.kill()
        psutil.wait_procs([first], 5)
        workers.start(2, sleep_and_return, 0, "value")
        assert _all(workers, 1)[2].value[0] == "value"


def test_each_has_its_share_of_the_cores() -> None:
    before = environment()
    cores = available_cores()
    for count in (1, cores):
        with Workers(count) as workers:
            workers.start(1, environment)
            assert _all(workers, 1)[1].value == dict.fromkeys(THREAD_VARIABLES, str(cores // count))
    assert environment() == before


def test_leaving_ends_what_still_works() -> None:
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Workers(2) as workers:
        workers.start(1, sleep_and_return, 0, None)
        pid = _all(workers, 1)[1].value[1]
        workers.start(2, sleep_and_return, 600, None)
        raise KeyboardInterrupt
    assert time.monotonic() - started < 60
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_the_parent(end: signal.Signals, tmp_path: Path) -> None:
    """Nor does a process end at once by itself when Ctrl-C reaches the whole group: its parent decides."""
    program = tmp_path / "parent.py"
    program.write_text(
        dedent(
            """
            import sys, time
            from deepfactor.backtest.workers import Workers
            from tests.backtest.test_workers import sleep_and_return

            if __name__ == "__main__":
                with Workers(1) as workers:
                    workers.start(1, sleep_and_return, 0, None)
                    ((_, outcome),) = workers.finished()
                    workers.start(2, sleep_and_return, 600, None)
                    print(outcome.value[1], flush=True)
                    workers.finished()
            """
        )
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root)}
    )
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    worker.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert worker.is_running()
    assert worker.status() != psutil.STATUS_ZOMBIE
    parent.send_signal(end)
    parent.wait(10)
    _, alive = psutil.wait_procs([worker], 10)
    assert alive == []
