from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor import portfolio
from deepfactor.errors import HistoryError, SchemaError
from deepfactor.evaluation.naive import (
    NAIVE,
    TRAILING_MEAN,
    TRAILING_MEANS,
    TRAINING_MEAN,
    ZERO,
    constant_forecasts,
    trailing_mean_forecasts,
    trailing_means,
    with_naive,
)
from deepfactor.evaluation.portfolios import LONG_SHORT, portfolio_returns
from tests.evaluation.frames import forecasts, month, random_forecasts, returns

_SIX = {name: (0.01 * number, 0.02 * number) for number, name in enumerate("abcdef")}
_MEANS = {month(0): 0.004}


def _history(stock: str, months: list[int], value: float = 0.01) -> list[tuple[int, str, float | None]]:
    return [(number, stock, value) for number in months]


class TestConstant:
    def test_by_hand(self) -> None:
        found = constant_forecasts(forecasts(0, "m", _SIX), _MEANS)
        assert found.height == 12
        for name, value in ((ZERO, 0.0), (TRAINING_MEAN, 0.004)):
            rows = found.filter(model=name)
            assert rows["security_id"].to_list() == list("abcdef")
            assert rows["prediction"].to_list() == [value] * 6
            assert rows["realised"].to_list() == [each for _, each in _SIX.values()]
            assert rows["quintile"].null_count() == rows["rank"].null_count() == 6
            assert rows["dispersion"].to_list() == [0.0] * 6
        assert portfolio_returns(found).is_empty()

    def test_stocks_of_any_model(self) -> None:
        frame = pl.concat([forecasts(0, "m", _SIX), forecasts(0, "n", {"b": _SIX["b"], "z": (0.0, None)})])
        found = constant_forecasts(frame, _MEANS).filter(model=ZERO)
        assert found["security_id"].to_list() == list("abcdefz")

    @pytest.mark.parametrize("means", [{}, {month(0): float("nan")}])
    def test_no_training_mean(self, means: dict[date, float]) -> None:
        with pytest.raises(HistoryError, match="no mean return of the training window of 2010-01-01"):
            constant_forecasts(forecasts(0, "m", _SIX), means)

    def test_two_returns_of_one_stock(self) -> None:
        frame = pl.concat([forecasts(0, "m", _SIX), forecasts(0, "n", {"b": (0.1, 0.5)})])
        with pytest.raises(SchemaError, match="the constant forecasts: .* share their key"):
            constant_forecasts(frame, _MEANS)


