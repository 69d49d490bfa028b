"""Price levels: a wrong scale is found on the wrong rows, and what really happens to stocks is left alone."""

from __future__ import annotations

import itertools
import math
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.validation.levels import Jump, Run, level_facts, price_levels, right_level, separate
from tests.validation.made_stocks import NOTHING, accounts, bare, stock, walk

LEVELS = ("rise_from_level", "fall_from_level", "spike")
# What sets a row aside, with the largest value that does not.
LIMITS = dict.fromkeys((*LEVELS, "unexplained_split"), 1.5) | {
    "contradiction": 4.0,
    "odd_trades": 20.0,
    "scale_by_accounts": 1.0,
    "untraded_months": 5,
}


def aside(prices: pl.DataFrame, books: pl.DataFrame = NOTHING) -> list[int]:
    """Rows set aside."""
    facts = price_levels(prices, books).with_row_index("row")
    wrong = pl.any_horizontal(pl.col(name) > limit for name, limit in LIMITS.items())
    return facts.filter(wrong)["row"].to_list()


CASES: dict[str, tuple[list[float | None], list[int]]] = {
    "one month × 1,000": ([100.0] * 10 + [100_000.0] + [100.0] * 10, [10]),
    "half a year / 1,000": ([100.0] * 10 + [0.1] * 6 + [100.0] * 10, [*range(10, 16)]),
    "one year × 50 and back": ([100.0] * 10 + [5_000.0] * 12 + [110.0] * 10, [*range(10, 22)]),
    "a scale corrected later": ([0.1] * 8 + [100.0] * 20, [*range(8)]),
    "long wrong, and corrected for long": ([0.1] * 60 + [100.0] * 7, [*range(60)]),
    "corrected so lately that it may not last": ([0.1] * 60 + [100.0] * 6, [*range(60, 66)]),
    "the newest month × 1,000": ([100.0] * 20 + [100_000.0], [20]),
    "the newest month / 1,000": ([100.0] * 20 + [0.1], [20]),
    "× 6 and back": ([100.0] * 10 + [600.0] + [110.0] * 10, [10]),
    "/ 6 and back after three months": ([100.0] * 10 + [17.0] * 3 + [95.0] * 10, [10, 11, 12]),
    "two of them in a row": ([100.0] * 5 + [1e5, 100.0, 1e5, 100.0] + [100.0] * 9, [5, 7]),
    "a wrong beginning with right months in it": (
        [0.1, 0.1, 99.0, 0.1, 101.0] + [0.1] * 5 + [100.0] * 9,
        [0, 1, 3, *range(5, 10)],
    ),
    "× 6 and back after four months": ([100.0] * 10 + [600.0] * 4 + [110.0] * 10, []),
    "× 6 and there to stay": ([100.0] * 10 + [600.0] * 10, []),
    "× 15 in the newest month": ([100.0] * 10 + [1_500.0], []),
    "lost 96 % and stayed there": ([100.0] * 10 + [4.0] * 25, []),
    "lost less than three quarters and came back": ([100.0] * 10 + [25.5] + [100.0] * 10, []),
    "× 10 and × 5, a year apart": ([100.0] * 10 + [1000.0] * 12 + [5000.0] * 10, []),
    "× 40 within months": ([100.0, 150.0, 300.0, 900.0, 2_000.0, 4_000.0], []),
    "listed anew after two years": ([5.0] * 5 + [None] * 24 + [900.0] * 20, []),
    "judged as negative, not as a level": ([100.0] * 10 + [-5.0] * 3 + [100.0] * 10, []),
    "on another scale before negative prices too": (
        [0.1] * 5 + [-5.0] * 14 + [0.1] * 5 + [100.0] * 9, [*range(5), *range(19, 24)]
    ),
}  # fmt: skip


