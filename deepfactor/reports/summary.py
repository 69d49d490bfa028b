"""What the terminal shows of a published month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from posixpath import commonpath
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deepfactor.objects import Reference
from deepfactor.reports.month import MonthReport, drivers
from deepfactor.reports.numbers import figure, legible, percent, size
from deepfactor.reports.verdict import failed_gates, gate_warnings

_EXTREMES = 10
_BAR = 40
# Seven columns must fit into the 80 of a plain terminal.
_PADDING = (0, 1, 0, 0)


def month_summary(report: MonthReport) -> RenderableType:
    """Return the top and bottom ten stocks of the signal model, each with its three largest contributions.

    Names from the data are shown as they are, never read as markup.

    Raises
    ------
    SchemaError
        If a table is not what its schema says, the signal model has no signals, or a stock has no account.
    """
    rows = report.stocks().to_dicts()
    # A market of fewer than twenty stocks is shown once, not twice.
    count = min(_EXTREMES, (len(rows) + 1) // 2)
    title = Text(f"Predicted total returns of {report.month + 1}, as of {report.month}", style="bold")
    title.append(f"   {legible(report.signal_model)}, {len(rows):,} stocks", style="not bold")
    return Group(
        title,
        Text("In percent of return; ± is the spread of the ensemble's members; contributions are signed."),
        Text(f"All predictions start from the level of {percent(rows[0]['level'])}, the same for every stock."),
        Text(),
        Text("Highest predictions", style="bold"),
        _stocks(rows[:count]),
        Text("Lowest predictions", style="bold"),
        _stocks(rows[count:][-count:]),
        _facts(report),
        _gates(report.gates),
    )


def objects_table(objects: Sequence[Reference]) -> Table:
    """Return what was published: keys below the folder they share, sizes and checksums."""
    folder = commonpath([each.key.rpartition("/")[0] for each in objects]) if objects else ""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=_PADDING)
    table.add_column(Text(f"Published below {folder}/" if folder else "Published"), overflow="fold")
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("SHA-256", no_wrap=True)
    for each in sorted(objects):
        table.add_row(Text(each.key.removeprefix(f"{folder}/")), size(each.size), each.sha256[:12])
    return table


def durations_table(durations: Mapping[str, float]) -> Table:
    """Return how long each step took.

    Parameters
    ----------
    durations
        Seconds by step, in the order of the steps.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Step")
    table.add_column("Seconds", justify="right")
    table.add_column("")
    longest = max(durations.values(), default=0.0) or 1.0
    for step, seconds in durations.items():
        table.add_row(Text(step), f"{seconds:.1f}", "█" * round(seconds / longest * _BAR))
    table.add_section()
    table.add_row("all", f"{sum(durations.values()):.1f}", "")
    return table


def _stocks(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=_PADDING)
    table.add_column("Rank", justify="right", no_wrap=True)
    table.add_column("Stock", overflow="fold", min_width=5)
    table.add_column("Return", justify="right", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    for heading in ("Largest factor", "second", "third"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(
            figure(row["rank"]),
            Text(legible(row["security_id"])),
            Text(percent(row["prediction"]), style="bold"),
            percent(row["dispersion"], signed=False),
            *(_contribution(factor, value) for factor, value in drivers(row)),
        )
    return table


def _contribution(factor: str, value: float) -> Text:
    # The sign says what the colour says: the table must be legible without colour.
    return Text(f"{factor:<8}{percent(value):>7}", style="cyan" if value > 0 else "yellow")


def _facts(report: MonthReport) -> Text:
    # Verdicts stand in the gates' line, and what was left out on the page.
    told = {name: value for name, value in report.facts.items() if not isinstance(value, bool)}
    shown = {"run": report.run_id} | {name: told[name] for name in told if name not in report.exclusions}
    return Text(" · ".join(f"{legible(name).replace('_', ' ')} {figure(value)}" for name, value in shown.items()))


def _gates(gates: Sequence[Mapping[str, Any]]) -> Text:
    failed, warned = failed_gates(gates), gate_warnings(gates)
    text = Text(f"Gates: {len(gates) - len(failed) - len(warned)} of {len(gates)} passed", style="bold")
    if not failed:
        names = dict.fromkeys(legible(str(each["gate"])) for each in gates if each["passed"])
        text.append(f" ({', '.join(names)})" if names else "", style="not bold")
    for word, style, chosen in (("failed", "bold red", failed), ("warning", "yellow", warned)):
        for each in chosen:
            whom = f" of {legible(str(each['model']))}" if each["model"] else ""
            text.append(
                f"\n  {word}: {legible(str(each['gate']))}{whom} is {figure(each['value'])}, "
                f"threshold {figure(each['threshold'])}: {legible(str(each['meaning']))}",
                style=style,
            )
    return text
