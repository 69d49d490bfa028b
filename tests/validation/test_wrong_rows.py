"""One wrong row in a good market is found, and it alone; a good market is left alone."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfactor.validation.levels import price_levels
from tests.validation.test_levels import LIMITS, aside

WITH_TRADES = ("close", "total_return_price", "market_value", "traded_value")


@pytest.fixture(scope="module")
def market(raw_tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """A dozen stocks of the small market that are still listed."""
    prices = raw_tables["prices"]
    newest = prices.filter(pl.col("month") == pl.col("month").max())["security_id"].sort().head(12).implode()
    of_them = pl.col("security_id").is_in(newest)
    return {name: raw_tables[name].filter(of_them) for name in ("prices", "fundamentals")}


def _damaged(prices: pl.DataFrame, row: int, factor: float, columns: tuple[str, ...]) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == row
    return prices.with_columns(pl.when(at).then(pl.col(name) * factor).otherwise(name).alias(name) for name in columns)


FACTORS = st.floats(8.0, 1000.0) | st.floats(8.0, 1000.0).map(lambda factor: 1 / factor)


def test_a_good_market_is_left_alone(raw_tables: dict[str, pl.DataFrame]) -> None:
    facts = price_levels(raw_tables["prices"], raw_tables["fundamentals"])
    assert {name: facts.filter(pl.col(name) > limit).height for name, limit in LIMITS.items()} == dict.fromkeys(
        LIMITS, 0
    )


@given(
    st.data(),
    FACTORS,
    st.sampled_from([("close",), ("total_return_price",), ("close", "total_return_price"), WITH_TRADES]),
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_wrong_row_between_others(
    market: dict[str, pl.DataFrame], data: st.DataObject, factor: float, columns: tuple[str, ...]
) -> None:
    prices = market["prices"]
    inner = prices.with_row_index("row").sort("security_id", "month")
    edge = pl.col("security_id") != pl.col("security_id").shift(1)
    edges = pl.any_horizontal(edge.fill_null(value=True), edge.shift(-1).fill_null(value=True))
    row = data.draw(st.sampled_from(inner.filter(~edges)["row"].to_list()))
    assert aside(_damaged(prices, row, factor, columns), market["fundamentals"]) == [row]


@given(st.data(), FACTORS, st.sampled_from([("close",), ("total_return_price",), ("close", "total_return_price")]))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_wrong_row_in_the_newest_month(
    market: dict[str, pl.DataFrame], data: st.DataObject, factor: float, columns: tuple[str, ...]
) -> None:
    prices = market["prices"]
    newest = prices.with_row_index("row").filter(pl.col("month") == pl.col("month").max())["row"].to_list()
    row = data.draw(st.sampled_from(newest))
    assert aside(_damaged(prices, row, factor, columns), market["fundamentals"]) == [row]


def _returns_only(prices: pl.DataFrame) -> pl.DataFrame:
    """Deliver returns in the place of total-return prices and market values, as some vendors do."""
    ordered = prices.sort("security_id", "month")
    change = pl.col("total_return_price") / pl.col("total_return_price").shift(1) - 1
    follows = pl.col("month").dt.offset_by("-1mo") == pl.col("month").shift(1).over("security_id")
    nothing = pl.lit(None, pl.Float64)
    returns = pl.when(follows).then(change)
    return ordered.with_columns(total_return=returns, total_return_price=nothing, market_value=nothing)


@given(st.data(), FACTORS, st.booleans())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_wrong_row_of_a_vendor_of_returns(
    market: dict[str, pl.DataFrame], data: st.DataObject, factor: float, alone: bool
) -> None:
    """A wrong close, alone or with the returns that follow from it, between others or in the newest month."""
    prices = _returns_only(market["prices"])
    assert aside(prices, market["fundamentals"]) == []
    stock = pl.col("security_id")
    first = prices.select((stock != stock.shift(1)).fill_null(value=True)).to_series()
    row = data.draw(st.sampled_from([row for row in range(1, prices.height) if not first[row] and not first[row - 1]]))
    wrong = prices.with_row_index("n").with_columns(
        close=pl.when(pl.col("n") == row).then(pl.col("close") * factor).otherwise("close")
    )
    if not alone:
        growth = 1 + pl.col("total_return")
        after = (pl.col("n") == row + 1) & (stock == stock.shift(1))
        told = pl.when(pl.col("n") == row).then(growth * factor).when(after).then(growth / factor).otherwise(growth)
        wrong = wrong.with_columns(total_return=told - 1)
    assert aside(wrong.drop("n"), market["fundamentals"]) == [row]
