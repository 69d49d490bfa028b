"""Accounts as witnesses: a scale that all of them contradict for years is wrong, a dear or cheap stock is not."""

from __future__ import annotations

import polars as pl
import pytest

from deepfactor.validation.levels import price_levels
from tests.validation.made_stocks import NOTHING, SHARES, accounts, stock

# A market value of 1e8 is credible beside these.
FIGURES = {"net_assets": 8e7, "sales": 2e8, "total_assets": 3e8, "net_income": 5e6}
PRICE = 1e8 / SHARES


def _scale(prices: pl.DataFrame, books: pl.DataFrame) -> list[float]:
    return price_levels(prices, books)["scale_by_accounts"].to_list()


def _set_aside(prices: pl.DataFrame, books: pl.DataFrame) -> list[int]:
    return [n for n, scale in enumerate(_scale(prices, books)) if scale > 1]


class TestWrong:
    @pytest.mark.parametrize("factor", [1e-3, 1e-2, 2e2, 1e3, 1e6])
    def test_a_scale_wrong_throughout(self, factor: float) -> None:
        assert len(_set_aside(stock([PRICE * factor] * 40), accounts(**FIGURES))) == 40

    def test_how_far_it_lies_beyond_the_nearest_bound(self) -> None:
        # Total assets / market value is the last to be credible: 3 / 1,000 against .03.
        assert _scale(stock([PRICE * 1e3] * 40), accounts(**FIGURES))[0] == pytest.approx(10.0)

    def test_months_without_market_value_belong_to_their_level(self) -> None:
        prices = stock([PRICE * 1e3] * 60, shares_outstanding=[None] * 20 + [SHARES] * 40)
        assert len(_set_aside(prices, accounts(**FIGURES))) == 60

    def test_a_wrong_number_of_shares_is_wrong_where_it_stands_and_not_the_price_before(self) -> None:
        shares = [None] * 20 + [SHARES * 500] * 36 + [SHARES] * 24
        prices = stock([PRICE] * 80, shares_outstanding=shares)
        assert _set_aside(prices, accounts(**FIGURES)) == list(range(20, 56))

    def test_a_loss_counts_by_its_size(self) -> None:
        assert len(_set_aside(stock([PRICE * 1e3] * 40), accounts(**FIGURES | {"net_income": -5e6}))) == 40


class TestRight:
    @pytest.mark.parametrize(
        ("figures", "months"),
        [
            (FIGURES, 60),
            # The dearest and the cheapest real stocks of Japan, 2010-2018, by their medians.
            ({"net_assets": 1.92e6, "sales": 2.59e6, "total_assets": 2.77e6, "net_income": 4.2e5}, 45),
            ({"net_assets": 3.2e6, "sales": 8.7e5, "total_assets": 3.4e6, "net_income": 3.4e5}, 67),
            ({"net_assets": 1.21e9, "sales": 1.94e9, "total_assets": 2.4e9, "net_income": 4.9e7}, 103),
            ({"net_assets": 4.8e8, "sales": 1.4e9, "total_assets": 9.5e9, "net_income": 2e7}, 91),
            # Beyond every bound, but new to the exchange.
            ({"net_assets": 1e5, "sales": 1e5, "total_assets": 2e5, "net_income": 1e4}, 23),
            # Negative net assets say nothing of a scale.
            ({"net_assets": -1e5, "sales": 1e5, "total_assets": 2e5, "net_income": 1e4}, 60),
            ({"sales": 1e5}, 60),
        ],
    )
    def test_not_set_aside(self, figures: dict[str, float], months: int) -> None:
        assert _set_aside(stock([PRICE] * months), accounts(**figures)) == []

    def test_a_price_that_came_down_to_what_the_accounts_can_bear(self) -> None:
        prices = stock([PRICE * 90] * 12 + [PRICE * 30] * 12 + [PRICE * 10] * 12 + [PRICE] * 20)
        assert _set_aside(prices, accounts(**FIGURES)) == []

    def test_accounts_that_are_too_old_say_nothing(self) -> None:
        assert _set_aside(stock([PRICE * 1e3] * 40), accounts(1, **FIGURES)) == []
        assert _set_aside(stock([PRICE * 1e3] * 40), NOTHING) == []


class TestBookToPrice:
    def test_median_of_the_level(self) -> None:
        facts = price_levels(stock([PRICE] * 20), accounts(**FIGURES))
        assert facts["level_book_to_price"].unique().to_list() == [pytest.approx(0.8)]

    def test_few_ratios_say_nothing(self) -> None:
        facts = price_levels(stock([PRICE] * 11), accounts(**FIGURES))
        assert facts["level_book_to_price"].null_count() == 11
