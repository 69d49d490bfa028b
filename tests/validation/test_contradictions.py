"""Rows whose columns contradict each other are found, and splits, issues and mergers are not taken for such rows."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.validation.contradictions import contradictions
from tests.validation.made_stocks import SHARES, stock

N = 24
LEVEL = [100.0] * N
Columns = dict[str, list[float | None]]


def _found(prices: pl.DataFrame) -> list[int]:
    valued = prices.sort("security_id", "month").with_columns(
        value=pl.coalesce("market_value", pl.lit(None, pl.Float64)), level=pl.col("total_return_price").log()
    )
    facts = contradictions(valued).with_row_index("row")
    return facts.filter((pl.col("contradiction") > 4) | (pl.col("odd_trades") > 20))["row"].to_list()


def _scaled(prices: pl.DataFrame, rows: list[int], factor: float, *columns: str) -> pl.DataFrame:
    at = pl.int_range(pl.len()).is_in(rows)
    return prices.with_columns(pl.when(at).then(pl.col(name) * factor).otherwise(name).alias(name) for name in columns)


def _split(close_from: int, shares_from: int, into: float = 3.0) -> pl.DataFrame:
    close = [100.0 / into if n >= close_from else 100.0 for n in range(N)]
    shares = [SHARES * into if n >= shares_from else SHARES for n in range(N)]
    return stock(LEVEL, close=close, shares_outstanding=shares)


class TestWrong:
    @pytest.mark.parametrize(
        "columns",
        [
            ("close",),
            ("total_return_price",),
            ("market_value",),
            ("shares_outstanding",),
            ("close", "total_return_price"),
            ("close", "market_value"),
            ("total_return_price", "market_value"),
            ("shares_outstanding", "market_value"),
        ],
    )
    @pytest.mark.parametrize("factor", [1000.0, 8.0, 0.1, 0.001])
    def test_exactly_the_rows_in_which_one_thing_is_wrong(self, columns: tuple[str, ...], factor: float) -> None:
        assert _found(_scaled(stock(LEVEL), [9], factor, *columns)) == [9]
        assert _found(_scaled(stock(LEVEL), [9, 10, 11], factor, *columns)) == [9, 10, 11]

    @pytest.mark.parametrize("columns", [("close",), ("total_return_price",), ("market_value",)])
    @pytest.mark.parametrize("rows", [[N - 2], [N - 3, N - 2], [N - 4, N - 3, N - 2]])
    def test_not_the_newest_row_that_is_right_again(self, columns: tuple[str, ...], rows: list[int]) -> None:
        assert _found(_scaled(stock(LEVEL), rows, 1000.0, *columns)) == rows

    @pytest.mark.parametrize("columns", [("close",), ("total_return_price",), ("close", "market_value")])
    @pytest.mark.parametrize("factor", [6.0, 1000.0, 0.1])
    def test_the_newest_month_where_return_price_and_value_disagree(
        self, columns: tuple[str, ...], factor: float
    ) -> None:
        assert _found(_scaled(stock(LEVEL), [N - 1], factor, *columns)) == [N - 1]

    @pytest.mark.parametrize("columns", [("market_value",), ("shares_outstanding", "market_value")])
    def test_the_newest_market_value(self, columns: tuple[str, ...]) -> None:
        assert _found(_scaled(stock(LEVEL), [N - 1], 100.0, *columns)) == [N - 1]

    @pytest.mark.parametrize("row", [8, 9])
    @pytest.mark.parametrize("factor", [1000.0, 8.0, 0.1])
    @pytest.mark.parametrize("value", [True, False])
    def test_a_close_beside_a_split(self, row: int, factor: float, value: bool) -> None:
        split = _split(close_from=9, shares_from=9)
        known = split if value else split.with_columns(market_value=pl.lit(None, pl.Float64))
        assert _found(_scaled(known, [row], factor, "close")) == [row]

    @pytest.mark.parametrize("column", ["volume", "traded_value"])
    def test_trades_in_thousands(self, column: str) -> None:
        assert _found(_scaled(stock(LEVEL), [9, 15], 1e-3, column)) == [9, 15]


class TestRight:
    @pytest.mark.parametrize("shares_from", range(6, 13))
    def test_a_split_whose_shares_are_told_early_or_late(self, shares_from: int) -> None:
        assert _found(_split(close_from=9, shares_from=shares_from, into=10.0)) == []

    @pytest.mark.parametrize("month", [9, N - 1])
    @pytest.mark.parametrize("factor", [10.0, 2.0, 1000.0, 0.1])
    def test_a_split(self, month: int, factor: float) -> None:
        after = [factor if n >= month else 1.0 for n in range(N)]
        close = [100.0 / each for each in after]
        shares = [SHARES * each for each in after]
        volume = [1e5 * each for each in after]
        split = stock(LEVEL, close=close, shares_outstanding=shares, volume=volume)
        assert _found(split) == []
        assert _found(split.with_columns(market_value=pl.lit(None, pl.Float64), value=pl.lit(None, pl.Float64))) == []
        assert _found(split.with_columns(shares_outstanding=pl.lit(None, pl.Float64))) == []

    def test_a_split_of_a_vendor_that_tells_neither_shares_nor_value(self) -> None:
        unknown = {"shares_outstanding": [None] * N, "market_value": [None] * N}
        assert _found(stock(LEVEL, close=[1000.0] * (N - 1) + [100.0], **unknown)) == []

    @pytest.mark.parametrize("month", [9, N - 1])
    def test_a_merger_that_multiplies_the_shares(self, month: int) -> None:
        shares = [SHARES * (8.0 if n >= month else 1.0) for n in range(N)]
        assert _found(stock(LEVEL, shares_outstanding=shares)) == []

    @pytest.mark.parametrize("factor", [10.0, 0.03])
    def test_a_huge_move_of_everything(self, factor: float) -> None:
        assert _found(stock([100.0] * (N - 1) + [100.0 * factor])) == []
        assert _found(stock([100.0] * 9 + [100.0 * factor] * (N - 9))) == []

    def test_a_payout_of_half_the_value(self) -> None:
        assert _found(stock(LEVEL, close=[100.0] * 12 + [50.0] * 12)) == []

    def test_a_close_far_from_the_trades_in_a_month_of_large_moves(self) -> None:
        levels = [100.0] * 12 + [3_000.0] * 12
        traded = [level * 1e5 for level in [100.0, *levels[:-1]]]
        assert _found(stock(levels, traded_value=traded)) == []

    def test_unknown_and_worthless_figures(self) -> None:
        nothing: Columns = {"market_value": [None, 0.0] * (N // 2), "shares_outstanding": [None] * N}
        assert _found(stock(LEVEL, volume=[0.0, None] * (N // 2), **nothing)) == []


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_against_looking_at_both_sides_by_hand(data: st.DataObject) -> None:
    """The close alone wanders between scales: a row stands off if like ones lie within three months on both sides."""
    scales = data.draw(st.lists(st.sampled_from([1.0, 1.0, 1.0, 5.0, 50.0, 0.1]), min_size=3, max_size=20))
    months = len(scales)
    # A month after the last leaves the newest one, which has a rule of its own, alone.
    close = [100.0 * scale for scale in scales] + [100.0 * scales[-1]]
    expected = [
        n
        for n in range(months)
        if any(
            scales[n - back] == (scales + scales[-1:])[n + ahead] and scales[n - back] != scales[n]
            for back in range(1, min(3, n) + 1)
            for ahead in range(1, min(4 - back, months - n) + 1)
        )
    ]
    prices = stock([100.0] * (months + 1), close=close, market_value=[1e8] * (months + 1))
    assert _found(prices.with_columns(volume=pl.lit(None, pl.Float64))) == expected
