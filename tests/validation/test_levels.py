"""Price levels: a wrong scale is found on the wrong rows, and what really happens to stocks is left alone."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.months import Month
from deepfactor.schemas import FUNDAMENTALS, PRICES
from deepfactor.validation.levels import price_levels

START = Month.parse("2005-01")
NOTHING = FUNDAMENTALS.empty()
FACTS = ("rise_from_level", "fall_from_level", "spike")


def _prices(levels: list[float | None], code: str = "1301") -> pl.DataFrame:
    """One stock from ``START`` on, a row a month; None: the stock skips the month."""
    rows = [
        {"month": (START + n).first_day, "security_id": code, "close": level, "total_return_price": level}
        for n, level in enumerate(levels)
        if level is not None
    ]
    return pl.DataFrame(rows, schema=dict(PRICES.columns))


def _apart(prices: pl.DataFrame, accounts: pl.DataFrame = NOTHING) -> list[int]:
    facts = price_levels(prices, accounts)
    wrong = (pl.col("rise_from_level") > 20) | (pl.col("fall_from_level") > 100) | (pl.col("spike") > 4)
    return facts.with_row_index("row").filter(wrong)["row"].to_list()


def _accounts(net_assets: float) -> pl.DataFrame:
    known = [(START + n).first_day for n in range(0, 60, 12)]
    content = {
        "security_id": ["1301"] * 5,
        "period_end": known,
        "available_from": known,
        "net_assets": [net_assets] * 5,
    }
    missing = {name: [None] * 5 for name in FUNDAMENTALS.columns if name not in content}
    return pl.DataFrame(content | missing, schema_overrides=dict(FUNDAMENTALS.columns)).select(*FUNDAMENTALS.columns)


class TestRegression:
    @pytest.mark.parametrize(
        ("levels", "wrong"),
        [
            ([100.0] * 10 + [100_000.0] + [100.0] * 10, [10]),  # one month × 1,000
            ([100.0] * 10 + [0.1] * 6 + [100.0] * 10, [10, 11, 12, 13, 14, 15]),  # half a year / 1,000
            ([0.1] * 8 + [100.0] * 20, list(range(8))),  # a scale corrected later
            ([100.0] * 20 + [100_000.0], [20]),  # the newest month × 1,000: nothing comes back yet
            ([100.0] * 20 + [0.1], [20]),  # the newest month / 1,000
            ([100.0] * 10 + [600.0] + [110.0] * 10, [10]),  # × 6 and back
            ([100.0] * 10 + [600.0] * 10, []),  # × 6 and there to stay
            ([100.0] * 10 + [4.0] * 5, []),  # lost 96 % and stayed there
            ([100.0] * 10 + [4.0] * 25, []),  # and so it is if most of its prices lie below
            ([100.0] * 10 + [25.5] + [100.0] * 10, []),  # lost less than three quarters and came back
            ([100.0, 150.0, 300.0, 900.0, 2_000.0, 4_000.0], []),  # × 40 within months
            ([5.0] * 5 + [None] * 24 + [900.0] * 20, []),  # listed anew after two years
            ([100.0] * 10 + [-5.0] * 3 + [100.0] * 10, []),  # judged as negative, not as a level
        ],
    )
    def test_which_rows_are_apart(self, levels: list[float | None], wrong: list[int]) -> None:
        assert _apart(_prices(levels)) == wrong

    def test_the_accounts_say_which_scale_is_right(self) -> None:
        prices = _prices([1.0] * 40 + [100.0] * 15).with_columns(market_value=pl.col("close") * 1e9)
        assert _apart(prices) == list(range(40, 55))
        assert _apart(prices, _accounts(8e10)) == list(range(40))

    def test_level_that_the_accounts_contradict_throughout(self) -> None:
        prices = _prices([1.0] * 40).with_columns(market_value=pl.lit(1e9))
        assert price_levels(prices, _accounts(8e10))["level_book_to_price"].unique().to_list() == [80.0]

    def test_few_ratios_say_nothing(self) -> None:
        prices = _prices([1.0] * 11).with_columns(market_value=pl.lit(1e9))
        assert price_levels(prices, _accounts(8e10))["level_book_to_price"].null_count() == 11

    def test_returns_in_the_place_of_prices(self) -> None:
        prices = _prices([100.0] * 30).with_columns(
            total_return_price=pl.lit(None, pl.Float64),
            total_return=pl.Series([0.01] * 10 + [999.0] + [-0.999] + [0.01] * 18),
        )
        assert _apart(prices) == [10]


moves = st.lists(st.floats(-1.3, 1.3), min_size=20, max_size=60)


class TestProperties:
    @given(moves)
    @settings(deadline=None, max_examples=60)
    def test_moves_of_less_than_a_factor_of_four_are_never_apart(self, walk: list[float]) -> None:
        facts = price_levels(_prices(_walk(walk)), NOTHING)
        assert facts.select(pl.col(*FACTS).max()).row(0) == (1.0, 1.0, 1.0)

    @given(moves, st.data())
    @settings(deadline=None, max_examples=100)
    def test_exactly_the_wrong_rows_are_found(self, walk: list[float], data: st.DataObject) -> None:
        levels = _walk([move / 10 for move in walk])
        first = data.draw(st.integers(1, len(levels) - 1))
        length = data.draw(st.integers(1, min(len(levels) - first, len(levels) // 2 - 1)))
        factor = data.draw(st.sampled_from([1000.0, 0.001, 300.0]))
        wrong = range(first, first + length)
        damaged = [level * factor if n in wrong else level for n, level in enumerate(levels)]
        assert _apart(_prices(damaged)) == list(wrong)

    @given(st.integers(0, 2**32))
    @settings(deadline=None, max_examples=20)
    def test_the_order_of_rows_does_not_matter(self, seed: int) -> None:
        wrong = _prices([100.0] * 10 + [1e5] * 2 + [100.0] * 10)
        both = wrong.vstack(_prices([50.0] * 15, "1302"))
        order = random.Random(seed).sample(range(both.height), both.height)
        assert sorted(order[row] for row in _apart(both[order])) == [10, 11]


def _walk(steps: list[float]) -> list[float | None]:
    levels, level = [], 0.0
    for step in steps:
        level += step
        levels.append(100.0 * math.exp(level))
    return levels
