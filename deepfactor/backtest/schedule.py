"""Which task may start: months in order, models beside each other, within a limit of memory. Nothing is run here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import median

from deepfactor.months import Month

PREPARE, FINISH = "prepare", "finish"

# Gigabytes of a process that has done every other task before, and holds all their libraries and compiled programs, at
# the paper's 118,000 training rows; benchmarks/backtest.py measures them.
NEEDS: Mapping[str, float] = {
    PREPARE: 1.6,
    "train-linear": 1.6,
    "train-dfm1": 1.8,
    "train-dfm2": 1.8,
    "train-svr": 5.0,
    "train-forest": 3.0,
    FINISH: 1.6,
}
# Of one that has nothing to do.
IDLE = 1.3


@dataclass(frozen=True, order=True)
class Task:
    """A part of a month that is done in one go.

    Attributes
    ----------
    month
        The as-of month.
    kind
        ``prepare`` (validate, describe), ``train-<model>``, or ``finish`` (attribute, bless).
    """

    month: Month
    kind: str


@dataclass
class Schedule:
    """The tasks of the months that have been begun, and which of them are done.

    Attributes
    ----------
    models
        What is trained each month.
    workers
        How many tasks may run at once.
    memory
        Gigabytes that all of them may need; a task that alone needs more runs alone.
    needs, idle
        Gigabytes of a task by its kind, and of a worker without one.
    """

    models: Sequence[str]
    workers: int
    memory: float
    needs: Mapping[str, float] = field(default_factory=lambda: NEEDS)
    idle: float = IDLE
    running: set[Task] = field(default_factory=set, init=False)
    _waiting: dict[Task, set[Task]] = field(default_factory=dict, init=False)

    @property
    def unfinished(self) -> set[Month]:
        """The months that have been begun and are not done."""
        return {task.month for task in (*self._waiting, *self.running)}

    def wants_month(self) -> bool:
        """Tell whether another month should be begun: enough to keep all workers busy, not more."""
        return len(self.unfinished) <= self.workers

    def begin(self, month: Month, *, only_prepare: bool = False) -> None:
        """Add a month's tasks.

        Parameters
        ----------
        month
            A month that has not been begun.
        only_prepare
            Whether nothing is trained.
        """
        prepare = Task(month, PREPARE)
        self._waiting[prepare] = set()
        if not only_prepare:
            training = {Task(month, f"train-{model}") for model in self.models}
            self._waiting |= {Task(month, f"train-{model}"): {prepare} for model in self.models}
            self._waiting[Task(month, FINISH)] = training or {prepare}

    def start(self) -> Task | None:
        """Return a task that may start now, and count it as running; none if nothing may."""
        if len(self.running) >= self.workers:
            return None
        ready = [task for task, before in self._waiting.items() if not before and self._fits(task)]
        if not ready:
            return None
        # The oldest month first, so that months end one after the other; within it what was added first.
        task = min(ready, key=lambda each: each.month)
        del self._waiting[task]
        self.running.add(task)
        return task

    def done(self, task: Task) -> bool:
        """Count a running task as done; tell whether its month is done with it."""
        self.running.remove(task)
        for before in self._waiting.values():
            before.discard(task)
        return task.month not in self.unfinished

    def failed(self, task: Task) -> None:
        """Count a running task as failed, and drop what waits of its month."""
        self.running.remove(task)
        self._waiting = {each: before for each, before in self._waiting.items() if each.month != task.month}

    def _fits(self, task: Task) -> bool:
        if not self.running:
            return True
        together = sum(self.needs[each.kind] for each in (*self.running, task))
        return together + self.idle * (self.workers - len(self.running) - 1) <= self.memory


@dataclass
class Pace:
    """How fast the work goes, from the tasks that were worked on; what was done before tells nothing."""

    _seconds: dict[str, list[float]] = field(default_factory=dict, init=False)
    _first: float = field(default=inf, init=False)
    _last: float = field(default=-inf, init=False)

    def finished(self, kind: str, started: float, ended: float) -> None:
        """Count a task.

        Parameters
        ----------
        kind
            The kind of task.
        started, ended
            When, in seconds of any clock.
        """
        self._seconds.setdefault(kind, []).append(ended - started)
        self._first, self._last = min(self._first, started), max(self._last, ended)

    def seconds_left(self, remaining: Mapping[str, int]) -> float | None:
        """Return the seconds until all is done; none as long as no task of some kind has been finished.

        The remaining tasks are taken to last as long as those of their kind usually did (the median: the first of a
        kind has libraries to load), and as many to run at once as did so far: the seconds of all finished tasks,
        divided by the seconds from the first start to the last end.

        Parameters
        ----------
        remaining
            Number of tasks that are not over, by kind.
        """
        kinds = [kind for kind, count in remaining.items() if count]
        if any(kind not in self._seconds for kind in kinds):
            return None
        worked = sum(map(sum, self._seconds.values()))
        to_do = sum(remaining[kind] * median(self._seconds[kind]) for kind in kinds)
        return to_do * (self._last - self._first) / worked if to_do else 0.0
