from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.drawdown import CUMULATED, DRAWDOWNS, SERIES, cumulated, drawdowns
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.portfolios import portfolio_returns
from tests.evaluation.frames import month, random_forecasts


def _series(returns: list[float | None], skipped: tuple[int, ...] = (), portfolio: str = "long-short") -> pl.DataFrame:
    """Return a series of months, without those that are skipped."""
    numbers = [number for number in range(len(returns) + len(skipped)) if number not in skipped]
    rows = [(month(number), "m", portfolio, value) for number, value in zip(numbers, returns, strict=True)]
    return pl.DataFrame(rows, schema=dict(SERIES.columns), orient="row")


def _row(returns: list[float | None], skipped: tuple[int, ...] = ()) -> dict[str, Any]:
    return drawdowns(_series(returns, skipped)).row(0, named=True)


class TestCumulated:
    def test_by_hand(self) -> None:
        table = cumulated(_series([0.1, -0.5, 0.2, 1.0]))
        assert table["close"].to_list() == [month(number) for number in range(5)]
        assert table["wealth"].to_list() == pytest.approx([1, 1.1, 0.55, 0.66, 1.32])
        assert table["drawdown"].to_list() == pytest.approx([0, 0, -0.5, -0.4, 0])

    def test_what_is_lost_stays_lost(self) -> None:
        """A leg sold short can lose more than there is."""
        for loss in (-1.0, -1.3):
            assert cumulated(_series([0.5, loss, 2.0, -3.0]))["wealth"].to_list() == [1, 1.5, 0, 0, 0]

    def test_a_month_without_a_return(self) -> None:
        for series in (_series([0.1, -0.1, 0.2], skipped=(1,)), _series([0.1, None, -0.1, 0.2])):
            table = cumulated(series)
            assert table["close"].to_list() == [month(0), month(1), month(3), month(4)]
            assert table["wealth"].to_list() == pytest.approx([1, 1.1, 0.99, 1.188])

    def test_portfolios_of_forecasts(self) -> None:
        returns = portfolio_returns(random_forecasts(1))
        table = cumulated(returns)
        for (model, portfolio), each in returns.partition_by("model", "portfolio", as_dict=True).items():
            wealth = table.filter(model=model, portfolio=portfolio)["wealth"].to_list()
            assert wealth == pytest.approx([1, *np.cumprod(1 + each.sort("month")["portfolio_return"].to_numpy())])

    def test_nothing(self) -> None:
        assert cumulated(SERIES.empty()).equals(CUMULATED.empty())
        assert drawdowns(SERIES.empty()).equals(DRAWDOWNS.empty())
        assert drawdowns(_series([None, None])).equals(DRAWDOWNS.empty())

    def test_bad_input(self) -> None:
        with pytest.raises(SchemaError, match="the returns to be cumulated: 1 are not finite"):
            cumulated(_series([0.1, float("nan")]))
        with pytest.raises(SchemaError, match=r"the table series lacks \['portfolio_return'\]"):
            drawdowns(_series([0.1]).drop("portfolio_return"))
        with pytest.raises(SchemaError, match="2 rows of series share their key"):
            drawdowns(pl.concat([_series([0.1])] * 2))


