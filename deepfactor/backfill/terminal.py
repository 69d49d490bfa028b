"""What the terminal shows of a backfill: a bar, or lines where there is no terminal, the plan, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich import progress
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from deepfactor.backfill.airflow import Backfill
from deepfactor.backfill.driving import Plan
from deepfactor.backfill.following import Progress
from deepfactor.backfill.outcome import MonthOutcome
from deepfactor.backfill.plan import MonthStatus, Reprocess
from deepfactor.backfill.published import spans
from deepfactor.months import Month
from deepfactor.terminal import counting_columns, legible_lines


class BarDisplay:
    """Shows a backfill as a bar on a terminal, else as a line for each month that ends."""

    def __init__(self, console: Console, bar: progress.Progress | None) -> None:
        self._console = console
        self._bar = bar
        self._task: progress.TaskID | None = None
        self.backfill: Backfill | None = None

    def begin(self, backfill: Backfill, months: Sequence[Month], *, attached: bool) -> None:
        """Tell which backfill is followed, and whether it was there before."""
        self.backfill = backfill
        what = "Following" if attached else "Started"
        parameters = f", parameters {backfill.conf}" if backfill.conf else ""
        number = f"{len(months)} months, {backfill.max_active} at once{parameters}"
        self._console.print(Text(f"{what} {backfill}: {number}"), soft_wrap=True)
        if self._bar is not None:
            self._task = self._bar.add_task("backfill", total=len(months), counts="", left="")

    def show(self, told: Progress) -> None:
        """Tell how far it is."""
        self.backfill = told.backfill
        for month, state in told.ended:
            if state == "failed":
                self._console.print(Text(f"{month} failed", style="red"))
            elif self._bar is None:
                self._console.print(Text(f"{month} done; {counts(told)}, {left(told)}"), soft_wrap=True)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=told.done + told.failed, counts=counts(told), left=left(told))


@contextmanager
def shown_progress() -> Iterator[BarDisplay]:
    """Return what shows progress, on the standard error stream."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield BarDisplay(console, None)
        return
    with progress.Progress(*counting_columns(), console=console) as bar:
        yield BarDisplay(console, bar)


def counts(told: Progress) -> str:
    """Return the number of months done, failed and running."""
    failed = f", {told.failed} failed" if told.failed else ""
    return f"{told.done} of {told.months} months done{failed}, {told.running} running"


def left(told: Progress) -> str:
    """Return the time that is left, or why it is not known."""
    if told.backfill.is_paused:
        return "paused"
    if told.backfill.completed:
        return "completed"
    if told.seconds_left is None:
        return "time left not known yet"
    return f"{timedelta(seconds=round(told.seconds_left))} left"


def plan_text(plan: Plan, reprocess: Reprocess) -> RenderableType:
    """Return which months would be run, and which not and why."""
    groups: dict[str, list[Month]] = {}
    for status in plan.statuses:
        groups.setdefault(fate(status, reprocess), []).append(status.month)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("months", justify="right")
    table.add_column("what", no_wrap=True)
    table.add_column("which")
    for what, months in groups.items():
        table.add_row(str(len(months)), what, spans(months))
    lines = [Text(f"{plan.active} is active: it would be followed first.")] if plan.active else []
    lines += [
        Text(f"It would start a backfill {each.first} … {each.last} of {len(each.months)} months.")
        for each in plan.stretches
    ]
    return Group(table, *lines)


def fate(status: MonthStatus, reprocess: Reprocess) -> str:
    """Return in a few words what would become of a month."""
    if status.active:
        return f"{status.state} in Airflow"
    if status.is_wanted(reprocess):
        if status.state is None:
            return "would run"
        return "would run again" if status.done or status.state == "failed" else "would run again: manifest missing"
    if status.state == "failed" and not status.done:
        return "failed; --reprocess failed runs it again"
    return "published" if status.published else "done in Airflow"


def outcome_text(found: Sequence[MonthOutcome], *, store: str | None) -> RenderableType:
    """Return how many months are published, and of those that are not, why and what to do."""
    published = sum(each.published for each in found)
    witness = f"in {store}" if store else "by Airflow's word; the store is not known here, set DEEPFACTOR_STORE"
    summary = Text(f"{published} of {len(found)} months are published, {witness}.")
    summary.stylize("bold green" if published == len(found) else "bold")
    failures = [each for each in found if not each.published]
    if not failures:
        return summary
    table = Table(box=None, padding=(0, 2, 1, 0))
    for heading in ("month", "task"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", overflow="fold", ratio=3)
    table.add_column("what to do", overflow="fold", ratio=2)
    for each in failures:
        reason = legible_lines(each.reason or "")
        table.add_row(str(each.month), Text(each.task or "–"), Text(reason), Text(each.advice or ""))
    return Group(table, summary)
