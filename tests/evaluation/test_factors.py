from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.factors import (
    DESCRIPTOR_RANKS,
    FACTOR_RETURNS,
    FACTOR_SCORES,
    TURNED,
    factor_forecasts,
    factor_returns,
    factor_scores,
)
from deepfactor.evaluation.missing import missing_returns
from deepfactor.evaluation.trading import trading
from deepfactor.schemas import FACTORS
from tests.evaluation.frames import forecasts, month, returns


def _scores(factor: str, values: dict[str, float], number: int = 0) -> pl.DataFrame:
    rows = [(month(number), stock, factor, value) for stock, value in values.items()]
    return pl.DataFrame(rows, schema=dict(FACTOR_SCORES.columns), orient="row")


_RISING = {name: 0.1 * number for number, name in enumerate("abcde")}
_RETURNS = returns([(1, name, 0.01 * number**2) for number, name in enumerate("abcde")])


class TestScores:
    def test_by_hand(self) -> None:
        ranks = {"PER": 0.5, "PBR": -0.25, "CAP": 0.3, "ILLIQ": -0.4, "LEVERAGE": 0.5, "ROE": 0.5}
        rows = [(month(0), "a", name, FACTOR_OF[name], value) for name, value in ranks.items()]
        frame = pl.DataFrame(rows, schema=dict(DESCRIPTOR_RANKS.columns), orient="row")
        found = factor_scores(frame)
        assert found.select("factor", "score").rows() == [
            ("Quality", 0.0), ("Size", pytest.approx(0.35)), ("Value", pytest.approx(0.125))
        ]  # fmt: skip
        plain = factor_scores(frame, turned=frozenset())
        assert plain["score"].to_list() == pytest.approx([0.5, -0.05, 0.125])

    def test_what_is_turned_is_a_descriptor(self) -> None:
        assert {*NAMES} >= TURNED

    def test_the_order_of_rows_does_not_matter(self) -> None:
        random = np.random.default_rng(0)
        rows = [
            (month(0), f"{stock:03}", name, FACTOR_OF[name], random.uniform(-0.5, 0.5))
            for stock in range(50)
            for name in NAMES
        ]
        frame = pl.DataFrame(rows, schema=dict(DESCRIPTOR_RANKS.columns), orient="row")
        found = factor_scores(frame)
        assert found.equals(factor_scores(frame.sample(fraction=1.0, shuffle=True, seed=1)))
        assert found.height == 50 * len(FACTORS)


class TestReturns:
    def test_by_hand(self) -> None:
        scores = pl.concat(
            [_scores("Value", _RISING), _scores("Risk", {name: -each for name, each in _RISING.items()})]
        )
        found = factor_returns(factor_forecasts(scores, _RETURNS)).row(0, named=True)
        assert found == {
            "month": month(0),
            "Risk": pytest.approx(-0.16),
            "Quality": None,
            "Momentum": None,
            "Value": pytest.approx(0.16),
            "Size": None,
        }

    def test_the_rule_of_missing_returns_is_the_models(self) -> None:
        table = _RETURNS.with_columns(total_return=pl.when(pl.col("security_id") != "e").then("total_return"))
        frame = factor_forecasts(_scores("Size", _RISING), table)
        assert factor_returns(frame)["Size"].to_list() == [0.0]
        assert factor_returns(frame, -0.3)["Size"].to_list() == [pytest.approx(-0.3)]
        assert missing_returns(frame)["top_without_return"].to_list() == [1]
        with pytest.raises(ConfigurationError):
            factor_returns(frame, float("nan"))

    def test_a_factor_is_ranked_as_a_prediction_is(self) -> None:
        random = np.random.default_rng(0)
        scores = {f"{number:02}": round(float(random.normal()), 1) for number in range(33)}
        earned = {name: round(float(random.normal(0, 0.1)), 3) for name in scores}
        frame = factor_forecasts(
            _scores("Momentum", scores), returns([(1, name, each) for name, each in earned.items()])
        )
        model = forecasts(0, "Momentum", {name: (scores[name], earned[name]) for name in scores})
        assert frame.equals(model.sort("security_id"))

    def test_scores_that_do_not_differ_make_no_portfolio(self) -> None:
        same = _scores("Value", dict.fromkeys("abcde", 0.0))
        assert factor_returns(factor_forecasts(same, _RETURNS)).equals(FACTOR_RETURNS.empty())
        both = pl.concat([same, _scores("Size", _RISING)])
        assert factor_returns(factor_forecasts(both, _RETURNS)).select("Value", "Size").rows() == [
            (None, pytest.approx(0.16))
        ]

    def test_months(self) -> None:
        scores = pl.concat([_scores("Value", _RISING, number) for number in (0, 1, 2)])
        later = returns([(2, name, -0.01 * number) for number, name in enumerate("abcde")])
        frame = factor_forecasts(scores, pl.concat([_RETURNS, later]))
        found = factor_returns(frame)
        # The return of the third is not known yet.
        assert found.select("month", "Value").rows() == [
            (month(0), pytest.approx(0.16)), (month(1), pytest.approx(-0.04))
        ]  # fmt: skip
        assert trading(frame)["turnover_top"].to_list() == [None, 0]

    def test_bad_input(self) -> None:
        with pytest.raises(SchemaError, match="there is no Growth; the factors are Risk, Quality"):
            factor_forecasts(_scores("Growth", _RISING), _RETURNS)
        with pytest.raises(SchemaError, match="a prediction must be a finite number"):
            factor_forecasts(_scores("Value", {"a": float("nan"), "b": 1.0}), _RETURNS)
