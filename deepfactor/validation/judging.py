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
        The value of an aggregate, or up to three unexpected values.
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
        The facts; ``row`` numbers them where rows can be set aside.

    Raises
    ------
    ConfigurationError
        If an expectation does not exist, or not with these arguments.
    ValidationFailed
        If the library fails: then nothing is known of the data.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aside = [rule for rule in rules if rule.severity == "quarantine"]
        others = [rule for rule in rules if rule.severity != "quarantine"]
        complete = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
        judged = _run(context, aside, frame, complete) | _run(context, others, frame, {"result_format": "BASIC"})
    return [judged[rule.name] for rule in rules]


def _run(
    context: Any, rules: Sequence[Rule], frame: pl.DataFrame, result_format: dict[str, Any]
) -> dict[str, Judgement]:
    if not rules:
        return {}
    from great_expectations import ExpectationSuite

    table = rules[0].table
    expectations = [_expectation(rule) for rule in rules]
    columns = _columns(rules, frame)
    try:
        source = context.data_sources.add_or_update_pandas(table)
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe(table)
        suite = ExpectationSuite(name=table, expectations=expectations)
        results = batch.get_batch({"dataframe": frame.select(columns).to_pandas()}).validate(
            suite, result_format=result_format
        )
    except Exception as error:
        raise ValidationFailed(
            f"Great Expectations failed on the suite {table}, so the month is not validated: "
            f"{type(error).__name__}: {error}; correct the suite, or report it"
        ) from error
    by_name = {each.expectation_config.meta["name"]: each for each in results.results}
    return {rule.name: _judgement(rule, by_name.get(rule.name)) for rule in rules}


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


def _columns(rules: Sequence[Rule], frame: pl.DataFrame) -> list[str]:
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
    row = ["row"] if "row" in frame.columns else []
    return [*row, *(column for column in wanted if column != "row")] or frame.columns[:1]


def _judgement(rule: Rule, result: Any) -> Judgement:
    if result is None or _raised(result.exception_info):
        raise ValidationFailed(
            f"the expectation {rule.table}: {rule.name} could not be evaluated, so the month is not validated: "
            f"{_raised(result.exception_info) if result is not None else 'there is no result'}"
        )
    found = result.result
    examples = [_plain(each) for each in found.get("partial_unexpected_list", []) if _plain(each) is not None]
    rows = {each["row"]: _values(each) for each in found.get("unexpected_index_list") or []}
    for part in _LONG:
        found.pop(part, None)
    return Judgement(
        rule=rule,
        met=bool(result.success),
        observed=_plain(found["observed_value"]) if "observed_value" in found else examples[:3],
        unexpected=found.get("unexpected_count"),
        rows=rows,
        result=result,
    )


def _raised(information: Mapping[str, Any]) -> str | None:
    """Return the message of an exception inside an expectation; it may stand below the metric that raised it."""
    if "raised_exception" in information:
        return str(information["exception_message"]) if information["raised_exception"] else None
    return next((message for each in information.values() if (message := _raised(each))), None)


def _values(unexpected: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_plain(value)}" for name, value in unexpected.items() if name != "row")


def _plain(value: Any) -> Any:
    """Return a value that JSON knows."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)
