"""What a worker does of a month: the steps of the monthly run, as they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter

from deepfactor import pipeline
from deepfactor.address import StoreAddress
from deepfactor.backtest.schedule import FINISH, PREPARE
from deepfactor.config import Config
from deepfactor.runs import Run
from deepfactor.store import Store


@dataclass(frozen=True)
class Work:
    """What a task took.

    Attributes
    ----------
    seconds
        By step, of the steps that were not done before.
    """

    seconds: dict[str, float]


def steps_of(kind: str) -> tuple[str, ...]:
    """Return the steps of a kind of task, in order, as their records are named."""
    return {PREPARE: ("validate", "describe"), FINISH: ("attribute", "bless")}.get(kind, (kind,))


def perform(kind: str, run: Run, address: StoreAddress, config: Config) -> Work:
    """Do the steps of a task; those that were done before, and are whole, are left alone.

    Parameters
    ----------
    kind
        The kind of task.
    run, config
        As in every step.
    address
        The store.

    Raises
    ------
    DeepfactorError
        As the steps do.
    """
    store = _opened(address)
    seconds = {}
    for step in steps_of(kind):
        before = store.exists(run.key(f"steps/{step}.json"))
        started = perf_counter()
        _do(step, run, store, config)
        if not before:
            seconds[step] = perf_counter() - started
    return Work(seconds)


def _do(step: str, run: Run, store: Store, config: Config) -> None:
    if step.startswith("train-"):
        pipeline.train(run, store, config, step.removeprefix("train-"))
        return
    steps = {
        "validate": pipeline.validate,
        "describe": pipeline.describe,
        "attribute": pipeline.attribute,
        "bless": pipeline.bless,
    }
    steps[step](run, store, config)


@lru_cache(maxsize=1)
def _opened(address: StoreAddress) -> Store:
    """Return the store, connected once in a process."""
    return address.open()
