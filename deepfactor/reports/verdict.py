"""The verdicts on a month, as people read them: expectations, and gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepfactor.reports.numbers import figure, legible

# What a failed expectation of each severity does to the month; an unknown severity is shown as the worst.
_CONSEQUENCES = {"error": "✗ stopped", "quarantine": "! set aside", "warning": "! warning"}


@dataclass(frozen=True)
class Check:
    """One expectation about one table, and what was found.

    Attributes
    ----------
    table, expectation, severity, scope
        As in the suite.
    passed
        Whether the data met it; false also where it could not be evaluated.
    outcome
        What follows, in two words.
    finding
        For a failed expectation what the failure means and what was found; else what was found.
    """

    table: str
    expectation: str
    severity: str
    scope: str
    passed: bool
    outcome: str
    finding: str


@dataclass(frozen=True)
class Quarantine:
    """Rows of one table that were set aside, for one reason."""

    table: str
    reason: str
    rows: int


def checks(validation: Mapping[str, Any]) -> tuple[Check, ...]:
    """Return every check of a verdict, in the order of the suites.

    Parameters
    ----------
    validation
        ``Validation.verdict``, of which ``expectations`` is read. An expectation may lack any key but ``success``.
    """
    return tuple(map(_check, validation.get("expectations", ())))


def quarantines(validation: Mapping[str, Any]) -> tuple[Quarantine, ...]:
    """Return what was set aside, by table and reason.

    Parameters
    ----------
    validation
        ``Validation.verdict``, of which ``quarantined`` is read: ``table``, ``reason`` and ``rows`` of each entry.
    """
    return tuple(
        Quarantine(legible(each["table"]), legible(each["reason"]), each["rows"])
        for each in validation.get("quarantined", ())
    )


def failed_gates(gates: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the gates that stop a month: a gate is hard unless it says otherwise."""
    return [each for each in gates if not each["passed"] and each.get("hard", True)]


def gate_warnings(gates: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the gates that failed and only warn."""
    return [each for each in gates if not each["passed"] and not each.get("hard", True)]


def _check(entry: Mapping[str, Any]) -> Check:
    severity = str(entry.get("severity", "error"))
    passed = entry["success"] is True
    return Check(
        table=legible(str(entry.get("table", ""))),
        expectation=legible(str(entry.get("name") or entry.get("expectation") or "unnamed")),
        severity=legible(severity),
        scope=legible(str(entry.get("scope", ""))),
        passed=passed,
        outcome="✓ met" if passed else _CONSEQUENCES.get(severity, _CONSEQUENCES["error"]),
        finding=_finding(entry, passed),
    )


def _finding(entry: Mapping[str, Any], passed: bool) -> str:
    if entry.get("evaluated") is False:
        return "not evaluated, because something before it failed"
    parts = [legible(str(entry["message"]))] if not passed and entry.get("message") else []
    unexpected, observed = entry.get("unexpected_count") or 0, entry.get("observed")
    if unexpected:
        parts.append(f"{figure(unexpected)} {'row' if unexpected == 1 else 'rows'}")
    if observed not in (None, [], {}, ""):
        # Of many rows only a few are kept as examples.
        some = isinstance(observed, list) and unexpected > len(observed)
        parts.append(f"{'such as' if some else 'found'} {_text(observed)}")
    return "; ".join(parts)


def _text(value: Any) -> str:
    """Write what was observed, however it is nested, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{legible(str(key))} {_text(each)}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return figure(value)
