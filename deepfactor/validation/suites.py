"""Expectation suites: data in ``include/expectations`` that people edit, read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from deepfactor.errors import ConfigurationError
from deepfactor.schemas import RAW

Severity = Literal["error", "quarantine", "warning"]
Frame = Literal["columns", "rows", "months", "distributions", "models"]
Scope = Literal["month", "window"]

# The frames of facts of each table, and the one scope that some of them have.
FRAMES: Mapping[str, tuple[Frame, ...]] = {
    "prices": ("columns", "rows", "months", "distributions"),
    "fundamentals": ("columns", "rows", "months", "distributions"),
    "market": ("columns", "rows", "months"),
    "constituents": ("columns", "rows", "months"),
    "descriptors": ("columns", "rows", "distributions"),
    "signals": ("columns", "rows", "models"),
}
_SCOPE: Mapping[str, Scope] = {"columns": "window", "distributions": "month", "models": "month"}

_REQUIRED = {"name", "severity", "of", "scope", "message"}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "severity": get_args(Severity),
    "of": get_args(Frame),
    "scope": get_args(Scope),
}


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite.

    Attributes
    ----------
    table
        The table, which is also the suite's name.
    name
        Identifies the rule within its suite.
    type, kwargs
        The expectation of Great Expectations.
    severity
        ``error`` stops the month, ``quarantine`` sets failing rows aside, ``warning`` is reported. Of what a run has
        computed nothing can be set aside.
    of
        The frame of facts it is about; only rows can be set aside.
    scope
        The whole window, or what became known in the as-of month.
    message
        What a failure means, for people.
    maximum_share
        Largest share of rows, of the window and of the as-of month, that may be set aside before the month stops.
    """

    table: str
    name: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    of: Frame
    scope: Scope
    message: str
    maximum_share: float | None


def read_suite(table: str, suite: Mapping[str, Any] | None) -> tuple[Rule, ...]:
    """Read the suite of a table.

    Raises
    ------
    ConfigurationError
        If there is no suite, it is empty, or an expectation does not say what it must.
    """
    where = f"include/expectations/{table}.json"
    if suite is None:
        raise ConfigurationError(
            f"there is no suite for {table}, so the month cannot be validated: add {table}.json to the folder "
            "expectations beside that of the configuration, or name a base that has it, such as default.yaml"
        )
    if unknown := sorted(set(suite) - {"notes", "expectations"}):
        raise ConfigurationError(f"{where}: the keys {unknown} are unknown; a suite has notes and expectations")
    expectations = suite.get("expectations")
    if not isinstance(expectations, list) or not expectations:
        raise ConfigurationError(f"{where}: the suite is empty, so the month cannot be validated; add expectations")
    rules = tuple(_read_rule(table, each, f"{where}: expectation {n}") for n, each in enumerate(expectations, 1))
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(f"{where}: the names {twice} stand twice; give every expectation its own")
    return rules


def read_suites(tables: Iterable[str], suites: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[Rule, ...]]:
    """Read the suites of tables.

    Raises
    ------
    ConfigurationError
        If one is missing or cannot be understood, or a suite is of no table at all, as when its name is misspelt.
    """
    if unknown := sorted(set(suites) - set(FRAMES)):
        raise ConfigurationError(
            f"include/expectations: {unknown} are suites of no table; the tables are {list(FRAMES)}"
        )
    return {table: read_suite(table, suites.get(table)) for table in tables}


def _read_rule(table: str, expectation: Any, where: str) -> Rule:
    if not isinstance(expectation, dict) or set(expectation) != {"type", "kwargs", "meta"}:
        raise ConfigurationError(f"{where}: must have exactly the keys type, kwargs and meta")
    meta = expectation["meta"]
    if not isinstance(meta, dict) or not isinstance(expectation["kwargs"], dict):
        raise ConfigurationError(f"{where}: kwargs and meta must hold keys and values")
    if not isinstance(expectation["type"], str):
        raise ConfigurationError(f"{where}: type must be the name of an expectation, not {expectation['type']!r}")
    _check_meta(table, meta, where)
    return Rule(
        table=table,
        type=expectation["type"],
        kwargs=expectation["kwargs"],
        **{"maximum_share": meta.get("maximum_share"), **meta},
    )


def _check_meta(table: str, meta: Mapping[str, Any], where: str) -> None:
    missing = sorted(_REQUIRED - set(meta))
    unknown = sorted(set(meta) - _REQUIRED - {"maximum_share"})
    if missing or unknown:
        raise ConfigurationError(f"{where}: meta lacks {missing or 'nothing'} and has the unknown {unknown or 'none'}")
    for key in ("name", "message"):
        if not isinstance(meta[key], str) or not meta[key]:
            raise ConfigurationError(f"{where}: {key} must be a text, not {meta[key]!r}")
    for key, choices in _CHOICES.items():
        if meta[key] not in choices:
            raise ConfigurationError(f"{where} ({meta['name']}): {key} {meta[key]!r} must be one of {choices}")
    _check_frame(table, meta, where)
    _check_share(table, meta, where)


def _check_share(table: str, meta: Mapping[str, Any], where: str) -> None:
    share = meta.get("maximum_share")
    if (meta["severity"] == "quarantine") != isinstance(share, int | float) or not 0 <= (share or 0) <= 1:
        raise ConfigurationError(
            f"{where} ({meta['name']}): quarantine, and only that, needs a maximum_share, from 0 to 1"
        )
    if share is not None and (meta["of"], meta["scope"]) != ("rows", "window"):
        raise ConfigurationError(f"{where} ({meta['name']}): only rows of the window can be set aside")
    if share is not None and table not in RAW:
        raise ConfigurationError(f"{where} ({meta['name']}): nothing can be set aside of {table}, which a run computed")


def _check_frame(table: str, meta: Mapping[str, Any], where: str) -> None:
    frames = FRAMES[table]
    if meta["of"] not in frames:
        raise ConfigurationError(f"{where} ({meta['name']}): of {table} there are only facts of its {frames}")
    scope = _SCOPE.get(meta["of"], meta["scope"])
    if meta["scope"] != scope:
        raise ConfigurationError(f"{where} ({meta['name']}): {meta['of']} have no scope but {scope!r}")
