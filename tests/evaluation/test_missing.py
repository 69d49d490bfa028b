from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.missing import MISSING, earned, known_months, missing_returns
from tests.evaluation.frames import by_month, forecasts, month, random_forecasts

# Ten stocks, the first with the highest prediction.
_STOCKS = {name: (0.1 - 0.01 * number, 0.01) for number, name in enumerate("abcdefghij")}


def test_by_hand() -> None:
    holes = _STOCKS | {"a": (0.1, None), "e": (0.06, None), "i": (0.02, None), "j": (0.01, None)}
    not_over = {name: (prediction, None) for name, (prediction, _) in _STOCKS.items()}
    frame = pl.concat([forecasts(0, "m", holes), forecasts(0, "n", _STOCKS), forecasts(1, "m", not_over)])
    assert missing_returns(frame).rows() == [
        (month(0), "m", True, 10, 4, 1, 2),
        (month(0), "n", True, 10, 0, 0, 0),
        (month(1), "m", False, 10, 10, 2, 2),
    ]
    assert known_months(frame).equals(frame.filter(month=month(0)).sort("month", "model", "security_id"))


def test_a_month_is_known_by_any_models_stocks() -> None:
    """All stocks of one model were delisted: that is no month that is not over."""
    frame = pl.concat([forecasts(0, "m", {"a": (0.1, None)}), forecasts(0, "n", {"b": (0.1, 0.2)})])
    assert missing_returns(frame)["known"].to_list() == [True, True]


def test_nothing() -> None:
    assert missing_returns(random_forecasts(0).clear()).equals(MISSING.empty())


def test_what_a_weight_earns() -> None:
    frame = forecasts(0, "m", {"a": (0.1, 0.2), "b": (0.1, None)})
    assert frame.select(earned(-0.3))["earned"].to_list() == [0.2, -0.3]
    for value in (float("nan"), float("inf"), -1.1):
        with pytest.raises(ConfigurationError, match="missing_return .*: give what a stock without a return earns"):
            earned(value)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_nothing_drops_silently(seed: int) -> None:
    frame = random_forecasts(seed)
    counted = missing_returns(frame)
    assert counted["stocks"].sum() == frame.height
    assert counted["without_return"].sum() == frame["realised"].null_count()
    assert counted.height == frame.select("month", "model").n_unique()
    expected = by_month(frame)
    assert {(row["model"], row["month"]) for row in counted.filter("known").to_dicts()} == {
        (model, each) for model, months in expected.items() for each in months
    }
    for row in counted.filter("known").to_dicts():
        rows = expected[row["model"]][row["month"]]
        for name, quintile in (("top_without_return", 5), ("bottom_without_return", 1)):
            assert row[name] == sum(each["realised"] is None and each["quintile"] == quintile for each in rows)
