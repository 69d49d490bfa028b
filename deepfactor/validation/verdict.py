"""The verdict on a month: what stops it, what is set aside, what is only reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import polars as pl

from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, DeepfactorError, ValidationFailed
from deepfactor.months import Window
from deepfactor.schemas import RAW, REQUIRED, Table
from deepfactor.validation.documents import PASSED, STOPPED, render
from deepfactor.validation.facts import column_facts, month_facts, raw_distributions, row_facts
from deepfactor.validation.judging import Judgement, judge, open_context
from deepfactor.validation.quarantine import excess, quarantined, without
from deepfactor.validation.suites import Rule, read_suites

Tables = Mapping[str, pl.DataFrame]
# The frames of facts of one kind, by table; from the tables, the window, and the tables without the rows set aside.
Facts = Callable[[Tables, Window, Tables], Mapping[str, pl.DataFrame]]

_RAW_FACTS: dict[str, Facts] = {
    "rows": lambda tables, window, _: row_facts(tables, window),
    "months": month_facts,
    "distributions": lambda tables, window, _: raw_distributions(tables, window),
}


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
        The tables without the rows set aside.
    quarantined
        A row for each row set aside, as :func:`deepfactor.validation.quarantine.quarantined` returns it.
    render
        Makes the Data Docs.
    """

    passed: bool
    verdict: dict[str, Any]
    tables: dict[str, pl.DataFrame]
    quarantined: pl.DataFrame
    render: Callable[[], dict[str, bytes]] = field(repr=False)

    @cached_property
    def documents(self) -> dict[str, bytes]:
        """Data Docs: relative path and content.

        Raises
        ------
        ValidationFailed
            If they cannot be made: a verdict that nobody can look up is none.
        """
        with _closed(self.verdict["month"]):
            return self.render()

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


def validate(tables: Tables, window: Window, config: Config) -> Validation:
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
    if unknown := [name for name in tables if name not in RAW]:
        raise ValidationFailed(f"{window.as_of}: {unknown} are no raw tables, so the month is not validated")
    return conclude(tables, {name: RAW[name] for name in tables}, _RAW_FACTS, window, config)


def conclude(
    tables: Tables, schemas: Mapping[str, Table], facts: Mapping[str, Facts], window: Window, config: Config
) -> Validation:
    """Judge tables by their suites: columns, then each kind of facts, then what follows from it.

    Parameters
    ----------
    tables, schemas
        The tables, and what they must be, by name.
    facts
        For each kind of facts what computes its frames.
    window, config
        As in :func:`validate`.

    Raises
    ------
    ConfigurationError, ValidationFailed
        As in :func:`validate`.
    """
    rules = read_suites(tables, config.expectations)
    with _closed(str(window.as_of)):
        examined = _examine(tables, schemas, facts, rules, window)
    summaries = {name: _summary(name, examined) for name in tables}
    return Validation(
        passed=not examined.faults,
        verdict=_verdict(rules, examined, window),
        tables=without(tables, examined.aside),
        quarantined=examined.aside,
        render=partial(render, window.as_of, config.calendar, examined.judgements, summaries),
    )


@contextmanager
def _closed(month: str) -> Iterator[None]:
    """Turn whatever goes wrong into a month that is not validated."""
    try:
        yield
    except DeepfactorError:
        raise
    except Exception as error:
        raise ValidationFailed(
            f"{month}: the facts to be judged cannot be computed, so the month is not validated: "
            f"{type(error).__name__}: {error}"
        ) from error


@dataclass
class _Examination:
    """What is known so far: judgements, what stops the month in sentences, and the rows set aside."""

    judgements: list[Judgement] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    aside: pl.DataFrame = field(default_factory=lambda: quarantined([], {}))


def _examine(
    tables: Tables,
    schemas: Mapping[str, Table],
    facts: Mapping[str, Facts],
    rules: Mapping[str, Sequence[Rule]],
    window: Window,
) -> _Examination:
    context = open_context()
    columns = {name: column_facts(schemas[name], table) for name, table in tables.items()}
    examined = _Examination(_judge_all(context, rules, "columns", columns, window))
    examined.faults = _faults(examined.judgements, columns, window)
    # Facts about anything else can only be computed from columns that are as they should be.
    if not examined.faults:
        for of, compute in facts.items():
            frames = compute(tables, window, without(tables, examined.aside))
            judged = _judge_all(context, rules, of, frames, window)
            examined.judgements += judged
            examined.faults += _faults(judged, frames, window)
            if of == "rows":
                examined.aside = quarantined(judged, tables)
        _require_all_judged(rules, examined.judgements)
    order = [(table, rule.name) for table, suite in rules.items() for rule in suite]
    examined.judgements.sort(key=lambda each: order.index((each.rule.table, each.rule.name)))
    return examined


def _judge_all(
    context: Any, rules: Mapping[str, Sequence[Rule]], of: str, frames: Mapping[str, pl.DataFrame], window: Window
) -> list[Judgement]:
    judged = []
    for table, frame in frames.items():
        for scope in ("window", "month"):
            chosen = [rule for rule in rules[table] if (rule.of, rule.scope) == (of, scope)]
            if chosen:
                judged += judge(context, chosen, _scoped(frame, of, scope, window))
    return judged


def _require_all_judged(rules: Mapping[str, Sequence[Rule]], judgements: Iterable[Judgement]) -> None:
    judged = {(each.rule.table, each.rule.name) for each in judgements}
    left = [(table, rule.name) for table, suite in rules.items() for rule in suite if (table, rule.name) not in judged]
    if left:
        raise ConfigurationError(f"nothing is known that {left} could judge, so the month is not validated")


def _scoped(frame: pl.DataFrame, of: str, scope: str, window: Window) -> pl.DataFrame:
    if scope == "window" or of not in ("rows", "months"):
        return frame
    return frame.filter(pl.col("scope_month" if of == "rows" else "month") == window.as_of.first_day)


def _faults(judgements: Iterable[Judgement], frames: Mapping[str, pl.DataFrame], window: Window) -> list[str]:
    """Return what stops the month, in sentences."""
    faults = []
    for each in judgements:
        rule = each.rule
        found = "" if each.observed in (None, []) else f" (found {each.observed})"
        if rule.severity == "error" and not each.met:
            faults.append(f"{rule.table}: {rule.message}{found}")
        share = excess(each, frames[rule.table], window)
        if share is not None:
            allowed = f"in {share:.1%} of rows where {rule.maximum_share:.1%} are allowed"
            faults.append(f"{rule.table}: {rule.message}, {allowed}{found}")
    return faults


def _summary(name: str, examined: _Examination) -> str:
    own = [fault for fault in examined.faults if fault.startswith(f"{name}: ")]
    aside = examined.aside.filter(table=name).height
    reported = [each for each in examined.judgements if (each.rule.table, each.rule.severity) == (name, "warning")]
    warnings = sum(not each.met for each in reported)
    return (f"{STOPPED} {'; '.join(own)}. " if own else f"{PASSED} ") + f"{aside:,} set aside, {warnings} warnings."


def _verdict(rules: Mapping[str, Sequence[Rule]], examined: _Examination, window: Window) -> dict[str, Any]:
    judged = {(each.rule.table, each.rule.name): each for each in examined.judgements}
    counts = examined.aside.group_by("table", "reason").len("rows").sort("table", "reason")
    return {
        "month": str(window.as_of),
        "first_month": str(window.first_history),
        "passed": not examined.faults,
        "faults": examined.faults,
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
