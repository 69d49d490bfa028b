from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import SchemaError
from deepfactor.evaluation.forecasts import FORECASTS, checked_forecasts, checked_returns, with_realised
from tests.evaluation.frames import forecasts, month, random_forecasts, returns

FIVE = {"a": (0.05, 0.1), "b": (0.04, 0.2), "c": (0.03, None), "d": (0.02, 0.0), "e": (0.01, -1.0)}


def _signals(number: int) -> pl.DataFrame:
    return forecasts(number, "m", FIVE).drop("realised")


class TestRealised:
    def test_a_return_belongs_to_the_month_before_it(self) -> None:
        signals = pl.concat([_signals(-1), _signals(0)])
        joined = with_realised(signals, returns([(0, "a", 0.1), (1, "a", 0.2), (1, "b", None), (2, "a", 0.3)]))
        assert joined.filter(security_id="a").select("month", "realised").rows() == [
            (date(2009, 12, 1), 0.1), (date(2010, 1, 1), 0.2)
        ]  # fmt: skip
        assert joined["realised"].null_count() == 8
        assert joined.columns == list(FORECASTS.columns)

    def test_two_returns_of_a_stock(self) -> None:
        with pytest.raises(SchemaError, match="the returns: 2 rows of returns share their key"):
            with_realised(_signals(0), returns([(1, "a", 0.1), (1, "a", 0.2)]))

    def test_no_returns_yet(self) -> None:
        assert with_realised(_signals(0), returns([]))["realised"].null_count() == 5


class TestChecks:
    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_the_quick_check_is_the_tables(self, seed: int) -> None:
        frame = random_forecasts(seed)
        checked = checked_forecasts(frame)
        assert checked.equals(FORECASTS.check(frame, ""))
        assert checked_forecasts(checked).equals(checked)
        assert checked_forecasts(frame.select(*reversed(frame.columns))).equals(checked)

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_key_that_stands_twice_or_is_null(self, order: int) -> None:
        frame = forecasts(0, "m", FIVE)
        with pytest.raises(SchemaError, match="the forecasts: 2 rows of forecasts share their key"):
            checked_forecasts(pl.concat([frame, frame[2:3]][::order]))
        for name in FORECASTS.key:
            nameless = frame[2:3].with_columns(pl.lit(None, dtype=FORECASTS.columns[name]).alias(name))
            for each in (nameless, pl.concat([frame, nameless][::order])):
                with pytest.raises(SchemaError, match="the forecasts: 1 rows of forecasts lack a key"):
                    checked_forecasts(each)

    @pytest.mark.parametrize(
        ("column", "value", "message"),
        [
            ("prediction", float("nan"), "a prediction must be a finite number; 1 rows are wrong, the first {'month'"),
            ("prediction", None, "a prediction must be a finite number"),
            ("quintile", 0, "a quintile must be one of 1 to 5, or null"),
            ("quintile", 6, "a quintile must be one of 1 to 5, or null"),
            ("realised", float("nan"), "a return must be a finite number of at least -1, or null"),
            ("realised", float("inf"), "a return must be a finite number"),
            ("realised", -1.01, "a return must be a finite number of at least -1"),
        ],
    )
    def test_values_that_cannot_be(self, column: str, value: float | None, message: str) -> None:
        wrong = pl.when(security_id="d").then(pl.lit(value)).otherwise(column).cast(FORECASTS.columns[column])
        with pytest.raises(SchemaError, match=f"the forecasts: {message}"):
            checked_forecasts(forecasts(0, "m", FIVE).with_columns(wrong.alias(column)))

    def test_returns_that_cannot_be(self) -> None:
        assert checked_returns(returns([(1, "b", -1.0), (1, "a", None)]))["security_id"].to_list() == ["a", "b"]
        for value in (float("nan"), float("inf"), -1.5):
            with pytest.raises(SchemaError, match="the returns: a return must be a finite number of at least -1"):
                checked_returns(returns([(1, "a", value)]))

    def test_a_column_too_few(self) -> None:
        with pytest.raises(SchemaError, match=r"lacks \['realised'\]"):
            checked_forecasts(_signals(0))
        assert month(0) == date(2010, 1, 1)
