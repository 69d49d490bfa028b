from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from deepfactor.evaluation.averages import annualised, mean_with_error
from deepfactor.evaluation.portfolios import (
    BOTTOM,
    LONG_SHORT,
    PORTFOLIO_RETURNS,
    QUINTILE_NAMES,
    TOP,
    portfolio_returns,
)
from deepfactor.evaluation.quintiles import MONOTONICITY, PORTFOLIO_SUMMARY, monotonicity, portfolio_summary
from tests.evaluation.frames import month, random_forecasts


def _returns(months: list[list[float | None]]) -> pl.DataFrame:
    """Return portfolios' returns, given those of the five quintiles, the lowest first."""
    rows = [
        (month(number), "m", name, value, 10 + number, number % 2)
        for number, values in enumerate(months)
        for name, value in zip(reversed(QUINTILE_NAMES), values, strict=True)
        if value is not None
    ]
    return pl.DataFrame(rows, schema=dict(PORTFOLIO_RETURNS.columns), orient="row")


class TestSummary:
    def test_by_hand(self) -> None:
        found = portfolio_summary(_returns([[0.01, None, 0.0, 0.0, 0.02], [0.03, 0.01, 0.0, 0.0, 0.0]]))
        assert found["portfolio"].to_list() == sorted(QUINTILE_NAMES)
        low = found.row(by_predicate=pl.col("portfolio") == BOTTOM, named=True)
        assert (low["months"], low["stocks"], low["without_return"]) == (2, 10.5, 1)
        assert low["mean_return"] == pytest.approx(0.02)
        assert low["annual_return"] == pytest.approx(0.24)
        assert low["annual_volatility"] == pytest.approx(0.02 / np.sqrt(2) * np.sqrt(12))
        assert low["mean_return_se"] is low["mean_return_t"] is low["sharpe_ratio_se"] is None
        assert found.row(by_predicate=pl.col("portfolio") == "quintile 2", named=True)["months"] == 1

    def test_errors(self) -> None:
        values = np.random.default_rng(0).normal(0.01, 0.05, (30, 5))
        found = portfolio_summary(_returns(values.tolist())).row(by_predicate=pl.col("portfolio") == TOP, named=True)
        assert found["mean_return_se"] == pytest.approx(mean_with_error("x", values[:, 4])["x_se"])
        assert found["mean_return_t"] == pytest.approx(found["mean_return"] / found["mean_return_se"])
        for name, value in annualised(values[:, 4]).items():
            assert found[name] == pytest.approx(value)

    def test_nothing(self) -> None:
        assert portfolio_summary(PORTFOLIO_RETURNS.empty()).equals(PORTFOLIO_SUMMARY.empty())
        assert monotonicity(PORTFOLIO_RETURNS.empty()).equals(MONOTONICITY.empty())


class TestMonotonicity:
    def test_by_hand(self) -> None:
        """Means of 1, 3, 2, 4, 5 %: one step of four the wrong way round."""
        (row,) = monotonicity(_returns([[0.00, 0.04, 0.02, 0.03, 0.05], [0.02, 0.02, 0.02, 0.05, 0.05]])).to_dicts()
        assert (row["model"], row["months"], row["steps_in_order"]) == ("m", 2, 3)
        assert row["rank_correlation"] == pytest.approx(1 - 6 * 2 / (5 * 24))
        assert row["smallest_step"] == pytest.approx(-0.01)
        assert row["smallest_step_se"] is None
        months = spearmanr(range(5), [0, 4, 2, 3, 5]).statistic, spearmanr(range(5), [2, 2, 2, 5, 5]).statistic
        assert row["monthly_rank_correlation"] == pytest.approx(sum(months) / 2)

    def test_all_in_order_and_in_reverse(self) -> None:
        for sign, steps in ((1, 4), (-1, 0)):
            (row,) = monotonicity(_returns([[sign * 0.01 * number for number in range(5)]])).to_dicts()
            assert (row["steps_in_order"], row["rank_correlation"]) == (steps, sign)
            assert row["monthly_rank_correlation"] == sign

    def test_all_the_same(self) -> None:
        (row,) = monotonicity(_returns([[0.01] * 5] * 3)).to_dicts()
        assert (row["steps_in_order"], row["smallest_step"]) == (0, 0)
        assert row["rank_correlation"] is row["monthly_rank_correlation"] is None

    def test_months_without_a_quintile_are_left_out(self) -> None:
        rising: list[float | None] = [0.0, 0.01, 0.02, 0.03, 0.04]
        (row,) = monotonicity(_returns([rising, [None, 0.1, 0.0, 0.0, -0.1], rising])).to_dicts()
        assert (row["months"], row["rank_correlation"]) == (2, 1)
        assert monotonicity(_returns([[None, *rising[1:]]])).is_empty()

    def test_errors(self) -> None:
        values = np.random.default_rng(0).normal([-0.01, 0, 0.01, 0.02, 0.015], 0.05, (40, 5))
        (row,) = monotonicity(_returns(values.tolist())).to_dicts()
        steps = np.diff(values.mean(axis=0))
        smallest = values[:, steps.argmin() + 1] - values[:, steps.argmin()]
        assert row["smallest_step"] == pytest.approx(steps.min())
        assert row["smallest_step_se"] == pytest.approx(mean_with_error("x", smallest)["x_se"])
        monthly = np.array([spearmanr(range(5), each).statistic for each in values])
        assert row["monthly_rank_correlation"] == pytest.approx(monthly.mean())
        assert row["monthly_rank_correlation_se"] == pytest.approx(mean_with_error("x", monthly)["x_se"])

    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 2**32 - 1))
    def test_bounds(self, seed: int) -> None:
        returns = portfolio_returns(random_forecasts(seed))
        for row in monotonicity(returns).to_dicts():
            assert 0 <= row["steps_in_order"] <= 4
            assert row["rank_correlation"] is None or -1 <= row["rank_correlation"] <= 1
            assert (row["smallest_step"] > 0) == (row["steps_in_order"] == 4)
            total = returns.filter(model=row["model"], portfolio=LONG_SHORT).height
            assert row["months"] == total
