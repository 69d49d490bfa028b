from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from deepfactor.errors import SchemaError
from deepfactor.evaluation.naive import TRAINING_MEAN, ZERO, constant_forecasts
from deepfactor.evaluation.performance import PERFORMANCE, monthly_performance
from tests.evaluation.frames import by_month, forecasts, month, random_forecasts

# Ten stocks whose highest two predictions come true by 3 and 5 %, and lowest two by -1 and -3 %.
PREDICTIONS = dict(zip("abcdefghij", [0.09, 0.08, 0.05, 0.04, 0.03, 0.02, 0.01, 0.0, -0.02, -0.03], strict=True))
REALISED = dict(zip("abcdefghij", [0.03, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.01, -0.03], strict=True))


def _forecasts(realised: dict[str, float | None], number: int = 0) -> pl.DataFrame:
    return forecasts(number, "m", {name: (value, realised.get(name)) for name, value in PREDICTIONS.items()})


def _performance(realised: dict[str, float | None], missing_return: float = 0.0) -> dict[str, Any]:
    return monthly_performance(_forecasts(realised), missing_return).row(0, named=True)


class TestMonth:
    def test_by_hand(self) -> None:
        row = _performance(dict(REALISED))
        errors = [0.06, 0.03, 0.05, 0.04, 0.03, 0.02, 0.01, 0.0, 0.01, 0.0]
        assert row["month"] == month(0)
        assert (row["stocks"], row["without_return"]) == (10, 0)
        assert row["mae"] == pytest.approx(sum(errors) / 10)
        assert row["rmse"] == pytest.approx(sqrt(sum(each**2 for each in errors) / 10))
        assert row["long_short"] == pytest.approx((0.03 + 0.05) / 2 - (-0.01 - 0.03) / 2)
        assert row["rank_ic"] == pytest.approx(spearmanr(list(PREDICTIONS.values()), list(REALISED.values())).statistic)
        # Six returns are the median; of the four others all are on the side that was forecast.
        assert row["hit_rate"] == 1.0

    def test_hits_by_hand(self) -> None:
        """Medians 0.025 and 0.02: a, b, d, e are forecast above, of which a and d are."""
        realised = dict(zip("abcdefghij", [0.3, 0.01, 0.02, 0.04, -0.1, 0.03, 0.0, 0.02, 0.05, 0.01], strict=True))
        # c and h are the median; of f, g, i, j, forecast below, g and j are.
        assert _performance(dict(realised))["hit_rate"] == pytest.approx(4 / 8)

    def test_a_stock_without_a_return(self) -> None:
        """Errors and correlations leave it out, the portfolio keeps it."""
        realised: dict[str, float | None] = {**REALISED, "a": None}
        del realised["e"]
        row = _performance(realised)
        assert (row["stocks"], row["without_return"]) == (8, 2)
        assert row["mae"] == pytest.approx((0.03 + 0.05 + 0.04 + 0.02 + 0.01 + 0.01) / 8)
        known = [name for name in PREDICTIONS if name not in "ae"]
        pairs = [PREDICTIONS[name] for name in known], [REALISED[name] for name in known]
        assert row["rank_ic"] == pytest.approx(spearmanr(*pairs).statistic)
        assert row["long_short"] == pytest.approx(0.05 / 2 + 0.02)
        assert _performance(realised, -0.3)["long_short"] == pytest.approx((0.05 - 0.3) / 2 + 0.02)

    def test_a_fifth_without_returns(self) -> None:
        row = _performance({name: value for name, value in REALISED.items() if name not in "ab"})
        assert row["long_short"] == pytest.approx(0.02)

    def test_forecasts_without_a_model(self) -> None:
        performance = monthly_performance(constant_forecasts(_forecasts(dict(REALISED)), {month(0): 0.01}))
        for model, value in ((ZERO, 0.0), (TRAINING_MEAN, 0.01)):
            row = performance.filter(model=model).row(0, named=True)
            errors = [each - value for each in REALISED.values()]
            assert row["mae"] == pytest.approx(np.mean(np.abs(errors)))
            assert row["rmse"] == pytest.approx(sqrt(np.mean(np.square(errors))))
            assert (row["rank_ic"], row["hit_rate"], row["long_short"], row["stocks"]) == (None, None, None, 10)

    def test_all_predictions_equal(self) -> None:
        """The published quintiles are held all the same; ties went by name."""
        stocks = {name: (0.01, value) for name, value in REALISED.items()}
        row = monthly_performance(forecasts(0, "m", stocks)).row(0, named=True)
        assert (row["rank_ic"], row["hit_rate"]) == (None, None)
        assert row["long_short"] == pytest.approx(0.06)

    def test_fewer_stocks_than_quintiles(self) -> None:
        row = monthly_performance(forecasts(0, "m", {"a": (0.1, 0.2), "b": (0.2, 0.1)})).row(0, named=True)
        assert (row["rank_ic"], row["hit_rate"], row["long_short"]) == (-1.0, 0.0, None)

    def test_a_model_all_of_whose_stocks_were_delisted(self) -> None:
        frame = pl.concat([_forecasts({}), forecasts(0, "n", {"z": (0.1, 0.1)})])
        row = monthly_performance(frame).filter(model="m").row(0, named=True)
        assert (row["stocks"], row["without_return"], row["mae"], row["long_short"]) == (0, 10, None, 0.0)

    def test_a_month_without_any_return_is_left_out(self) -> None:
        frame = pl.concat([_forecasts(dict(REALISED)), _forecasts({}, 1)])
        assert monthly_performance(frame)["month"].to_list() == [month(0)]
        assert monthly_performance(frame.filter(month=month(1))).equals(PERFORMANCE.empty())

    def test_a_prediction_that_is_none(self) -> None:
        frame = _forecasts(dict(REALISED)).with_columns(prediction=pl.lit(float("nan")))
        with pytest.raises(SchemaError, match="a prediction must be a finite number; 10 rows are wrong"):
            monthly_performance(frame)

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_against_loops(self, seed: int) -> None:
        frame = random_forecasts(seed)
        performance = monthly_performance(frame)
        expected = {(each, model): rows for model, months in by_month(frame).items() for each, rows in months.items()}
        assert {row[:2] for row in performance.rows()} == expected.keys()
        for row in performance.to_dicts():
            rows = expected[row["month"], row["model"]]
            known = [(each["prediction"], each["realised"]) for each in rows if each["realised"] is not None]
            assert (row["stocks"], row["without_return"]) == (len(known), len(rows) - len(known))
            if not known:
                assert row["mae"] is row["rmse"] is row["rank_ic"] is row["hit_rate"] is None
                continue
            assert row["mae"] == pytest.approx(sum(abs(p - r) for p, r in known) / len(known))
            assert row["rmse"] == pytest.approx(sqrt(sum((p - r) ** 2 for p, r in known) / len(known)))
            middle, centre = (float(np.median(each)) for each in zip(*known, strict=True))
            hits = [(p > middle) == (r > centre) for p, r in known if p != middle and r != centre]
            assert row["hit_rate"] == (pytest.approx(sum(hits) / len(hits)) if hits else None)
            predictions, realised = zip(*known, strict=True)
            if len(set(predictions)) > 1 and len(set(realised)) > 1:
                assert row["rank_ic"] == pytest.approx(spearmanr(predictions, realised).statistic)
            else:
                assert row["rank_ic"] is None
        assert performance.equals(monthly_performance(frame.sort("prediction")))

    @settings(deadline=None, max_examples=40)
    @given(st.integers(5, 60), st.integers(0, 2**32 - 1))
    def test_a_perfect_forecast(self, stocks: int, seed: int) -> None:
        realised = np.random.default_rng(seed).normal(0, 0.1, stocks).clip(-1).tolist()
        table = {f"{number:03}": (value, value) for number, value in enumerate(realised)}
        row = monthly_performance(forecasts(0, "m", table)).row(0, named=True)
        assert row["mae"] == row["rmse"] == 0
        assert row["rank_ic"] == row["hit_rate"] == 1
        assert row["long_short"] > 0
