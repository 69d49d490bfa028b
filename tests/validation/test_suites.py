"""Suites are data that people edit: what they get wrong is said with file, expectation and key."""

from __future__ import annotations

from typing import Any

import pytest

from deepfactor.config import load_config
from deepfactor.errors import ConfigurationError
from deepfactor.validation.suites import FRAMES, read_suite

META = {"name": "n", "severity": "error", "of": "rows", "scope": "window", "message": "m"}
GOOD = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "month"}, "meta": META}


@pytest.mark.parametrize("table", FRAMES)
def test_every_table_has_a_suite_that_can_be_read(table: str) -> None:
    rules = read_suite(table, load_config().expectations[table])
    assert {"schema"} <= {rule.name for rule in rules}
    assert any(rule.severity == "error" for rule in rules)


@pytest.mark.parametrize(
    ("suite", "expected"),
    [
        ({}, "the suite is empty, so the month cannot be validated"),
        ({"expectations": []}, "the suite is empty"),
        ({"expectations": [{"type": "x"}]}, "expectation 1: must have exactly the keys type, kwargs and meta"),
        ({"expectations": [GOOD], "expectation": []}, r"the keys \['expectation'\] are unknown"),
        ({"expectations": [GOOD | {"meta": None}]}, "expectation 1: kwargs and meta must hold keys and values"),
        ({"expectations": [GOOD | {"type": 5}]}, "expectation 1: type must be the name of an expectation, not 5"),
        ({"expectations": [GOOD, GOOD]}, r"the names \['n'\] stand twice"),
    ],
)
def test_bad_suite(suite: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=f"include/expectations/prices.json: {expected}"):
        read_suite("prices", suite)


def test_no_suite() -> None:
    with pytest.raises(ConfigurationError, match=r"no suite for prices, .* add prices\.json to the folder"):
        read_suite("prices", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"severity": "fatal"}, "severity 'fatal' must be one of"),
        ({"scope": "year"}, "scope 'year' must be one of"),
        ({"severity": "quarantine"}, "quarantine, and only that, needs a maximum_share"),
        ({"maximum_share": 0.1}, "quarantine, and only that, needs a maximum_share"),
        (
            {"severity": "quarantine", "maximum_share": 0.1, "scope": "month"},
            "only rows of the window can be set aside",
        ),
        ({"of": "models"}, "of prices there are only facts of its"),
        ({"of": "distributions"}, "distributions have no scope but 'month'"),
        ({"severity": "quarantine", "maximum_share": 1.5}, "needs a maximum_share, from 0 to 1"),
        ({"severity": "quarantine", "maximum_share": float("nan")}, "needs a maximum_share, from 0 to 1"),
        ({"name": ["n"]}, r"expectation 1: name must be a text, not \['n'\]"),
        ({"message": ""}, "expectation 1: message must be a text, not ''"),
        ({"color": "red"}, r"lacks nothing and has the unknown \['color'\]"),
    ],
)
def test_bad_expectation(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        read_suite("prices", {"expectations": [GOOD | {"meta": META | changes}]})


def test_nothing_is_set_aside_of_what_a_run_computed() -> None:
    meta = META | {"severity": "quarantine", "maximum_share": 0.1}
    with pytest.raises(ConfigurationError, match="nothing can be set aside of signals, which a run computed"):
        read_suite("signals", {"expectations": [GOOD | {"meta": meta}]})
