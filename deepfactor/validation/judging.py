"""Great Expectations: the only module that knows it, imported only when a month is validated."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from deepfactor.errors import ConfigurationError, ValidationFailed
from deepfactor.validation.suites import Rule

# Great Expectations reads it when it is imported; nothing is to be sent anywhere.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

# Parts of a result as long as the data; their counts and first examples are kept.
_LONG = ("unexpected_list", "unexpected_index_list", "unexpected_index_query", "partial_unexpected_index_list")
# What a row of facts is about, by the first of these columns that it has.
_NAMES = ("row", "column", "model", "month")
_EXAMPLES = 3
# Beyond this many rows naming the unexpected ones takes longer than judging them.
_FEW = 20_000
# One source of the library for all frames: adding another takes longer than judging some of them.
_SOURCE = "facts"


@dataclass(frozen=True)
class Judgement:
    """What Great Expectations says of one rule.

    Attributes
    ----------
    rule
        The rule.
    met
        Whether every value is as expected (or as many as ``mostly`` asks for).
    observed
        The value of an aggregate, or up to three unexpected values, each with what it belongs to where that is known.
    unexpected
        Number of unexpected values; null for an aggregate.
    rows
        For quarantine, the unexpected rows by number, each with its values.
    result
        The library's own result, for the Data Docs.
    """

    rule: Rule
    met: bool
    observed: Any
    unexpected: int | None
    rows: Mapping[int, str]
    result: Any


def open_context() -> Any:
    """Return the library's context in memory: it writes no file, calls no service and shows no progress.

    Raises
    ------
    ValidationFailed
        If the library cannot be loaded.
    """
    try:
        import great_expectations
        from great_expectations.data_context.types.base import ProgressBarsConfig

        # It sets its own level when it is imported, and tells of every temporary folder.
        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
        context = great_expectations.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        facts = context.data_sources.add_pandas(_SOURCE).add_dataframe_asset(_SOURCE)
        facts.add_batch_definition_whole_dataframe(_SOURCE)
    except Exception as error:
        raise ValidationFailed(f"Great Expectations cannot be used, so nothing is validated: {error}") from error
    return context


def judge(context: Any, rules: Sequence[Rule], frame: pl.DataFrame) -> list[Judgement]:
    """Judge a frame of facts by rules, in their order.

    Parameters
    ----------
    context
        Of :func:`open_context`.
    rules
        Rules of one frame and scope.
    frame
        The facts; a column of ``_NAMES`` says what a row is about.

    Raises
    ------
    ConfigurationError
        If an expectation does not exist, or not with these arguments.
    ValidationFailed
        If the library fails: then nothing is known of the data.
    """
    names = [name for name in _NAMES if name in frame.columns]
    # Every unexpected row must be known to be set aside; else a few examples do, and of many rows only their values.
    few = {"result_format": "SUMMARY"} if frame.height <= _FEW else {"result_format": "BASIC"}
    formats: dict[bool, dict[str, Any]] = {True: {"result_format": "COMPLETE"}, False: few}
    judged: dict[str, Judgement] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for aside, result_format in formats.items():
            chosen = [rule for rule in rules if (rule.severity == "quarantine") == aside]
            if chosen:
                judged |= _run(context, chosen, frame, names[:1], result_format)
    return [judged[rule.name] for rule in rules]


def _run(
    context: Any, rules: Sequence[Rule], frame: pl.DataFrame, names: list[str], result_format: dict[str, Any]
) -> dict[str, Judgement]:
    from great_expectations import ExpectationSuite

    table = rules[0].table
    expectations = [_expectation(rule) for rule in rules]
    columns = _columns(rules, frame, names)
    try:
        suite = ExpectationSuite(name=table, expectations=expectations)
        batch = context.data_sources.get(_SOURCE).get_asset(_SOURCE).get_batch_definition(_SOURCE)
        results = batch.get_batch({"dataframe": frame.select(columns).to_pandas()}).validate(
            suite, result_format=result_format | ({"unexpected_index_column_names": names} if names else {})
        )
    except Exception as error:
        raise ValidationFailed(
            f"Great Expectations failed on the suite {table}, so the month is not validated: "
            f"{type(error).__name__}: {error}; correct the suite, or report it"
        ) from error
    by_name = {each.expectation_config.meta["name"]: each for each in results.results}
    return {rule.name: _judgement(rule, by_name.get(rule.name), names, frame) for rule in rules}


def _expectation(rule: Rule) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    try:
        return ExpectationConfiguration(
            type=rule.type, kwargs=dict(rule.kwargs), meta={"name": rule.name}, notes=rule.message
        ).to_domain_obj()
    except Exception as error:
        raise ConfigurationError(
            f"include/expectations/{rule.table}.json: {rule.name}: {rule.type} with {dict(rule.kwargs)} is no "
            f"expectation of Great Expectations: {error}"
        ) from None


def _columns(rules: Sequence[Rule], frame: pl.DataFrame, names: list[str]) -> list[str]:
    """Return the columns that rules are about, and no others: converting them costs most of the time."""
    wanted: dict[str, Rule] = {}
    for rule in rules:
        kwargs = rule.kwargs
        pair = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
        wanted |= dict.fromkeys([*pair, *kwargs.get("column_list", [])], rule)
    for column, rule in wanted.items():
        if column not in frame.columns:
            raise ConfigurationError(
                f"include/expectations/{rule.table}.json: {rule.name}: there is no column {column} among the facts "
                f"of its {rule.of}: {frame.columns}"
            )
    return list(dict.fromkeys([*names, *wanted])) or frame.columns[:1]


def _judgement(rule: Rule, result: Any, names: list[str], frame: pl.DataFrame) -> Judgement:
    if result is None or _raised(result.exception_info):
        raise ValidationFailed(
            f"the expectation {rule.table}: {rule.name} could not be evaluated, so the month is not validated: "
            f"{_raised(result.exception_info) if result is not None else 'there is no result'}"
        )
    found = result.result
    if "row_condition" in rule.kwargs and not found.get("element_count"):
        raise ConfigurationError(
            f"include/expectations/{rule.table}.json: {rule.name}: no {rule.of} meet {rule.kwargs['row_condition']}; "
            "correct the condition"
        )
    aside = rule.severity == "quarantine"
    rows = {each["row"]: _values(each, names) for each in (found.get("unexpected_index_list") or [] if aside else [])}
    observed = _plain(found["observed_value"]) if "observed_value" in found else _examples(rule, found, names, frame)
    for part in _LONG:
        found.pop(part, None)
    return Judgement(
        rule=rule,
        met=bool(result.success),
        observed=observed,
        unexpected=found.get("unexpected_count"),
        rows=rows,
        result=result,
    )


def _examples(rule: Rule, found: Mapping[str, Any], names: list[str], frame: pl.DataFrame) -> list[Any]:
    """Return the first unexpected values; with what they belong to, unless that is the month that is judged."""
    named = found.get("partial_unexpected_index_list") or []
    if not named or (rule.of, rule.scope) == ("months", "month"):
        plain = (_plain(each) for each in found.get("partial_unexpected_list", []))
        return [value for value in plain if value is not None][:_EXAMPLES]
    examples = []
    for each in named[:_EXAMPLES]:
        values = _values(each, [*names, "security_id", "month"])
        examples.append(_subject(each[names[0]], names[0], frame) + (f": {values}" if values else ""))
    return examples


def _subject(name: Any, of: str, frame: pl.DataFrame) -> str:
    if of == "month":
        return str(name)[: len("YYYY-MM")]
    if of != "row":
        return str(name)
    content = frame.row(by_predicate=pl.col("row") == name, named=True)
    month = content.get("scope_month")
    parts = [content.get("security_id"), None if month is None else f"{month:%Y-%m}"]
    return " ".join(str(part) for part in parts if part is not None) or f"row {name}"


def _raised(information: Mapping[str, Any]) -> str | None:
    """Return the message of an exception inside an expectation; it may stand below the metric that raised it."""
    if "raised_exception" in information:
        return str(information["exception_message"]) if information["raised_exception"] else None
    return next((message for each in information.values() if (message := _raised(each))), None)


def _values(unexpected: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} = {_plain(value)}" for name, value in unexpected.items() if name not in names)


def _plain(value: Any) -> Any:
    """Return a value that JSON knows."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)
