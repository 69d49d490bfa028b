"""Distributions of two groups of months, against a slow reading of the definitions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.months import Month, month_range
from deepfactor.validation.distributions import SCHEMA, distribution_facts, ks_distance

MONTH = Month.parse("2016-02")
YEAR = list(month_range(MONTH + -12, MONTH + -1))
numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=30)


def _table(values: dict[int, list[float | None]]) -> pl.DataFrame:
    rows = [
        {"month": (MONTH + ahead).first_day, "security_id": str(n), "value": value}
        for ahead, column in values.items()
        for n, value in enumerate(column)
    ]
    return pl.DataFrame(rows, schema={"month": pl.Date, "security_id": pl.String, "value": pl.Float64})


def _fact(table: pl.DataFrame, name: str) -> float:
    return float(distribution_facts(table, MONTH, YEAR, ["value"])[name].item())


@given(numbers, numbers)
@settings(deadline=None, max_examples=80)
def test_distance_is_the_largest_difference_of_the_distribution_functions(
    first: list[float], second: list[float]
) -> None:
    def share(values: list[float], up_to: float) -> float:
        return sum(value <= up_to for value in values) / len(values)

    expected = max(abs(share(first, point) - share(second, point)) for point in first + second)
    assert ks_distance(np.array(first), np.array(second)) == pytest.approx(expected)


def test_thousands_for_millions() -> None:
    usual = [float(n) for n in range(1, 41)]
    facts = _table({0: [value * 1000 for value in usual], -1: usual, -2: usual})
    assert _fact(facts, "scale") == pytest.approx(1000.0)
    assert _fact(facts, "distance") == 1.0
    assert _fact(facts, "unchanged_rise") == -1.0


def test_rises_of_what_is_missing_zero_negative_or_unchanged() -> None:
    older: list[float | None] = [float(n) for n in range(1, 41)]
    newest = [None] * 4 + [0.0] * 9 + [-1.0] * 9 + older[22:]
    facts = _table({0: newest, -1: older, -2: [1.5] * 40})
    assert _fact(facts, "missing_rise") == pytest.approx(0.1)
    assert _fact(facts, "zero_rise") == pytest.approx(9 / 36)
    assert _fact(facts, "negative_rise") == pytest.approx(9 / 36)
    assert _fact(facts, "unchanged_rise") == pytest.approx(18 / 27)


def test_few_values_say_nothing() -> None:
    facts = distribution_facts(_table({0: [1.0] * 19, -1: [1.0] * 50}), MONTH, YEAR, ["value"])
    assert facts.select("scale", "shift", "distance", "missing_rise").row(0) == (None,) * 4
    assert facts.select("values", "values_before").row(0) == (19, 50)


def test_other_months_do_not_matter() -> None:
    usual: list[float | None] = [float(n) for n in range(40)]
    near = _table({0: usual, -12: usual})
    far = _table({0: usual, -12: usual, -13: [1e9] * 40, 1: [1e9] * 40})
    facts = [distribution_facts(each, MONTH, YEAR, ["value"]) for each in (near, far)]
    assert facts[0].drop("unchanged_rise").equals(facts[1].drop("unchanged_rise"))


def test_nothing_at_all() -> None:
    facts = distribution_facts(_table({}), MONTH, YEAR, ["value"])
    assert dict(facts.schema) == SCHEMA
    assert facts["values"].to_list() == [0]
