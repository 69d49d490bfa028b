from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.averages import annualised, mean_with_error
from deepfactor.evaluation.drawdown import SERIES
from deepfactor.evaluation.portfolios import LONG_SHORT, portfolio_returns
from deepfactor.evaluation.trading import AFTER_COSTS, TRADING, TRADING_SUMMARY, after_costs, trading, trading_summary
from deepfactor.months import Month
from tests.evaluation.frames import Row, by_month, forecasts, month, random_forecasts


def _ranked(order: str, realised: dict[str, float | None], number: int) -> pl.DataFrame:
    """Return a month's forecasts of stocks given from the best to the worst; returns are 0 unless said."""
    return forecasts(number, "m", {name: (-0.01 * place, realised.get(name, 0.0)) for place, name in enumerate(order)})


class TestTurnover:
    def test_by_hand(self) -> None:
        """a and b are held, then a and c; i and j are sold short, then j and k, which is new."""
        frame = pl.concat(
            [
                _ranked("abcdefghij", {"a": 0.2, "b": 0.0, "i": -0.5, "j": 0.0}, 0),
                _ranked("acbdefghjk", {"c": 0.02, "k": 0.01}, 1),
            ]
        )
        first, second = trading(frame, basis_points=25.0).to_dicts()
        assert first["turnover_top"] is first["turnover_bottom"] is first["cost"] is first["after_costs"] is None
        assert first["long_short"] == pytest.approx(0.1 + 0.25)
        # a has grown to 0.6 of 1.1, b is 0.5 of it; i has shrunk to 0.25 of 0.75, j is 0.5 of it.
        top = (abs(0.5 - 0.6 / 1.1) + 0.5 / 1.1 + 0.5) / 2
        bottom = (0.25 / 0.75 + abs(0.5 - 0.5 / 0.75) + 0.5) / 2
        assert second["turnover_top"] == pytest.approx(top)
        assert second["turnover_bottom"] == pytest.approx(bottom)
        assert second["cost"] == pytest.approx(2 * (top + bottom) * 0.0025)
        assert second["long_short"] == pytest.approx(0.01 - 0.005)
        assert second["after_costs"] == pytest.approx(0.005 - 2 * (top + bottom) * 0.0025)

    def test_one_stock_in_a_quintile(self) -> None:
        frame = pl.concat(
            [_ranked(order, {"a": 0.5}, number) for number, order in enumerate(["abcde", "abced", "bacde"])]
        )
        assert trading(frame).select("turnover_top", "turnover_bottom").rows() == [(None, None), (0, 1), (1, 1)]

    def test_a_delisted_stock_is_replaced_and_one_that_comes_back_bought_again(self) -> None:
        frame = pl.concat([_ranked("abcdefghij", {"a": None}, 0), _ranked("bcdefghij", {}, 1)])
        for missing_return in (0.0, -0.5):
            _, second = trading(frame, missing_return).to_dicts()
            left = 0.5 * (1 + missing_return)
            # Of nine stocks the top quintile has two.
            share = 0.5 / (0.5 + left)
            assert second["turnover_top"] == pytest.approx((1 - share + abs(0.5 - share) + 0.5) / 2)

    def test_a_leg_that_has_lost_everything(self) -> None:
        frame = pl.concat([_ranked("abcde", {"a": -1.0}, 0), _ranked("abcde", {}, 1)])
        assert trading(frame)["turnover_top"].to_list() == [None, 0.5]

    def test_a_hole_in_the_months(self) -> None:
        frame = pl.concat([_ranked("abcde", {}, number) for number in (0, 1, 3, 4)])
        assert trading(frame)["turnover_top"].to_list() == [None, 0, None, 0]

    def test_a_month_without_a_leg(self) -> None:
        frame = pl.concat(
            [_ranked(order, {}, number) for number, order in enumerate(["abcde", "abc", "abcde", "abcde"])]
        )
        assert trading(frame)["cost"].to_list() == [None, None, 0]
        assert trading(frame).select("month", "turnover_top", "turnover_bottom").rows() == [
            (month(0), None, None), (month(2), 0, None), (month(3), 0, 0)
        ]  # fmt: skip

    def test_a_month_that_is_not_over(self) -> None:
        frame = pl.concat([_ranked("abcde", {}, 0), _ranked("abcde", dict.fromkeys("abcde"), 1)])
        assert trading(frame)["month"].to_list() == [month(0)]
        assert trading(frame.filter(month=month(1))).equals(TRADING.empty())

    def test_no_quintiles(self) -> None:
        frame = _ranked("abcde", {}, 0).with_columns(quintile=pl.lit(None, dtype=pl.Int64))
        assert trading(frame).equals(TRADING.empty())

    @pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
    def test_costs_that_cannot_be(self, value: float) -> None:
        with pytest.raises(ConfigurationError, match="basis_points .*: give costs of no less than 0"):
            trading(_ranked("abcde", {}, 0), basis_points=value)

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, -0.3, -1.0]))
    def test_against_loops(self, seed: int, missing_return: float) -> None:
        frame = random_forecasts(seed)
        table = trading(frame, missing_return, 30.0)
        months = by_month(frame)
        gross = portfolio_returns(frame, missing_return).filter(portfolio=LONG_SHORT)
        assert table.select("month", "model").equals(gross.select("month", "model"))
        for row in table.to_dicts():
            of_model = months[row["model"]]
            legs = [_turnover(of_model, row["month"], quintile, missing_return) for quintile in (5, 1)]
            assert [row["turnover_top"], row["turnover_bottom"]] == [
                None if each is None else pytest.approx(each, abs=1e-12) for each in legs
            ]
            assert all(each is None or -1e-12 <= each <= 1 + 1e-12 for each in legs)
            if None not in legs:
                assert row["cost"] == pytest.approx(2 * sum(each or 0.0 for each in legs) * 0.003)
                assert row["after_costs"] == pytest.approx(row["long_short"] - row["cost"])
            else:
                assert row["cost"] is row["after_costs"] is None


