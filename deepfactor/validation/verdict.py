"""The verdict on a month: what stops it, what is set aside, what is only reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from deepfactor.config import Config
from deepfactor.errors import ValidationFailed
from deepfactor.months import Window
from deepfactor.schemas import REQUIRED
from deepfactor.validation.documents import PASSED, STOPPED, render
from deepfactor.validation.facts import column_facts, month_facts, row_facts
from deepfactor.validation.judging import Judgement, judge, open_context
from deepfactor.validation.suites import Rule, read_suite

QUARANTINE_SCHEMA = {
    "table": pl.String,
    "row": pl.Int64,
    "month": pl.Date,
    "security_id": pl.String,
    "reason": pl.String,
    "details": pl.String,
}

Frames = Mapping[tuple[str, str], pl.DataFrame]


@dataclass(frozen=True)
class Validation:
    """The outcome of a month's validation.

    Attributes
    ----------
    passed
        Whether anything may be computed from the month.
    verdict
        The same in numbers, for machines: JSON without times or random identifiers.
    tables
        The raw tables without the rows set aside.
    quarantined
        A row for each row set aside: ``table``, ``row`` (0-based in the raw table), ``month`` in which it became
        known, ``security_id``, ``reason`` (the first rule it fails) and ``details`` (all of them, with values).
    documents
        Data Docs: relative path and content.
    """

    passed: bool
    verdict: dict[str, Any]
    tables: dict[str, pl.DataFrame]
    quarantined: pl.DataFrame
    documents: dict[str, bytes]

    def require(self) -> Validation:
        """Return itself if it passed.

        Raises
        ------
        ValidationFailed
            Naming what failed.
        """
        if not self.passed:
            faults = "; ".join(self.verdict["faults"])
            raise ValidationFailed(f"the data of {self.verdict['month']} did not pass validation: {faults}")
        return self


def validate(tables: Mapping[str, pl.DataFrame], window: Window, config: Config) -> Validation:
    """Judge the raw tables of a window by the expectation suites.

    Parameters
    ----------
    tables
        Raw tables of all months of the window, by name.
    window
        The months; what became known in ``window.as_of`` is "the month".
    config
        For the suites and the exchange calendar.

    Raises
    ------
    ConfigurationError
        If a suite is missing, empty or cannot be understood.
    ValidationFailed
        If a required table is missing, or judging itself fails: then nothing is known of the data.
    """
    if missing := [name for name in REQUIRED if name not in tables]:
        raise ValidationFailed(f"{window.as_of}: there is no {', '.join(missing)}, so the month is not validated")
    rules = {name: read_suite(name, config.expectations.get(name)) for name in tables}
    columns = {(name, "columns"): column_facts(name, table) for name, table in tables.items()}
    context = open_context()
    judgements = _judge_all(context, rules, columns, window)
    faults = _faults(judgements, {}, window)
    # Facts about rows and months can only be computed from columns that are as they should be.
    if not faults:
        frames = _facts(tables, window)
        judgements += _judge_all(context, rules, frames, window)
        faults = _faults(judgements, frames, window)
    quarantined = _quarantined(judgements, tables)
    summaries = {name: _summary(name, faults, quarantined) for name in tables}
    return Validation(
        passed=not faults,
        verdict=_verdict(rules, judgements, faults, quarantined, window),
        tables={name: _without(table, quarantined.filter(table=name)["row"]) for name, table in tables.items()},
        quarantined=quarantined,
        documents=render(window.as_of, config.calendar, judgements, summaries),
    )


def _facts(tables: Mapping[str, pl.DataFrame], window: Window) -> Frames:
    try:
        rows, months = row_facts(tables, window), month_facts(tables, window)
    except pl.exceptions.PolarsError as error:
        raise ValidationFailed(
            f"{window.as_of}: the facts to be judged cannot be computed, so the month is not validated: {error}"
        ) from error
    return {(name, "rows"): frame for name, frame in rows.items()} | {
        (name, "months"): frame for name, frame in months.items()
    }


def _judge_all(context: Any, rules: Mapping[str, Sequence[Rule]], frames: Frames, window: Window) -> list[Judgement]:
    judged: dict[tuple[str, str], Judgement] = {}
    for (table, of), frame in frames.items():
        for scope in ("window", "month"):
            chosen = [rule for rule in rules[table] if (rule.of, rule.scope) == (of, scope)]
            if not chosen:
                continue
            for judgement in judge(context, chosen, _scoped(frame, of, scope, window)):
                judged[table, judgement.rule.name] = judgement
    keys = [(table, rule.name) for table, suite in rules.items() for rule in suite]
    return [judged[key] for key in keys if key in judged]


def _scoped(frame: pl.DataFrame, of: str, scope: str, window: Window) -> pl.DataFrame:
    if scope == "window" or of == "columns":
        return frame
    return frame.filter(pl.col("scope_month" if of == "rows" else "month") == window.as_of.first_day)


def _faults(judgements: Iterable[Judgement], frames: Frames, window: Window) -> list[str]:
    """Return what stops the month, in sentences."""
    faults = []
    for each in judgements:
        rule = each.rule
        found = "" if each.observed in (None, []) else f" (found {each.observed})"
        if rule.severity == "error" and not each.met:
            faults.append(f"{rule.table}: {rule.message}{found}")
        if rule.maximum_share is not None and each.rows:
            share = _largest_share(each.rows, frames[rule.table, "rows"], window)
            # One row alone never stops a month, however small the market.
            if share > rule.maximum_share and len(each.rows) > 1:
                faults.append(
                    f"{rule.table}: {rule.message}, in {share:.1%} of rows where {rule.maximum_share:.1%} are allowed"
                    f"{found}"
                )
    return faults


def _largest_share(rows: Mapping[int, str], frame: pl.DataFrame, window: Window) -> float:
    """Return the share of rows set aside, of the window or of the as-of month, whichever is larger."""
    month = (frame["scope_month"] == window.as_of.first_day).to_numpy()
    aside = int(month[sorted(rows)].sum())
    return max(len(rows) / frame.height, aside / int(month.sum()) if month.any() else 0.0)


def _quarantined(judgements: Iterable[Judgement], tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    reasons: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for each in judgements:
        for row, values in each.rows.items():
            reasons.setdefault((each.rule.table, int(row)), []).append((each.rule.name, values))
    records = []
    for (name, row), found in sorted(reasons.items()):
        content = tables[name].row(row, named=True)
        day = content["available_from" if name == "fundamentals" else "month"]
        records.append(
            {
                "table": name,
                "row": row,
                "month": None if day is None else day.replace(day=1),
                "security_id": content.get("security_id"),
                "reason": found[0][0],
                "details": "; ".join(f"{reason}: {values}" for reason, values in found),
            }
        )
    return pl.DataFrame(records, schema=QUARANTINE_SCHEMA)


def _without(table: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    aside = rows.cast(pl.UInt32).implode()
    return table.with_row_index("row").filter(~pl.col("row").is_in(aside)).drop("row") if rows.len() else table


def _summary(name: str, faults: Sequence[str], quarantined: pl.DataFrame) -> str:
    own = [fault for fault in faults if fault.startswith(f"{name}: ")]
    aside = quarantined.filter(table=name).height
    return (f"{STOPPED} {'; '.join(own)}. " if own else f"{PASSED} ") + f"{aside} rows set aside."


def _verdict(
    rules: Mapping[str, Sequence[Rule]],
    judgements: Sequence[Judgement],
    faults: Sequence[str],
    quarantined: pl.DataFrame,
    window: Window,
) -> dict[str, Any]:
    judged = {(each.rule.table, each.rule.name): each for each in judgements}
    counts = quarantined.group_by("table", "reason").len("rows").sort("table", "reason")
    return {
        "month": str(window.as_of),
        "first_month": str(window.first_history),
        "passed": not faults,
        "faults": list(faults),
        "quarantined": counts.to_dicts(),
        "expectations": [
            _entry(rule, judged.get((table, rule.name))) for table, suite in rules.items() for rule in suite
        ],
    }


def _entry(rule: Rule, judgement: Judgement | None) -> dict[str, Any]:
    return {
        "table": rule.table,
        "suite": rule.table,
        "name": rule.name,
        "expectation": rule.type,
        "severity": rule.severity,
        "of": rule.of,
        "scope": rule.scope,
        "message": rule.message,
        "evaluated": judgement is not None,
        "success": judgement is not None and judgement.met,
        "observed": None if judgement is None else judgement.observed,
        "unexpected_count": None if judgement is None else judgement.unexpected,
        "maximum_share": rule.maximum_share,
    }
