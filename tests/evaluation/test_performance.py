from __future__ import annotations

from datetime import date
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr, ttest_1samp

from deepfactor.errors import SchemaError
from deepfactor.evaluation.performance import (
    FEWEST_MONTHS_FOR_T,
    FORECASTS,
    PERFORMANCE,
    TRAINING_MEAN,
    ZERO,
    monthly_performance,
    rank_correlation,
    summary,
    with_realised,
)
from deepfactor.portfolio import quintiles, ranks
from deepfactor.schemas import SIGNALS

JANUARY, FEBRUARY = date(2010, 1, 1), date(2010, 2, 1)


def signals(month: date, model: str, predictions: dict[str, float]) -> pl.DataFrame:
    names, values = np.array(list(predictions)), np.array(list(predictions.values()))
    rank = ranks(values, names)
    columns = {"month": month, "model": model, "security_id": names, "prediction": values, "dispersion": 0.0}
    return pl.DataFrame(columns | {"rank": rank, "quintile": quintiles(rank)}, schema=dict(SIGNALS.columns))


def returns(month: date, realised: dict[str, float | None]) -> pl.DataFrame:
    columns = {"month": month, "security_id": list(realised), "total_return": list(realised.values())}
    return pl.DataFrame(columns, schema={"month": pl.Date, "security_id": pl.String, "total_return": pl.Float64})


# Ten stocks whose highest two predictions come true by 3 and 5 %, and lowest two by -1 and -3 %.
PREDICTIONS = dict(zip("abcdefghij", [0.09, 0.08, 0.05, 0.04, 0.03, 0.02, 0.01, 0.0, -0.02, -0.03], strict=True))
REALISED = dict(zip("abcdefghij", [0.03, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.01, -0.03], strict=True))


def _performance(model: str, realised: dict[str, float | None]) -> dict[str, Any]:
    forecasts = with_realised(signals(JANUARY, "m", PREDICTIONS), returns(FEBRUARY, realised))
    return monthly_performance(forecasts, {JANUARY: 0.01}).filter(model=model).row(0, named=True)


class TestMonth:
    def test_by_hand(self) -> None:
        row = _performance("m", dict(REALISED))
        errors = [0.06, 0.03, 0.05, 0.04, 0.03, 0.02, 0.01, 0.0, 0.01, 0.0]
        assert row["month"] == JANUARY
        assert (row["stocks"], row["without_return"]) == (10, 0)
        assert row["mae"] == pytest.approx(sum(errors) / 10)
        assert row["rmse"] == pytest.approx(sqrt(sum(each**2 for each in errors) / 10))
        assert row["long_short"] == pytest.approx((0.03 + 0.05) / 2 - (-0.01 - 0.03) / 2)
        assert row["rank_ic"] == pytest.approx(spearmanr(list(PREDICTIONS.values()), list(REALISED.values())).statistic)

    def test_a_stock_without_a_return_is_left_out_and_counted(self) -> None:
        """One has a row without a return, one no row at all; the fifths stay those of the signals."""
        realised: dict[str, float | None] = {**REALISED, "a": None}
        del realised["e"]
        row = _performance("m", realised)
        assert (row["stocks"], row["without_return"]) == (8, 2)
        assert row["mae"] == pytest.approx((0.03 + 0.05 + 0.04 + 0.02 + 0.01 + 0.01) / 8)
        assert row["long_short"] == pytest.approx(0.05 + 0.02)

    def test_the_forecasts_without_a_model(self) -> None:
        for model, value in ((ZERO, 0.0), (TRAINING_MEAN, 0.01)):
            row = _performance(model, dict(REALISED))
            errors = [each - value for each in REALISED.values()]
            assert row["mae"] == pytest.approx(np.mean(np.abs(errors)))
            assert row["rmse"] == pytest.approx(sqrt(np.mean(np.square(errors))))
            assert (row["rank_ic"], row["long_short"], row["stocks"]) == (None, None, 10)

    def test_a_fifth_without_returns(self) -> None:
        row = _performance("m", {name: value for name, value in REALISED.items() if name not in "ab"})
        assert row["long_short"] is None
        assert row["mae"] is not None

    def test_a_month_without_any_return_is_left_out(self) -> None:
        table = pl.concat([signals(month, "m", PREDICTIONS) for month in (JANUARY, FEBRUARY)])
        forecasts = with_realised(table, returns(FEBRUARY, dict(REALISED)))
        assert forecasts.height == 20
        performance = monthly_performance(forecasts, {JANUARY: 0.0, FEBRUARY: 0.0})
        assert performance["month"].unique().to_list() == [JANUARY]
        none = monthly_performance(forecasts.filter(month=FEBRUARY), {})
        assert none.equals(PERFORMANCE.empty())
        assert summary(none, ["m"]) == []

    def test_a_return_belongs_to_the_month_before_it(self) -> None:
        december = date(2009, 12, 1)
        table = pl.concat([signals(month, "m", PREDICTIONS) for month in (december, JANUARY)])
        realised = pl.concat([returns(JANUARY, {"a": 0.1}), returns(FEBRUARY, {"a": 0.2})])
        forecasts = with_realised(table, realised).filter(security_id="a")
        assert forecasts.select("month", "realised").rows() == [(december, 0.1), (JANUARY, 0.2)]

    def test_two_returns_of_a_stock(self) -> None:
        twice = pl.concat([returns(FEBRUARY, {"a": 0.1}), returns(FEBRUARY, {"a": 0.2})])
        with pytest.raises(SchemaError, match="the signals with their returns: 2 rows of forecasts share their key"):
            with_realised(signals(JANUARY, "m", PREDICTIONS), twice)

    @given(st.integers(5, 60), st.integers(0, 2**32 - 1), st.booleans())
    def test_properties(self, stocks: int, seed: int, perfect: bool) -> None:
        random = np.random.default_rng(seed)
        names = [f"{number:03}" for number in range(stocks)]
        realised = dict(zip(names, random.normal(0, 0.1, stocks).tolist(), strict=True))
        predicted = realised if perfect else dict(zip(names, random.normal(0, 0.1, stocks).tolist(), strict=True))
        table = signals(JANUARY, "m", predicted)
        results = [
            monthly_performance(with_realised(each, returns(FEBRUARY, dict(realised))), {JANUARY: 0.0})
            for each in (table, table.sample(fraction=1.0, shuffle=True, seed=seed % 1000))
        ]
        assert results[0].equals(results[1])
        row = results[0].filter(model="m").row(0, named=True)
        assert 0 <= row["mae"] <= row["rmse"] * (1 + 1e-12)
        assert -1 <= row["rank_ic"] <= 1
        if perfect:
            assert row["mae"] == row["rmse"] == 0
            assert row["rank_ic"] == 1
            assert row["long_short"] > 0


