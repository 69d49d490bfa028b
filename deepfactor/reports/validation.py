"""What the terminal shows of a month's validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deepfactor.reports.numbers import legible
from deepfactor.reports.verdict import Check, checks, quarantines

_EXAMPLES = 3


def validation_summary(verdict: Mapping[str, Any], quarantined: pl.DataFrame) -> RenderableType:
    """Return the verdict, what failed with its numbers, what was set aside with examples, and the warnings.

    Parameters
    ----------
    verdict, quarantined
        As in ``validation.Validation``. Names from the data are shown as they are, never read as markup.
    """
    every = checks(verdict)
    unmet = [each for each in every if not each.passed]
    passed = verdict.get("passed") is True
    title = Text(f"{verdict['month']} passed validation" if passed else f"{verdict['month']} did not pass validation")
    title.stylize("bold green" if passed else "bold red")
    title.append(f"   {len(every) - len(unmet)} of {len(every)} expectations met", style="not bold default")
    parts: list[RenderableType] = [title]
    parts += [Text(f"  ✗ {legible(fault)}", style="red") for fault in verdict.get("faults", ())]
    for heading, severities in (("Failed", ("error",)), ("Warnings", ("warning",))):
        chosen = [each for each in unmet if each.severity in severities]
        if chosen:
            parts += [Text(), Text(heading, style="bold"), _table(chosen)]
    parts += [Text(), Text("Set aside", style="bold"), _aside(verdict, quarantined)]
    return Group(*parts)


def _table(chosen: Sequence[Check]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Table", "Expectation", "Finding"):
        table.add_column(heading, overflow="fold")
    for each in chosen:
        table.add_row(Text(each.table), Text(each.expectation), Text(each.finding))
    return table


def _aside(verdict: Mapping[str, Any], quarantined: pl.DataFrame) -> RenderableType:
    reasons = quarantines(verdict)
    if not reasons:
        return Text("  no row")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Table", "Reason", "Rows", "Such as"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "Rows" else "left")
    for entry, each in zip(verdict["quarantined"], reasons, strict=True):
        rows = quarantined.filter(table=entry["table"], reason=entry["reason"]).head(_EXAMPLES)
        examples = [
            f"{legible(str(row['security_id']))} {str(row['month'])[:7]} ({legible(row['details'])})"
            for row in rows.iter_rows(named=True)
        ]
        table.add_row(Text(each.table), Text(each.reason), f"{each.rows:,}", Text("; ".join(examples)))
    return table