class TestRegression:
    @pytest.mark.parametrize("name", CASES)
    def test_prices_alone(self, name: str) -> None:
        levels, wrong = CASES[name]
        assert aside(bare(levels)) == wrong

    @pytest.mark.parametrize("name", CASES)
    def test_with_everything_that_moves_along(self, name: str) -> None:
        levels, wrong = CASES[name]
        assert aside(stock(levels)) == wrong

    def test_a_block_of_a_tenth_that_the_trades_contradict_at_both_ends(self) -> None:
        levels = [100.0] * 10 + [10.0] * 11 + [100.0] * 10
        # The month's trades follow only a month later: its close alone is on the other scale.
        traded = [level * 1e5 for level in [100.0, *levels[:-1]]]
        assert aside(stock(levels, traded_value=traded)) == list(range(10, 21))
        assert aside(stock(levels)) == []

    def test_a_spike_of_three_that_the_trades_contradict(self) -> None:
        levels = [100.0] * 10 + [300.0] + [100.0] * 10
        assert aside(stock(levels, traded_value=[1e7] * 21)) == [10]
        assert aside(stock(levels)) == []

    def test_a_split_that_nothing_explains_leaves_the_prices_and_takes_the_return(self) -> None:
        levels = [300.0] * 20 + [100.0] * 20
        split = stock(levels, shares_outstanding=[1e6] * 20 + [3e6] * 20, volume=[1e5] * 20 + [3e5] * 20)
        assert aside(split) == [19]
        assert price_levels(split, NOTHING)["unexplained_split"][19] == pytest.approx(3.0)
        # In the month of the split, too, its new price is the right one.
        assert aside(split.head(21)) == [19]
        assert aside(split.head(20)) == []

    def test_a_split_that_only_the_volume_knows(self) -> None:
        levels = [100.0] * 20 + [300.0] * 20
        joined = bare(levels).with_columns(volume=pl.Series([1e5] * 20 + [3e4] * 20))
        assert aside(joined) == [19]

    def test_a_split_that_the_return_price_knows(self) -> None:
        split = stock([100.0] * 40, close=[1000.0] * 20 + [100.0] * 20, shares_outstanding=[1e6] * 20 + [1e7] * 20)
        assert aside(split) == []
        assert aside(split.head(21)) == []

    def test_the_prices_before_a_large_unexplained_split_are_on_another_scale(self) -> None:
        levels = [100_000.0] * 20 + [100.0] * 3
        split = stock(levels, shares_outstanding=[1e6] * 20 + [1e9] * 3)
        assert aside(split) == list(range(20))

    def test_a_failure_and_a_new_listing(self) -> None:
        """As of an airline in 2010: the loss is real; the quotes after delisting and the jump at relisting are not."""
        levels = [100.0] * 30 + [67.0] + [1.0] * 2 + [1.0] * 30 + [1825.0] * 20
        volume = [1e5] * 30 + [1e6, 3e7, 1e7] + [0.0] * 30 + [1e5] * 20
        traded = [level * size for level, size in zip(levels, volume, strict=True)]
        traded[31] *= 12.0
        found = stock(levels, volume=volume, traded_value=traded)
        assert aside(found) == list(range(33, 63))
        assert aside(found.head(32)) == []

    def test_a_last_wrong_price_before_a_long_pause(self) -> None:
        """What is listed after a long pause says nothing of the prices before."""
        levels = [100.0] * 20 + [600.0] + [None] * 24 + [110.0] * 20
        traded = [1e7] * 21 + [1.1e7] * 20
        assert aside(stock(levels, traded_value=traded)) == [20]

    def test_the_accounts_say_which_scale_is_right(self) -> None:
        prices = bare([1.0] * 40 + [100.0] * 15).with_columns(market_value=pl.col("close") * 1e9)
        assert aside(prices) == list(range(40))
        early = prices.head(44)
        assert aside(early) == [40, 41, 42, 43]
        corrected = prices.head(54)
        assert aside(corrected, accounts(net_assets=8e10)) == list(range(40))
        wrong_now = bare([100.0] * 40 + [0.5] * 30).with_columns(market_value=pl.col("close") * 1e9)
        assert aside(wrong_now, accounts(net_assets=8e10)) == list(range(40, 70))

    def test_returns_in_the_place_of_prices(self) -> None:
        prices = bare([100.0] * 30).with_columns(
            total_return_price=pl.lit(None, pl.Float64),
            total_return=pl.Series([0.01] * 10 + [999.0] + [-0.999] + [0.01] * 18),
        )
        assert aside(prices) == [10]

    def test_reasons(self) -> None:
        def reason(levels: list[float | None]) -> list[str]:
            facts = price_levels(bare(levels), NOTHING)
            return [name for name in LEVELS if (facts[name] > 1.5).any()]

        assert reason([100.0] * 9 + [1e5] + [100.0] * 9) == ["rise_from_level"]
        assert reason([100.0] * 9 + [0.1] + [100.0] * 9) == ["rise_from_level"]
        assert reason([100.0] * 9 + [0.1]) == ["fall_from_level"]
        assert reason([1e5] * 9 + [100.0] * 9) == ["fall_from_level"]
        assert reason([100.0] * 9 + [700.0] + [100.0] * 9) == ["spike"]

    def test_change_is_that_of_the_price(self) -> None:
        changes = price_levels(bare([100.0, 50.0, None, 150.0, -1.0, 300.0]), NOTHING)["change"].to_list()
        assert changes == [None, pytest.approx(2.0), pytest.approx(3.0), None, pytest.approx(2.0)]

    def test_no_prices(self) -> None:
        assert price_levels(bare([]), NOTHING).height == 0