def _turnover(of_model: dict[date, list[Row]], at: date, quintile: int, missing_return: float) -> float | None:
    before = (Month.containing(at) + -1).first_day
    legs = []
    for each in (before, at):
        earned = {row["security_id"]: row["realised"] for row in of_model.get(each, []) if row["quintile"] == quintile}
        legs.append({name: missing_return if value is None else value for name, value in earned.items()})
    old, new = legs
    if not old or not new:
        return None
    grown = {name: (1 + value) / len(old) for name, value in old.items()}
    value = sum(grown.values())
    drifted = {name: each / value if value > 0 else 0.0 for name, each in grown.items()}
    return sum(abs((name in new) / len(new) - drifted.get(name, 0.0)) for name in {*old, *new}) / 2


def _table(rows: list[tuple[float | None, float | None, float, float | None]]) -> pl.DataFrame:
    """Return what is traded, given turnovers, return and cost of each month."""
    full = [
        (month(number), "m", *each, None if each[3] is None else each[2] - each[3]) for number, each in enumerate(rows)
    ]
    return pl.DataFrame(full, schema=dict(TRADING.columns), orient="row")


class TestSummary:
    def test_by_hand(self) -> None:
        table = _table([(None, None, 0.9, None), (0.4, 0.6, 0.01, 0.002), (0.2, 0.8, 0.03, 0.002)])
        (row,) = trading_summary(table).to_dicts()
        # The first month is in none of the figures.
        assert row["months"] == 2
        assert (row["turnover_top"], row["turnover_bottom"]) == (pytest.approx(0.3), pytest.approx(0.7))
        assert row["annual_return_before_costs"] == pytest.approx(0.24)
        assert row["annual_cost"] == pytest.approx(0.024)
        assert row["annual_return"] == pytest.approx(0.216)
        assert row["sharpe_ratio"] == pytest.approx(0.018 / (0.02 / np.sqrt(2)) * np.sqrt(12))
        # 2 % a month of 2 × (0.3 + 0.7) traded: one percent.
        assert row["break_even"] == pytest.approx(100.0)
        assert {value for name, value in row.items() if name.endswith("_se")} == {None}

    def test_at_the_break_even_nothing_is_left(self) -> None:
        orders = ["abcdefghij", "bacdefghji", "cadbefgjhi", "acbdefhgij", "dcbaefghij"]
        frame = pl.concat(
            [_ranked(order, {"a": 0.03, "b": 0.02 - 0.01 * n, "j": -0.02}, n) for n, order in enumerate(orders)]
        )
        (row,) = trading_summary(trading(frame)).to_dicts()
        (at,) = trading_summary(trading(frame, basis_points=row["break_even"])).to_dicts()
        assert at["annual_return"] == pytest.approx(0, abs=1e-12)
        assert at["break_even"] == pytest.approx(row["break_even"])

    def test_errors(self) -> None:
        random = np.random.default_rng(0)
        top, bottom = random.uniform(0.1, 0.9, 60), random.uniform(0.1, 0.9, 60)
        # The more is traded, the more is earned: the ratio is surer than the return.
        gross = 0.01 * (top + bottom) + random.normal(0, 0.002, 60)
        cost = 2 * (top + bottom) * 0.001
        table = _table(list(zip(*(each.tolist() for each in (top, bottom, gross, cost)), strict=True)))
        (row,) = trading_summary(table).to_dicts()
        for name, values in (
            ("turnover_top", top),
            ("turnover_bottom", bottom),
            ("annual_return_before_costs", 12 * gross),
            ("annual_cost", 12 * cost),
        ):
            assert row[f"{name}_se"] == pytest.approx(mean_with_error(name, values)[f"{name}_se"])
        for name, value in annualised(gross - cost).items():
            assert row[name] == pytest.approx(value)
        # The error is what the break-even costs scatter by from one sample to another.
        traded = 2 * (top + bottom)
        rows = random.integers(60, size=(4000, 60))
        scatter = (gross[rows].mean(axis=1) / traded[rows].mean(axis=1)).std() * 1e4
        assert row["break_even_se"] == pytest.approx(scatter, rel=0.25)

    def test_no_break_even(self) -> None:
        for rows in ([(0.4, 0.4, -0.01, 0.0)] * 3, [(0.0, 0.0, 0.01, 0.0)] * 3, [(None, None, 0.01, None)]):
            (row,) = trading_summary(_table(rows)).to_dicts()
            assert row["break_even"] is row["break_even_se"] is None
        assert trading_summary(TRADING.empty()).equals(TRADING_SUMMARY.empty())


def test_a_series_after_costs() -> None:
    series = after_costs(_table([(None, None, 0.9, None), (0.4, 0.6, 0.01, 0.002)]))
    assert SERIES.check(series, "").rows() == [(month(1), "m", AFTER_COSTS, pytest.approx(0.008))]
