"""Stale prices: quotes that nobody has dealt at are told from prices that did not move."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.validation.staleness import staleness
from tests.validation.made_stocks import stock


def _counts(prices: pl.DataFrame) -> tuple[list[int], list[int]]:
    facts = staleness(prices.sort("security_id", "month"))
    return facts["untraded_months"].to_list(), facts["unchanged_months"].to_list()


class TestRegression:
    def test_months_without_trade_are_counted_together_and_the_last_trade_is_not_one(self) -> None:
        volume = [9.0, 9.0, 0.0, 0.0, 0.0, 9.0, 9.0]
        untraded, unchanged = _counts(stock([5.0, 7.0, 7.0, 7.0, 7.0, 7.0, 8.0], volume=volume))
        assert untraded == [0, 0, 3, 3, 3, 0, 0]
        assert unchanged == [1, 2, 0, 0, 0, 2, 1]

    def test_a_new_quote_without_trade_begins_a_stretch(self) -> None:
        assert _counts(stock([5.0, 7.0, 7.0], volume=[9.0, 0.0, 0.0]))[0] == [0, 2, 2]

    def test_the_last_digits_of_an_adjusted_price_do_not_matter(self) -> None:
        assert _counts(stock([679.0, 678.999836, 679.00001], volume=[0.0] * 3))[0] == [3, 3, 3]
        assert _counts(stock([679.0, 678.9, 679.0], volume=[0.0] * 3))[0] == [1, 1, 1]

    def test_a_volume_that_is_not_known_is_no_missing_trade(self) -> None:
        assert _counts(stock([5.0] * 8, volume=[None] * 8)) == ([0] * 8, [0] * 8)

    def test_a_dividend_is_no_trade(self) -> None:
        assert _counts(stock([5.0, 5.1, 5.1], close=[5.0] * 3, volume=[0.0] * 3))[0] == [3, 3, 3]

    def test_where_there_is_no_close(self) -> None:
        unknown = pl.lit(None, pl.Float64)
        prices = stock([5.0, 5.1, 5.1], volume=[0.0] * 3).with_columns(close=unknown)
        assert _counts(prices)[0] == [1, 2, 2]
        returns = stock([5.0] * 3, total_return=[0.0, 0.02, 0.0], volume=[0.0] * 3)
        assert _counts(returns.with_columns(close=unknown, total_return_price=unknown))[0] == [1, 2, 2]

    def test_no_price_is_not_the_same_price(self) -> None:
        prices = stock([5.0] * 3, volume=[0.0] * 3)
        unknown = prices.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("close", "total_return_price"))
        assert _counts(unknown)[0] == [1, 1, 1]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_against_counting_by_hand(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.tuples(st.sampled_from([5.0, 6.0]), st.sampled_from([0.0, 1.0, None])), min_size=1))
    cut = data.draw(st.integers(0, len(rows)))
    stocks = [("1301", rows[:cut]), ("1302", rows[cut:])]
    frames = [stock([price for price, _ in each], code, volume=[v for _, v in each]) for code, each in stocks]
    expected: list[tuple[int, int]] = []
    for _, each in stocks:
        for n in range(len(each)):
            first, last = n, n
            while first > 0 and each[first - 1][0] == each[n][0]:
                first -= 1
            while last < len(each) - 1 and each[last + 1][0] == each[n][0]:
                last += 1
            volumes = [volume for _, volume in each[first : last + 1]]
            idle, busy = volumes.count(0.0), volumes.count(1.0)
            own = each[n][1]
            expected.append((idle if own == 0.0 else 0, busy if own == 1.0 else 0))
    assert list(zip(*_counts(pl.concat(frames)), strict=True)) == expected


@pytest.mark.parametrize("months", [0, 1])
def test_short_tables(months: int) -> None:
    assert _counts(stock([5.0] * months)) == ([0] * months, [1] * months)
