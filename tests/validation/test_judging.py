"""Great Expectations as we use it: what it found, with what it belongs to, and nothing that is not JSON."""

from __future__ import annotations

import json
import os
from datetime import date
from typing import Any

import polars as pl
import pytest

from deepfactor.errors import ConfigurationError, ValidationFailed
from deepfactor.validation.judging import judge, open_context
from deepfactor.validation.suites import Rule

ROWS = pl.DataFrame(
    {"row": [0, 1, 2, 3], "security_id": ["1301", None, "1303", "1304"], "value": [1.0, None, 5.0, 9.0]}
).with_columns(scope_month=pl.date(2016, 2, 1))


@pytest.fixture(scope="module")
def context() -> Any:
    return open_context()


def _rule(severity: str = "error", of: str = "rows", scope: str = "month", **kwargs: Any) -> Rule:
    kwargs = {"column": "value", "max_value": 4.0} | kwargs
    share = 0.1 if severity == "quarantine" else None
    name = f"{severity} {kwargs}"
    return Rule("prices", name, "expect_column_values_to_be_between", kwargs, severity, of, scope, "m", share)  # type: ignore[arg-type]


def test_the_order_of_rules_is_kept_over_severities(context: Any) -> None:
    rules = [_rule("warning"), _rule("quarantine"), _rule("error", max_value=100.0)]
    judged = judge(context, rules, ROWS)
    assert [each.rule for each in judged] == rules
    assert [each.met for each in judged] == [False, False, True]
    json.dumps([each.observed for each in judged], allow_nan=False)


def test_examples_name_stock_and_month(context: Any) -> None:
    (judged,) = judge(context, [_rule()], ROWS)
    assert judged.observed == ["1303 2016-02: value = 5.0", "1304 2016-02: value = 9.0"]
    assert (judged.unexpected, judged.rows) == (2, {})


def test_rows_set_aside_are_known_one_by_one(context: Any) -> None:
    (judged,) = judge(context, [_rule("quarantine")], ROWS)
    assert dict(judged.rows) == {2: "value = 5.0", 3: "value = 9.0"}


def test_a_month_that_is_judged_needs_no_name_and_an_older_one_does(context: Any) -> None:
    frame = pl.DataFrame({"month": [date(2012, 3, 1)], "value": [7.0]})
    for scope, observed in (("month", [7.0]), ("window", ["2012-03: value = 7.0"])):
        (judged,) = judge(context, [_rule(of="months", scope=scope)], frame)
        assert judged.observed == observed


def test_of_many_rows_only_values_are_kept(context: Any) -> None:
    many = pl.DataFrame({"row": range(30_000), "value": [9.0] * 30_000})
    (judged,) = judge(context, [_rule()], many)
    assert judged.observed == [9.0, 9.0, 9.0]
    assert judged.unexpected == 30_000


def test_a_condition_on_columns(context: Any) -> None:
    frame = pl.DataFrame({"column": ["close", "volume"], "value": [9.0, 1.0]})
    conditions = [
        {"type": "comparison", "column": {"name": "column"}, "operator": "==", "parameter": name}
        for name in ("close", "volume", "clsoe")
    ]
    rules = [_rule(of="distributions", row_condition=each) for each in conditions]
    assert [each.met for each in judge(context, rules[:2], frame)] == [False, True]
    with pytest.raises(ConfigurationError, match="no distributions meet .*clsoe.*correct the condition"):
        judge(context, rules[2:], frame)


@pytest.mark.parametrize(
    ("kwargs", "error", "expected"),
    [
        ({"column": "valeu"}, ConfigurationError, "there is no column valeu among the facts of its rows"),
        ({"colour": "red"}, ConfigurationError, "is no expectation of Great Expectations"),
        ({"column": "security_id"}, ValidationFailed, "could not be evaluated, so the month is not validated"),
    ],
)
def test_what_cannot_be_judged(context: Any, kwargs: dict[str, Any], error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=expected):
        judge(context, [_rule(**kwargs)], ROWS)


def test_nothing_is_sent_anywhere() -> None:
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