class TestTrailing:
    def test_by_hand(self) -> None:
        """Of 60 months up to the as-of month; 36 of them are enough, 35 are not."""
        rows = [
            *_history("a", list(range(-59, 1)), 0.01),
            *_history("a", [-60, 1], 9.0),
            *_history("b", list(range(-35, 1)), 0.02),
            *_history("c", list(range(-34, 1)), 0.03),
            *_history("c", [-60, -61], 0.03),
            # With a hole, and with one that is written out.
            *_history("d", [*range(-59, -30), *range(-6, 1)], -0.01),
            (-20, "d", None),
            *_history("e", [1, 2], 0.5),
        ]
        found = trailing_means(returns(rows), [month(0)])
        assert found.drop("trailing_mean").rows() == [
            (month(0), "a", 60), (month(0), "b", 36), (month(0), "c", 35), (month(0), "d", 36)
        ]  # fmt: skip
        assert found["trailing_mean"].to_list() == [
            pytest.approx(0.01),
            pytest.approx(0.02),
            None,
            pytest.approx(-0.01),
        ]
        stocks = forecasts(0, "m", dict.fromkeys("abcdef", (0.0, 0.1)))
        chosen = trailing_mean_forecasts(stocks, _MEANS, returns(rows))
        assert chosen["prediction"].to_list() == pytest.approx([0.01, 0.02, 0.004, -0.01, 0.004, 0.004])
        # Ties in the order of names.
        assert chosen["rank"].to_list() == [2, 1, 3, 6, 4, 5]
        assert chosen["quintile"].to_list() == [5, 5, 4, 1, 3, 2]

    def test_without_any_history_there_is_nothing_to_rank(self) -> None:
        chosen = trailing_mean_forecasts(forecasts(0, "m", _SIX), _MEANS, returns([]))
        assert chosen["prediction"].to_list() == [0.004] * 6
        assert chosen["quintile"].null_count() == 6
        assert trailing_means(returns([(0, "a", None)]), [month(0)]).equals(TRAILING_MEANS.empty())
        assert trailing_means(returns([(40, "a", 0.1)]), [month(0)]).equals(TRAILING_MEANS.empty())
        assert trailing_means(returns([(-90, "a", 0.1)]), [month(0)]).equals(TRAILING_MEANS.empty())

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 110))
    def test_against_loops(self, seed: int, stocks: int, length: int) -> None:
        random = np.random.default_rng(seed)
        table = {
            (number, f"s{stock}"): max(random.normal(0, 0.1), -1.0)
            for stock in range(stocks)
            for number in range(-80, length - 80)
            if random.random() < random.choice([0.6, 0.95])
        }
        as_of = sorted(random.choice(np.arange(-90, 45), 5, replace=False).tolist())
        found = trailing_means(
            returns([(number, stock, value) for (number, stock), value in table.items()]),
            [month(each) for each in as_of],
        )
        expected = {}
        for each in as_of:
            for stock in {stock for _, stock in table}:
                values = [table[number, stock] for number in range(each - 59, each + 1) if (number, stock) in table]
                if values:
                    mean = sum(values) / len(values) if len(values) >= 36 else None
                    expected[month(each), stock] = (len(values), mean)
        assert {row[:2] for row in found.rows()} == expected.keys()
        for at, stock, count, mean in found.rows():
            assert (count, mean) == (
                expected[at, stock][0],
                None if expected[at, stock][1] is None else pytest.approx(expected[at, stock][1], abs=1e-12),
            )

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_nothing_later_changes_it(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        rows = [(n, s, max(random.normal(0, 0.1), -1.0)) for n in range(-50, 5) for s in "abcdef"]
        later = [(n, s, value if n <= 0 else max(random.normal(0, 0.1), -1.0)) for n, s, value in rows]
        stocks = forecasts(0, "m", _SIX)
        one, two = (trailing_mean_forecasts(stocks, _MEANS, returns(each)) for each in (rows, later))
        assert one.equals(two)


class TestAll:
    def test_every_model_and_every_naive_forecast(self) -> None:
        history = [
            row for number, name in enumerate("abcdef") for row in _history(name, list(range(-59, 1)), 0.01 * number)
        ]
        found = with_naive(forecasts(0, "m", _SIX), _MEANS, returns(history))
        assert found["model"].unique().sort().to_list() == sorted(["m", *NAIVE])
        earned = portfolio_returns(found).filter(portfolio=LONG_SHORT)
        # Both rank the stocks alike, six of them: two in the top quintile.
        assert earned.select("model", "portfolio_return").rows() == [
            ("m", pytest.approx(0.09)), (TRAILING_MEAN, pytest.approx(0.09))
        ]  # fmt: skip

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 2**32 - 1))
    def test_the_same_stocks(self, seed: int) -> None:
        frame = random_forecasts(seed)
        # A stock's return is one, whatever the model.
        means = dict.fromkeys(frame["month"].unique().to_list(), 0.01)
        random = np.random.default_rng(seed)
        rows = [(n, f"{s:02}", 0.01 * float(random.integers(9))) for s in range(14) for n in range(-60, 6)]
        found = with_naive(frame, means, returns([row for row in rows if random.random() < 0.7]))
        stocks = frame.select("month", "security_id", "realised").unique().sort("month", "security_id")
        for name in NAIVE:
            assert found.filter(model=name).select("month", "security_id", "realised").equals(stocks)
        for _, each in found.filter(model=TRAILING_MEAN).group_by("month"):
            if each["prediction"].n_unique() > 1:
                rank = portfolio.ranks(each["prediction"].to_numpy(), each["security_id"].to_numpy())
                assert each["rank"].to_list() == rank.tolist()
