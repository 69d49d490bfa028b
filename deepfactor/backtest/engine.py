"""The engine: reads the delivery, hands tasks to processes, and keeps the books of months done and failed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from deepfactor.address import StoreAddress
from deepfactor.backtest.plan import months_with_returns
from deepfactor.backtest.schedule import FINISH, PREPARE, Pace, Schedule, Task
from deepfactor.backtest.steps import Work, perform
from deepfactor.backtest.workers import Failure, Outcome, Workers
from deepfactor.config import Config
from deepfactor.errors import DeepfactorError
from deepfactor.months import Month, Window
from deepfactor.raw import RawObjects, ingest_raw
from deepfactor.runs import Run
from deepfactor.sources import open_source
from deepfactor.sources.span import SpanSource

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a backtest is.

    Attributes
    ----------
    months, months_done, months_failed
        How many there are, are done, now or in an earlier backtest, and will not be done.
    trainings, trainings_done
        How many models the months that have not failed train, and how many of them are done.
    seconds_left
        Until all is done; none as long as that cannot be told.
    ended
        The month that has just ended, and why it failed, if it did.
    """

    months: int
    months_done: int
    months_failed: int
    trainings: int
    trainings_done: int
    seconds_left: float | None
    ended: tuple[Month, Failure | None] | None


@dataclass(frozen=True)
class Backtest:
    """What a backtest has come to.

    Attributes
    ----------
    runs
        The run of each month that is done.
    described
        The run of each month that is described, others than the backtest's own among them: they hold the returns.
    failures
        Why the other months are not done.
    without_returns
        Why months that only their returns were wanted of are not described.
    seconds
        What each step took, all months together, as far as it was not done before.
    """

    runs: dict[Month, Run] = field(default_factory=dict)
    described: dict[Month, Run] = field(default_factory=dict)
    failures: dict[Month, Failure] = field(default_factory=dict)
    without_returns: dict[Month, Failure] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def run_backtest(
    months: Sequence[Month],
    address: StoreAddress,
    config: Config,
    *,
    workers: int,
    memory: float,
    report: Callable[[Progress], None],
) -> Backtest:
    """Do all steps up to the gates for many months; what is done already is left alone.

    Parameters
    ----------
    months
        The as-of months, oldest first.
    address, config
        Where the runs go, and what they compute: those of ``deepfactor run`` for the same configuration.
    workers
        How many processes work at once.
    memory
        Gigabytes they may need together, as :mod:`deepfactor.backtest.schedule` estimates them.
    report
        Told of every task that ends.

    Raises
    ------
    DeepfactorError
        If the source or the store cannot be used at all. A month that fails does not stop the others.
    """
    return _Engine(months, address, config, workers, memory, report).run()


class _Engine:
    def __init__(
        self,
        months: Sequence[Month],
        address: StoreAddress,
        config: Config,
        workers: int,
        memory: float,
        report: Callable[[Progress], None],
    ) -> None:
        self._address, self._config, self._report = address, config, report
        self._store = address.open()
        self._months = frozenset(months)
        self._ahead = sorted({*months, *months_with_returns(months)}, reverse=True)
        self._schedule = Schedule(config.models, workers, memory)
        self._pace = Pace()
        self._runs: dict[Month, Run] = {}
        self._started: dict[Task, float] = {}
        training = [f"train-{model}" for model in config.models]
        # The tasks of each month that are neither over nor dropped because another has failed.
        self._open = {
            month: {PREPARE, *training, FINISH} if month in self._months else {PREPARE} for month in self._ahead
        }
        self._result = Backtest()

    def run(self) -> Backtest:
        source = self._open_source()
        objects = RawObjects(self._store)
        with Workers(self._schedule.workers) as workers:
            while True:
                while (task := self._schedule.start()) is not None:
                    self._started[task] = perf_counter()
                    workers.start(task, perform, task.kind, self._runs[task.month], self._address, self._config)
                # While the workers are at it, the next month is made ready for them.
                if self._ahead and self._schedule.wants_month():
                    self._begin(self._ahead.pop(), source, objects)
                elif self._schedule.running:
                    for task, outcome in workers.finished():
                        self._end(task, outcome)
                else:
                    return self._result

    def _open_source(self) -> SpanSource:
        source = open_source(self._config.source)
        first, last, newest = min(self._months), max(self._months), self._ahead[0]
        if newest > last:
            # The month after the last forecast may not be there yet.
            if source.ready(newest):
                last = newest
            else:
                self._ahead.remove(newest)
                del self._open[newest]
        return SpanSource(source, Window(first).first_history, last)

    def _begin(self, month: Month, source: SpanSource, objects: RawObjects) -> None:
        started = perf_counter()
        try:
            self._runs[month] = ingest_raw(month, self._store, self._config, source, objects)
        except DeepfactorError as error:
            # If nobody answers, no other month will fare better.
            if error.retryable:
                raise
            self._fail(month, Failure(f"{type(error).__name__}: {error}"))
        else:
            self._add_seconds({"ingest": perf_counter() - started})
            self._schedule.begin(month, only_prepare=month not in self._months)

    def _end(self, task: Task, outcome: Outcome) -> None:
        for record in outcome.records:
            logging.getLogger(record.name).handle(record)
        self._open[task.month].discard(task.kind)
        if outcome.failure is not None:
            self._schedule.failed(task)
            self._fail(task.month, outcome.failure)
            return
        work: Work = outcome.value
        if work.seconds:
            self._add_seconds(work.seconds)
            self._pace.finished(task.kind, self._started[task], perf_counter())
        if task.kind == PREPARE:
            self._result.described[task.month] = self._runs[task.month]
        self._schedule.done(task)
        if task.kind == FINISH:
            self._result.runs[task.month] = self._runs[task.month]
        self._tell((task.month, None) if task.kind == FINISH else None)

    def _fail(self, month: Month, failure: Failure) -> None:
        self._open[month] = {task.kind for task in self._schedule.running if task.month == month}
        failures = self._result.failures if month in self._months else self._result.without_returns
        if month not in failures:
            # The same fault in every month is shown once.
            if failure.traceback not in {None, *(each.traceback for each in failures.values())}:
                LOGGER.error("%s: %s\n%s", month, failure.reason, failure.traceback)
            failures[month] = failure
            self._tell((month, failure) if month in self._months else None)

    def _add_seconds(self, seconds: Mapping[str, float]) -> None:
        for step, each in seconds.items():
            self._result.seconds[step] = self._result.seconds.get(step, 0.0) + each

    def _tell(self, ended: tuple[Month, Failure | None] | None) -> None:
        remaining = Counter(kind for kinds in self._open.values() for kind in kinds)
        good = self._months - self._result.failures.keys()
        trainings = len(self._config.models) * len(good)
        training_left = sum(kind.startswith("train-") for month in good for kind in self._open[month])
        self._report(
            Progress(
                months=len(self._months),
                months_done=len(self._result.runs),
                months_failed=len(self._result.failures),
                trainings=trainings,
                trainings_done=trainings - training_left,
                seconds_left=self._pace.seconds_left(remaining),
                ended=ended,
            )
        )
