"""What the commands share: the console, the store they work on, and how a failure that was foreseen is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich import progress
from rich.console import Console

from deepfactor.address import configured_address
from deepfactor.config import INCLUDE
from deepfactor.errors import DeepfactorError
from deepfactor.models.progress import Progress, TrainingProgress, log_progress
from deepfactor.reports.numbers import legible
from deepfactor.store import Store


def console() -> Console:
    """Return a console that does not squeeze its tables where there is no terminal to fit."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=120)


@contextmanager
def opened_store() -> Iterator[Store]:
    """Open the store that DEEPFACTOR_STORE names, else the embedded one."""
    with configured_address(INCLUDE.parent) as address:
        yield address.open()


@contextmanager
def expected_failures() -> Iterator[None]:
    """Print an expected failure as a message, not as a stack trace, and exit with 1."""
    try:
        yield
    except DeepfactorError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/bold red]: ", end="")
        Console(stderr=True).print(legible_lines(str(error)), markup=False, highlight=False, emoji=False)
        raise typer.Exit(1) from None


def legible_lines(text: str) -> str:
    """Return a message as a terminal can show it: lines stay lines, and no name in it steers the terminal."""
    return "\n".join(map(legible, text.split("\n")))


class LegibleFormatter(logging.Formatter):
    """Writes log lines that no name from the data can divide, colour or overwrite."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message on one line, and below it the trace if there is one."""
        record.message = legible(record.getMessage().replace("\n", " "))
        line = self.formatMessage(record)
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return f"{line}\n{legible_lines(trace)}" if trace else line


def write_page(path: Path, page: bytes) -> None:
    """Write the page that ``--html`` asks for."""
    try:
        path.write_bytes(page)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--html") from None


def counting_columns() -> tuple[progress.ProgressColumn, ...]:
    """Return the columns of a bar over many months; its tasks have the fields ``counts`` and ``left``."""
    return (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[counts]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[left]}"),
    )


@contextmanager
def shown_training(output: Console) -> Iterator[Progress]:
    """Return what shows the training of a model: a bar that goes when it is done; without a terminal, log lines."""
    if not output.is_terminal:
        yield log_progress
        return
    columns = (
        progress.TextColumn("  train {task.fields[model]:<8}"),
        progress.BarColumn(bar_width=30),
        progress.TextColumn("{task.description}"),
    )
    with progress.Progress(*columns, console=output, transient=True) as bar:
        task = bar.add_task("", model="", visible=False)

        def show(told: TrainingProgress) -> None:
            log_progress(told)
            running = told.epoch < told.epochs
            bar.update(
                task,
                description=told.figures(),
                model=told.model,
                total=told.epochs,
                completed=told.epoch,
                visible=running,
            )

        yield show
