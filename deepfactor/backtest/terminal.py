"""What the terminal shows of a backtest: a bar, or lines where there is no terminal, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich import progress
from rich.console import Console, Group, RenderableType
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from deepfactor.backtest.engine import Backtest, Progress
from deepfactor.backtest.results import Results
from deepfactor.months import Month
from deepfactor.terminal import counting_columns, legible_lines

# Column of the summary, its heading and its format.
_COLUMNS = (
    ("months", "months", "{:d}"),
    ("mae", "MAE", "{:.5f}"),
    ("rmse", "RMSE", "{:.5f}"),
    ("annual_return", "return", "{:+.2%}"),
    ("annual_volatility", "volatility", "{:.2%}"),
    ("sharpe_ratio", "Sharpe", "{:.2f}"),
    ("rank_ic", "rank IC", "{:+.4f}"),
    ("rank_ic_t", "t", "{:.1f}"),
)


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None]]:
    """Return what shows progress, on the standard error stream."""
    console = _log_console()
    if not console.is_terminal:
        yield lambda each: _print_line(console, each)
        return
    with progress.Progress(*counting_columns(), console=console) as bar:
        task = bar.add_task("backtest", total=None, counts="", left="")

        def show(each: Progress) -> None:
            # Models move the bar; a month that failed trains none any more.
            bar.update(
                task,
                total=each.trainings,
                completed=each.trainings_done,
                counts=_counts(each),
                left=_left(each.seconds_left),
            )
            month, failure = each.ended or (None, None)
            if failure is not None:
                bar.console.print(Text(f"{month} failed: {legible_lines(failure.reason)}", style="red"), soft_wrap=True)

        yield show


def summary_table(results: Results) -> RenderableType:
    """Return each model's performance over all months."""
    # Nine columns must fit into the 80 of a plain terminal.
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for _, heading, _ in _COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in results.summary:
        table.add_row(row["model"], *(_figure(row[name], form) for name, _, form in _COLUMNS))
    notes = [
        Text("Means over months; return and volatility a year, of the highest fifth less the lowest, equal weights."),
    ]
    if results.without_returns:
        notes.append(Text(f"No return yet of the month after {_span(results.without_returns)}."))
    return Group(table, *notes)


def failures_text(backtest: Backtest) -> Text:
    """Return the months that failed, each with its reason."""
    text = Text()
    for month, failure in sorted(backtest.failures.items()):
        text.append(f"{month} failed: ", style="bold red").append(f"{legible_lines(failure.reason)}\n")
    for month, failure in sorted(backtest.without_returns.items()):
        text.append(f"{month}, of which only the returns are wanted: ", style="yellow").append(
            f"{legible_lines(failure.reason)}\n"
        )
    text.rstrip()
    return text


def _log_console() -> Console:
    """Return the console that log lines go to: a bar must know of them, to stay below."""
    handlers = (each for each in logging.getLogger().handlers if isinstance(each, RichHandler))
    handler = next(handlers, None)
    return Console(stderr=True) if handler is None else handler.console


def _print_line(console: Console, each: Progress) -> None:
    if each.ended is None:
        return
    month, failure = each.ended
    told = "done" if failure is None else f"failed: {legible_lines(failure.reason)}"
    left = _left(each.seconds_left)
    console.print(Text(f"{month} {told}; {_counts(each)}{left and ', '}{left}"), soft_wrap=True)


def _counts(each: Progress) -> str:
    failed = f", {each.months_failed} failed" if each.months_failed else ""
    return f"{each.months_done} of {each.months} months{failed}, {each.trainings_done} of {each.trainings} models"


def _left(seconds: float | None) -> str:
    return f"{timedelta(seconds=round(seconds))} left" if seconds else ""


def _figure(value: Any, form: str) -> str:
    return "–" if value is None else form.format(value)


def _span(months: tuple[Month, ...]) -> str:
    return ", ".join(map(str, months)) if len(months) <= 3 else f"{months[0]} … {months[-1]} ({len(months)} months)"
