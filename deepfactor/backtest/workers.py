"""Processes that work for one parent: each does a task at a time, and none outlives the parent.

The standard pool of processes gives up as a whole when one of them is killed; here only its task is lost. A process
that the system kills for want of memory is what a long computation must expect.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from deepfactor.cores import available_cores
from deepfactor.errors import DeepfactorError

# Read by the libraries when they are loaded.
THREAD_VARIABLES = (
    "POLARS_MAX_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

_PATIENCE = 5.0


@dataclass(frozen=True)
class Failure:
    """Why a task did not end well.

    Attributes
    ----------
    reason
        One sentence for people.
    traceback
        Where a fault of the program happened; none for a failure that was foreseen.
    """

    reason: str
    traceback: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes
    ----------
    value
        What its function returned.
    failure
        Why it did not return.
    records
        What it logged.
    """

    value: Any = None
    failure: Failure | None = None
    records: list[logging.LogRecord] = field(default_factory=list, repr=False)


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    key: Hashable | None = None


class Workers:
    """Up to a number of processes, started when they are needed; leaving the ``with`` block ends them at once."""

    def __init__(self, count: int) -> None:
        """Prepare for a number of processes, which share the cores: each uses so many threads as it has of them.

        Parameters
        ----------
        count
            How many tasks may run at once.
        """
        threads = max(1, available_cores() // count)
        self._variables = dict.fromkeys(THREAD_VARIABLES, str(threads))
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.connection.close()
            # Nothing is lost: what is worth keeping is in the store, and what is there is whole.
            if kind is not None or worker.key is not None:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()
        self._workers.clear()

    def start(self, key: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Give a task to a process that has none.

        Parameters
        ----------
        key
            By which :meth:`finished` names the task.
        function, arguments
            What it calls; they and what is returned are pickled.

        Raises
        ------
        RuntimeError
            If all processes are busy.
        """
        # One that has nothing to do has nothing to say, unless it has ended.
        for each in [each for each in self._workers if each.key is None and each.connection.poll()]:
            self._forget(each)
        worker = next((each for each in self._workers if each.key is None), None)
        if worker is None:
            if len(self._workers) >= self._count:
                raise RuntimeError(f"all {self._count} workers are busy")
            worker = self._launch()
        worker.key = key
        # If it ends just now, that is noticed when it is waited for.
        with suppress(OSError):
            worker.connection.send((function, arguments))

    def finished(self) -> list[tuple[Any, Outcome]]:
        """Wait until a task ends, and return all that have: their keys and what came of them."""
        busy = [each for each in self._workers if each.key is not None]
        answering = wait([each.connection for each in busy])
        ended = []
        for worker in busy:
            if worker.connection not in answering:
                continue
            ended.append((worker.key, self._outcome(worker)))
            worker.key = None
        return ended

    def _launch(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        process = context.Process(target=_serve, args=(theirs, level), daemon=True)
        with _environment(self._variables), _interrupts_blocked():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _outcome(self, worker: _Worker) -> Outcome:
        try:
            outcome: Outcome = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            self._forget(worker)
            return Outcome(failure=Failure(f"its process {_end(worker.process.exitcode)}"))
        return outcome

    def _forget(self, worker: _Worker) -> None:
        worker.connection.close()
        self._workers.remove(worker)


def _end(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = ": perhaps memory was short, then lower --memory or --workers" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"
    return f"ended by itself with exit code {exit_code}"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started meanwhile, from their first instruction on: the parent ends them."""
    # Its own start, which comes with the first process, lets interrupts through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, level: int) -> None:
    """Do what comes through the connection until it is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    logging.basicConfig(level=level, format="%(message)s", handlers=[QueueHandler(records)], force=True)
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        value, failure = _attempt(function, arguments)
        connection.send(Outcome(value, failure, [records.get() for _ in range(records.qsize())]))


def _attempt(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Failure | None]:
    try:
        return function(*arguments), None
    except DeepfactorError as error:
        return None, Failure(f"{type(error).__name__}: {error}")
    except Exception as error:
        return None, Failure(f"a fault of the program: {type(error).__name__}: {error}", traceback.format_exc())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        # At once, from whatever the main thread is doing.
        os._exit(1)