class TestRankCorrelation:
    @given(
        st.integers(2, 40).flatmap(
            lambda count: st.tuples(*[arrays(np.float64, count, elements=st.integers(-4, 4).map(float))] * 2)
        )
    )
    def test_against_scipy(self, pair: tuple[Any, Any]) -> None:
        a, b = pair
        constant = np.ptp(a) == 0 or np.ptp(b) == 0
        if constant:
            assert rank_correlation(a, b) is None
        else:
            assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)

    @given(arrays(np.float64, 20, elements=st.floats(-1, 1), unique=True))
    def test_of_an_order_with_itself_and_its_reverse(self, values: Any) -> None:
        assume(len(np.unique(values)) == len(values))
        assert rank_correlation(values, np.exp(values)) == pytest.approx(
            spearmanr(values, np.exp(values)).statistic, abs=1e-12
        )
        assert rank_correlation(values, -values) == pytest.approx(-1)


def _months(long_short: list[float | None], rank_ic: list[float | None]) -> pl.DataFrame:
    rows = [
        {
            "month": date(2000 + number // 12, number % 12 + 1, 1),
            "model": "m",
            "stocks": 10,
            "without_return": 0,
            "mae": 0.1 * (number + 1),
            "rmse": 0.2 * (number + 1),
            "rank_ic": correlation,
            "long_short": value,
        }
        for number, (value, correlation) in enumerate(zip(long_short, rank_ic, strict=True))
    ]
    return pl.DataFrame(rows, schema=dict(PERFORMANCE.columns))


class TestSummary:
    def test_by_hand(self) -> None:
        (row,) = summary(_months([0.01, 0.03, 0.02], [0.1, 0.0, -0.04]), ["m"])
        assert row == {
            "model": "m",
            "months": 3,
            "mae": pytest.approx(0.2),
            "rmse": pytest.approx(0.4),
            "annual_return": pytest.approx(0.24),
            "annual_volatility": pytest.approx(0.01 * sqrt(12)),
            "sharpe_ratio": pytest.approx(0.24 / (0.01 * sqrt(12))),
            "rank_ic": pytest.approx(0.02),
            "rank_ic_t": None,
        }

    @given(st.lists(st.floats(-0.5, 0.5), min_size=FEWEST_MONTHS_FOR_T, max_size=60))
    def test_the_t_statistic_against_scipy(self, rank_ic: list[float]) -> None:
        assume(np.std(rank_ic) > 1e-6)
        (row,) = summary(_months([0.0] * len(rank_ic), [*rank_ic]), ["m"])
        assert row["rank_ic_t"] == pytest.approx(ttest_1samp(rank_ic, 0).statistic, rel=1e-6, abs=1e-9)

    def test_few_months_have_no_t(self) -> None:
        rank_ic: list[float | None] = [0.01 * number for number in range(FEWEST_MONTHS_FOR_T)]
        (row,) = summary(_months(rank_ic, rank_ic), ["m"])
        assert row["rank_ic_t"] is not None
        (row,) = summary(_months(rank_ic[1:], rank_ic[1:]), ["m"])
        assert row["rank_ic_t"] is None

    def test_what_cannot_be_computed_is_none(self) -> None:
        (one,) = summary(_months([0.02], [None]), ["m"])
        assert one["annual_return"] == pytest.approx(0.24)
        assert (one["annual_volatility"], one["sharpe_ratio"], one["rank_ic"]) == (None, None, None)
        (none,) = summary(_months([None, None], [None, None]), ["m"])
        assert (none["annual_return"], none["sharpe_ratio"], none["months"]) == (None, None, 2)
        (constant,) = summary(_months([0.0, 0.0], [0.0, 0.0]), ["m"])
        assert (constant["annual_volatility"], constant["sharpe_ratio"]) == (0, None)

    def test_models_in_order_and_those_without_a_model_last(self) -> None:
        table = pl.concat([signals(JANUARY, model, PREDICTIONS) for model in ("linear", "dfm1")])
        forecasts = with_realised(table, returns(FEBRUARY, dict(REALISED)))
        assert list(forecasts.columns) == list(FORECASTS.columns)
        performance = monthly_performance(forecasts, {JANUARY: 0.01})
        rows = summary(performance, ["linear", "dfm1", "absent"])
        assert [row["model"] for row in rows] == ["linear", "dfm1", ZERO, TRAINING_MEAN]
