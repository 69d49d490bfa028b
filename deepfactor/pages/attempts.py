"""Runs of months that are not published: how far they came, and what stopped them."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deepfactor.errors import ConfigurationError, IntegrityError
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.pages.shelf import Shelf
from deepfactor.runs import Run, StepRecord, read_record

_RUNS = "runs/"
STARTED, INVALID, REFUSED = "started", "failed validation", "refused by a gate"
# Of what has not been published for longer only that it was started is told.
_NEWEST = 12


@dataclass(frozen=True)
class Attempt:
    """A run that its month's manifest does not name.

    Attributes
    ----------
    run
        The run.
    state
        ``STARTED``, ``INVALID`` or ``REFUSED``; one that came through to the end is ``STARTED``, too.
    steps
        Names of the steps that are done.
    objects
        What validation and gates have left to look at, by name.
    """

    run: Run
    state: str
    steps: tuple[str, ...]
    objects: dict[str, Reference]


def attempts(shelf: Shelf, month: Month) -> list[Attempt]:
    """Return all runs of a month, published or not.

    Raises
    ------
    StoreError
        If the store does not answer, or a record cannot be read.
    """
    return [_attempt(shelf, Run(month, name)) for name in shelf.folder(f"{_RUNS}{month}/").folders]


def unpublished(shelf: Shelf, published: Collection[Month]) -> dict[Month, str]:
    """Return the state of every month that has a run and is not published; of several runs the one that came furthest.

    Raises
    ------
    StoreError
        If the store does not answer, or a record cannot be read.
    """
    found = []
    for name in shelf.folder(_RUNS).folders:
        try:
            found.append(Month.parse(name))
        except ConfigurationError:
            continue
    left = sorted(set(found) - set(published))
    states = dict.fromkeys(left, STARTED)
    newest = left[-_NEWEST:]
    with ThreadPoolExecutor(_NEWEST) as pool:
        for month, tried in zip(newest, pool.map(lambda each: attempts(shelf, each), newest), strict=True):
            if tried:
                states[month] = max(tried, key=_progress).state
    return states


def _progress(attempt: Attempt) -> int:
    return len(attempt.steps)


def _attempt(shelf: Shelf, run: Run) -> Attempt:
    steps = tuple(
        name.removesuffix(".json") for name in shelf.folder(run.key("steps/")).entity_tags if name.endswith(".json")
    )
    state = STARTED
    objects: dict[str, Reference] = {}
    for step, fact, failed in (("validate", "validation passed", INVALID), ("bless", "gates passed", REFUSED)):
        if step in steps:
            record = _record(run, shelf, step)
            objects |= record.objects
            state = state if record.facts.get(fact) is True else failed
    return Attempt(run, state, steps, objects)


def _record(run: Run, shelf: Shelf, step: str) -> StepRecord:
    try:
        return read_record(run, shelf, step)
    except IntegrityError as error:
        raise IntegrityError(f"{error}; the month can be run again") from None