moves = st.lists(st.floats(-1.3, 1.3), min_size=20, max_size=60)


class TestProperties:
    @given(moves)
    @settings(deadline=None, max_examples=40)
    def test_moves_of_less_than_a_factor_of_four_are_never_apart(self, steps: list[float]) -> None:
        assert aside(stock(walk(steps))) == []

    @given(moves, st.data())
    @settings(deadline=None, max_examples=60)
    def test_exactly_the_wrong_rows_are_found(self, steps: list[float], data: st.DataObject) -> None:
        levels = walk([step / 10 for step in steps])
        first = data.draw(st.integers(1, len(levels) - 2))
        length = data.draw(st.integers(1, min(len(levels) - first - 1, len(levels) // 2 - 1)))
        factor = data.draw(st.sampled_from([1000.0, 0.001, 300.0]))
        wrong = range(first, first + length)
        damaged = [level * factor if n in wrong else level for n, level in enumerate(levels)]
        # A level that ends with the newest month, and has lasted, would be the right one.
        assert aside(bare(damaged)) == list(wrong)

    @given(st.integers(0, 2**32), st.sampled_from([0.01, 7.0, 1e4]))
    @settings(deadline=None, max_examples=15)
    def test_neither_order_nor_currency_matter(self, seed: int, factor: float) -> None:
        wrong = stock([100.0] * 10 + [1e5] * 2 + [100.0] * 10)
        both = wrong.vstack(stock([50.0] * 15, "1302"))
        order = random.Random(seed).sample(range(both.height), both.height)
        money = pl.col("close", "total_return_price", "traded_value", "market_value") * factor
        assert sorted(order[row] for row in aside(both[order].with_columns(money))) == [10, 11]


class TestSeparation:
    def test_a_fault_opens_a_level_and_its_like_closes_it(self) -> None:
        runs = separate([Jump(3, 7.0, fault=True), Jump(5, 1.0), Jump(8, -6.6, fault=True)], 12)
        assert [(run.first, run.length, run.level) for run in runs] == [(0, 3, 0.0), (3, 5, 7.0), (8, 4, 0.0)]

    def test_a_real_fall_does_not_close_an_old_fault(self) -> None:
        assert len(separate([Jump(3, 1.5, fault=True), Jump(30, -1.5)], 60)) == 2
        assert len(separate([Jump(3, 1.5, fault=True), Jump(5, -1.5)], 60)) == 3

    def test_nothing_to_separate(self) -> None:
        assert separate([Jump(3, 1.5), Jump(9, -1.5)], 20) == [Run(0, 20, 0.0)]

    @given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0.0, 5.0, -5.0, 0.3]))), st.integers(0, 1))
    @settings(deadline=None, max_examples=100)
    def test_the_right_level_is_that_of_most_prices_or_the_lasting_newest(
        self, parts: list[tuple[int, float]], changed: int
    ) -> None:
        firsts = [0, *itertools.accumulate(length for length, _ in parts)]
        runs = [Run(first, length, level) for first, (length, level) in zip(firsts, parts, strict=False)]
        runs.append(Run(firsts[-1], 3, 9.0, new_scale=bool(changed)))
        rows = [run.level for run in runs for _ in range(run.length)]
        most = max(sum(abs(level - other) < math.log(2) for other in rows) for level in rows)
        right = right_level(runs)
        assert changed == 0 or right == 9.0
        assert changed or sum(abs(right - other) < math.log(2) for other in rows) == most
        assert [max(fact.values()) > 1 for fact in level_facts(runs)].count(False) >= 1
