"""Watching a run of a DAG: one line a task, its state and its seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deepfactor.stack.airflow_client import FINISHED, AirflowClient, TaskState

STEPS = ("ingest", "validate", "describe", "train", "attribute", "bless", "publish")

_INTERVAL = 1.0
_COLOURS = {"success": "green", "running": "cyan", "failed": "red", "upstream_failed": "red", "up_for_retry": "yellow"}
_WORDS = {None: "waiting", "up_for_retry": "will try again", "upstream_failed": "not reached", "success": "done"}


def follow(session: AirflowClient, dag: str, run: str, console: Console) -> str:
    """Show a run until it ends, and return its state."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            while True:
                state = str(session.run(dag, run)["state"])
                live.update(tasks_table(ordered(session.tasks(dag, run))))
                if state in FINISHED:
                    return state
                time.sleep(_INTERVAL)
    return _print_changes(session, dag, run, console)


def ordered(tasks: Sequence[TaskState]) -> list[TaskState]:
    """Return the tasks in the order of the flow."""
    return sorted(tasks, key=lambda each: (STEPS.index(each.task) if each.task in STEPS else len(STEPS), each.index))


def tasks_table(tasks: Sequence[TaskState]) -> Table:
    """Return a line a task."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("task", min_width=20)
    table.add_column("state", min_width=14)
    table.add_column("seconds", justify="right")
    for each in tasks:
        seconds = _seconds(each)
        table.add_row(
            Text(each.name),
            Text(_word(each.state), style=_COLOURS.get(each.state or "", "dim")),
            "" if seconds is None else f"{seconds:.1f}",
        )
    return table


def _print_changes(session: AirflowClient, dag: str, run: str, console: Console) -> str:
    """Print a line whenever a task ends: what is not a terminal cannot be written over."""
    printed: set[str] = set()
    while True:
        state = str(session.run(dag, run)["state"])
        for each in ordered(session.tasks(dag, run)):
            if each.state in FINISHED and each.name not in printed:
                printed.add(each.name)
                line = f"  {each.name:<20} {_word(each.state):<14} {_seconds(each) or 0.0:6.1f} s"
                console.print(line, markup=False, highlight=False)
        if state in FINISHED:
            return state
        time.sleep(_INTERVAL)


def _word(state: str | None) -> str:
    return _WORDS.get(state, state or "waiting")


def _seconds(task: TaskState) -> float | None:
    if task.state == "running" and task.started is not None:
        return max(0.0, (datetime.now(UTC) - task.started).total_seconds())
    return task.seconds
