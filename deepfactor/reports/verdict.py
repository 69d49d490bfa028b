"""The validation verdict as rows of a table.

The verdict is read as a tree: whatever in it says ``passed`` and holds no further such thing is one check. So a table
or an expectation that is added to the suites appears in the report without a change here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepfactor.reports.numbers import figure, legible

_OUTCOME = ("passed", "success")
_NAMES = ("expectation", "name", "type", "column", "columns")
_CONTAINERS = ("expectations", "checks", "results")


@dataclass(frozen=True)
class Check:
    """One expectation about one table, and what was found."""

    table: str
    expectation: str
    severity: str
    observed: str
    passed: bool

    @property
    def stops(self) -> bool:
        """Whether the month must not be computed because of it."""
        return not self.passed and self.severity == "critical"


@dataclass(frozen=True)
class Quarantine:
    """Rows of one table that were set aside, for one reason."""

    table: str
    reason: str
    rows: str


def checks(validation: Mapping[str, Any]) -> tuple[Check, ...]:
    """Return every check of a verdict, failed ones first within their table.

    Parameters
    ----------
    validation
        ``Validation.verdict``: ``tables`` holds the checks of each raw table.
    """
    found = [
        check
        for table, content in _items(validation.get("tables", {}))
        for check in sorted(_walk(legible(table), content, ()), key=lambda each: each.passed)
    ]
    return tuple(found)


def quarantines(validation: Mapping[str, Any]) -> tuple[Quarantine, ...]:
    """Return what was set aside, by table and reason; tables that lost no row are left out."""
    found = []
    for table, content in _items(validation.get("quarantined", {})):
        reasons = content if isinstance(content, Mapping) else {"rows": content}
        found += [
            Quarantine(legible(table), _spaced(str(reason)), figure(rows)) for reason, rows in reasons.items() if rows
        ]
    return tuple(found)


def _walk(table: str, content: Any, path: tuple[str, ...]) -> Iterator[Check]:
    if isinstance(content, Mapping):
        inner = [(key, value) for key, value in content.items() if _holds_outcome(value)]
        if inner:
            for key, value in inner:
                yield from _walk(table, value, path if key in _CONTAINERS else (*path, str(key)))
        elif any(key in content for key in _OUTCOME):
            yield _check(table, content, path)
    elif isinstance(content, Sequence) and not isinstance(content, str):
        for value in content:
            yield from _walk(table, value, path)


def _check(table: str, content: Mapping[str, Any], path: tuple[str, ...]) -> Check:
    words = [_text(content[key]) for key in _NAMES if content.get(key)]
    # Under a numbered or named branch the branch's name is part of what was expected.
    named = [legible(each) for each in path if not each.isdigit()]
    known = {*_OUTCOME, *_NAMES, "severity"}
    observed = content.get("observed", content.get("observed_value"))
    if observed is None:
        rest = {key: value for key, value in content.items() if key not in known and value not in (None, {}, [], "")}
        observed = rest or None
    return Check(
        table=table,
        expectation=_spaced(" · ".join([*named, *words]) or "table"),
        severity=legible(str(content.get("severity", "critical"))),
        observed=_text(observed),
        passed=bool(next(content[key] for key in _OUTCOME if key in content)),
    )


def _holds_outcome(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(key in value for key in _OUTCOME) or any(map(_holds_outcome, value.values()))
    return isinstance(value, Sequence) and not isinstance(value, str) and any(map(_holds_outcome, value))


def _items(content: Any) -> list[tuple[str, Any]]:
    if isinstance(content, Mapping):
        return [(str(key), value) for key, value in content.items()]
    return [("all tables", content)] if content else []


def _text(value: Any) -> str:
    """Write what was observed, however it is nested, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{_spaced(str(key))} {_text(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return figure(value)


def _spaced(text: str) -> str:
    return legible(text.removeprefix("expect_").replace("_", " "))
