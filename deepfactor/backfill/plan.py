"""Which months a backfill has to run, and the backfills of Airflow's that run exactly these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from deepfactor.backfill.errors import BackfillError
from deepfactor.months import Month, month_range

Reprocess = Literal["none", "failed", "all"]

ACTIVE = frozenset({"queued", "running"})


class Behaviour(IntEnum):
    """Which months that have a run Airflow runs again, by its own names; each takes in the ones before."""

    NONE = 0
    FAILED = 1
    COMPLETED = 2

    @property
    def word(self) -> str:
        """How the REST API writes it."""
        return self.name.lower()


@dataclass(frozen=True)
class MonthStatus:
    """What is known of a month.

    Attributes
    ----------
    month
        The as-of month.
    run
        Id of Airflow's run, none if there is none.
    state
        The run's state.
    published
        Whether the store has its manifest; none if the store is not known.
    """

    month: Month
    run: str | None = None
    state: str | None = None
    published: bool | None = None

    @property
    def done(self) -> bool:
        """Whether the month is published, as far as one can see."""
        return self.state == "success" if self.published is None else self.published

    @property
    def active(self) -> bool:
        """Whether Airflow works on it, or will."""
        return self.state in ACTIVE

    def is_wanted(self, reprocess: Reprocess) -> bool:
        """Tell whether the month is to be run."""
        if self.active:
            return False
        if reprocess == "all":
            return True
        # A run that succeeded without a manifest published elsewhere, or its manifest is lost: the month is missing.
        return not self.done and (self.state != "failed" or reprocess == "failed")

    @property
    def needs(self) -> Behaviour:
        """What a backfill must be told so that Airflow runs the month."""
        return {"failed": Behaviour.FAILED, "success": Behaviour.COMPLETED}.get(self.state or "", Behaviour.NONE)

    def would_run(self, behaviour: Behaviour) -> bool:
        """Tell whether Airflow runs the month in a backfill that contains it."""
        return not self.active and self.needs <= behaviour


@dataclass(frozen=True)
class Stretch:
    """One backfill of Airflow's: from the first month to the last, both included."""

    first: Month
    last: Month
    behaviour: Behaviour
    months: tuple[Month, ...]


def chosen_span(first: str, last: str) -> tuple[Month, ...]:
    """Return the months of ``--from`` and ``--to``.

    Raises
    ------
    ConfigurationError
        If one is not a month.
    BackfillError
        If the first comes after the last.
    """
    start, end = Month.parse(first), Month.parse(last)
    if start > end:
        raise BackfillError(f"--from {start} comes after --to {end}: turn them around")
    return tuple(month_range(start, end))


def stretches(statuses: Sequence[MonthStatus], reprocess: Reprocess) -> tuple[Stretch, ...]:
    """Return the fewest backfills that run every month that is wanted and no other.

    A backfill of Airflow's is a span, and all of its months are told the same: what lies between two wanted months must
    be left alone by itself, or the span ends before it.

    Parameters
    ----------
    statuses
        Of consecutive months, oldest first.
    reprocess
        Which months that have a run are wanted again.
    """
    found: list[Stretch] = []
    wanted = [status.is_wanted(reprocess) for status in statuses]
    start = 0
    for end in (index for index, is_wanted in enumerate(wanted) if is_wanted):
        longer = _stretch(statuses[start : end + 1], wanted[start : end + 1]) if found else None
        if longer is not None:
            found[-1] = longer
            continue
        start = end
        found.append(Stretch(statuses[end].month, statuses[end].month, statuses[end].needs, (statuses[end].month,)))
    return tuple(found)


def _stretch(statuses: Sequence[MonthStatus], wanted: Sequence[bool]) -> Stretch | None:
    """Return one backfill for these months, none if it would run another month, too."""
    chosen = [status for status, is_wanted in zip(statuses, wanted, strict=True) if is_wanted]
    behaviour = max(status.needs for status in chosen)
    if [status for status in statuses if status.would_run(behaviour)] != chosen:
        return None
    return Stretch(chosen[0].month, chosen[-1].month, behaviour, tuple(status.month for status in chosen))