class TestDrawdowns:
    def test_recovered(self) -> None:
        """1, 1.1, 1.045, 1.1, 0.55, 0.66, 1.32: the second of two, from the close of month 3 to that of 6."""
        row = _row([0.1, -0.05, 1 / 0.95 - 1, -0.5, 0.2, 1.0])
        assert row["depth"] == pytest.approx(-0.5)
        assert (row["start"], row["trough"], row["end"]) == (month(3), month(4), month(6))
        assert (row["length"], row["recovered"], row["longest"]) == (3, True, 3)
        assert (row["months"], row["months_without_return"]) == (6, 0)
        assert row["depth_resampled"] is row["depth_resampled_worst"] is None

    def test_still_under_water(self) -> None:
        row = _row([-0.2, 0.1, -0.3, 0.1])
        assert row["depth"] == pytest.approx(0.8 * 1.1 * 0.7 - 1)
        assert (row["start"], row["trough"], row["end"]) == (month(0), month(3), None)
        assert (row["length"], row["recovered"], row["longest"]) == (4, False, 4)

    def test_the_longest_is_not_the_deepest(self) -> None:
        row = _row([-0.1, 0.02, 0.02, 0.02, 0.5, -0.2, 0.5])
        assert (row["depth"], row["length"], row["longest"]) == (pytest.approx(-0.2), 2, 5)
        assert (row["start"], row["end"]) == (month(5), month(7))

    def test_the_first_of_two(self) -> None:
        row = _row([-0.5, 1.0, -0.5, 1.0])
        assert (row["depth"], row["start"], row["end"]) == (-0.5, month(0), month(2))

    def test_none(self) -> None:
        row = _row([0.1, 0.0, 0.2])
        assert (row["depth"], row["start"], row["trough"], row["end"]) == (0, None, None, None)
        assert (row["length"], row["recovered"], row["longest"]) == (0, True, 0)

    def test_lost_for_good(self) -> None:
        row = _row([0.1, -1.0, 0.5])
        assert (row["depth"], row["start"], row["trough"], row["recovered"]) == (-1, month(1), month(2), False)

    def test_lengths_are_in_calendar_months(self) -> None:
        row = _row([0.1, -0.1, 0.2], skipped=(1, 2))
        assert (row["months"], row["months_without_return"]) == (3, 2)
        # Down from the close of month 1; the next return is that of month 4.
        assert (row["start"], row["trough"], row["end"], row["length"]) == (month(1), month(4), month(5), 4)

    def test_rounding_is_no_drawdown(self) -> None:
        """0.7 and its inverse do not multiply to 1."""
        down = [-0.3, 1 / 0.7 - 1] * 3
        assert _row([0.3, *down])["recovered"]
        assert _row([0.3, *down])["longest"] == 2

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.sampled_from([-1.2, -0.5, -0.25, 0.0, 0.25, 1.0, None]), min_size=1, max_size=14))
    def test_against_loops(self, returns: list[float | None]) -> None:
        """Wealth of these returns has no rounding."""
        known = [(number, value) for number, value in enumerate(returns) if value is not None]
        if not known:
            return
        closes, wealth = [known[0][0]], [1.0]
        for number, value in known:
            closes.append(number + 1)
            wealth.append(wealth[-1] * max(1 + value, 0.0))
        depth, start, trough = 0.0, 0, 0
        for i, value in enumerate(wealth):
            high = max(wealth[: i + 1])
            if value / high - 1 < depth:
                # The last close at the high, as it fell only afterwards.
                depth, start, trough = value / high - 1, max(j for j in range(i) if wealth[j] == high), i
        row = _row(returns)
        assert row["depth"] == pytest.approx(depth)
        if depth == 0:
            assert row["start"] is None
            return
        end = next((j for j in range(trough, len(wealth)) if wealth[j] >= wealth[start]), None)
        assert (row["start"], row["trough"]) == (month(closes[start]), month(closes[trough]))
        assert row["end"] == (None if end is None else month(closes[end]))
        assert row["length"] == closes[len(closes) - 1 if end is None else end] - closes[start]
        assert row["length"] <= row["longest"] <= closes[-1] - closes[0]


class TestResampled:
    def test_against_loops(self) -> None:
        returns = np.random.default_rng(0).normal(0.01, 0.05, 24)
        row = drawdowns(_series(returns.tolist()), resamples=200, seed=7).row(0, named=True)
        drawn = np.random.default_rng(7).integers(24, size=(200, 24))
        depths = []
        for rows in drawn:
            wealth = high = 1.0
            depth = 0.0
            for value in returns[rows]:
                wealth *= 1 + value
                high = max(high, wealth)
                depth = min(depth, wealth / high - 1)
            depths.append(depth)
        assert row["depth_resampled"] == pytest.approx(np.median(depths))
        assert row["depth_resampled_worst"] == pytest.approx(np.quantile(depths, 0.05))
        assert row["depth_resampled_worst"] < row["depth_resampled"]

    def test_the_seed_decides(self) -> None:
        series = _series(np.random.default_rng(0).normal(0.0, 0.05, 40).tolist())
        assert drawdowns(series).equals(drawdowns(series))
        assert not drawdowns(series).equals(drawdowns(series, seed=1))

    def test_too_few_months_and_resamples(self) -> None:
        values: list[float | None] = [0.1, -0.1] * (FEWEST_MONTHS_FOR_T // 2)
        assert _row(values)["depth_resampled"] is not None
        assert _row(values[1:])["depth_resampled"] is None
        with pytest.raises(ConfigurationError, match="99 resamples: give at least 100"):
            drawdowns(_series(values), resamples=99)
