"""Jumps: what speaks for a fault does so on the one side of each limit only."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest

from deepfactor.validation.jumps import find_jumps
from tests.validation.made_stocks import bare, stock

N = 30


def _jumps(prices: pl.DataFrame) -> list[tuple[int, bool, bool]]:
    month = pl.col("month")
    known = prices.with_columns(
        series=pl.lit(1),
        place=pl.int_range(pl.len()),
        ordinal=month.dt.year().cast(pl.Int32) * 12 + month.dt.month(),
        level=pl.col("total_return_price").log(),
        value=pl.coalesce("market_value", pl.col("close") * pl.col("shares_outstanding")),
    )
    return find_jumps(known).select("place", "fault", "new_scale").rows()


def _at(before: float, after: float) -> list[float]:
    return [before] * 20 + [after] * 10


def _traded(levels: Sequence[float], month: int, factor: float) -> list[float]:
    """The traded value, where the month's average price is its close / ``factor``."""
    return [level * 1e5 / (factor if n == month else 1.0) for n, level in enumerate(levels)]


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [(1.0, 19.9, False), (1.0, 20.1, True), (100.0, 1.01, False), (100.0, 0.99, True)],
)
def test_what_is_impossible(before: float, after: float, fault: bool) -> None:
    assert _jumps(bare(_at(before, after))) == [(20, fault, False)]
    assert _jumps(stock(_at(before, after))) == [(20, fault, False)]


@pytest.mark.parametrize(
    ("after", "above", "fault"),
    [
        (10.0, 10.0, True),
        (10.0, 5.3, True),  # log 5.3 = .724 log 10
        (10.0, 5.2, False),
        (10.0, 0.1, False),
        (2.6, 2.6, True),
        (2.4, 2.4, False),
        (0.1, 0.1, True),
        (0.1, 0.18, True),
        (0.1, 0.20, False),
    ],
)
def test_a_month_traded_at_the_price_before(after: float, above: float, fault: bool) -> None:
    levels = _at(1.0, after)
    assert _jumps(stock(levels, traded_value=_traded(levels, 20, above))) == [(20, fault, False)]


@pytest.mark.parametrize(
    ("after", "volume", "fault"),
    [
        (4.0, 0.25, True),
        (4.0, 0.49, True),
        (4.0, 0.51, False),
        (4.0, 1.0, False),
        (4.0, 30.0, False),
        (0.25, 4.0, True),
        (0.25, 8.0, False),
        (0.25, 1.0, False),
        (10.0, 0.45, True),  # a tenfold rise on half of the volume
        (10.0, 1.0, False),
        (0.1, 40.0, True),  # a fall to a tenth on forty times the volume, all of it at the new price
        (0.1, 2.0, False),
    ],
)
def test_a_volume_that_moves_against_the_price_and_stays(after: float, volume: float, fault: bool) -> None:
    prices = stock(_at(1.0, after), volume=_at(1e5, 1e5 * volume))
    assert _jumps(prices) == [(20, fault, fault)]
    # Without months that confirm it, one month's volume decides nothing.
    assert _jumps(prices.head(22)) == [(20, False, False)]


def test_a_crash_in_the_month_has_many_trades_and_is_none_of_shares() -> None:
    levels = _at(1.0, 0.25)
    prices = stock(levels, volume=_at(1e5, 4e5))
    assert _jumps(_with_average(prices, 20, 2.0)) == [(20, False, False)]


def _with_average(prices: pl.DataFrame, month: int, factor: float) -> pl.DataFrame:
    scaled = pl.when(pl.int_range(pl.len()) == month).then(pl.col("traded_value") * factor)
    return prices.with_columns(traded_value=scaled.otherwise("traded_value"))


@pytest.mark.parametrize(
    ("after", "idle", "fault"), [(5.0, 6, True), (5.0, 5, False), (3.9, 20, False), (0.2, 6, True), (0.26, 20, False)]
)
def test_the_first_trades_after_quotes_without(after: float, idle: int, fault: bool) -> None:
    volume = [1e5] * (20 - idle) + [0.0] * idle + [1e5] * 10
    moving = [1.0 + n % 2 / 10 for n in range(19)] + [1.0] + [after] * 10
    assert _jumps(stock(moving, volume=volume)) == [(20, fault, fault)]


@pytest.mark.parametrize(
    ("after", "shares", "fault"),
    [(0.5, 2.0, True), (0.5, 1.75, True), (0.5, 1.6, False), (0.5, 1.0, False), (0.1, 10.0, True), (2.0, 0.5, True)],
)
def test_a_number_of_shares_that_undoes_the_jump(after: float, shares: float, fault: bool) -> None:
    assert _jumps(stock(_at(1.0, after), shares_outstanding=_at(1e6, 1e6 * shares))) == [(20, fault, fault)]


@pytest.mark.parametrize(
    ("after", "value", "fault"), [(5.0, 1.0, True), (5.0, 1.3, True), (5.0, 2.0, False), (0.2, 1.0, True)]
)
def test_a_market_value_that_stands_still(after: float, value: float, fault: bool) -> None:
    prices = bare(_at(1.0, after)).with_columns(market_value=pl.Series(_at(1e9, 1e9 * value)))
    assert [jump[1] for jump in _jumps(prices)] == [fault]


def test_after_a_year_without_prices_there_is_no_jump() -> None:
    assert _jumps(bare([1.0] * 10 + [None] * 11 + [1e3] * 5)) == [(10, True, False)]
    assert _jumps(bare([1.0] * 10 + [None] * 12 + [1e3] * 5)) == []


def test_neither_noise_nor_unknown_figures_are_jumps() -> None:
    assert _jumps(bare([1.0, 1.7] * (N // 2))) == []
    unknown = {"volume": [0.0] * N, "traded_value": [0.0] * N, "shares_outstanding": [None] * N}
    assert _jumps(stock(_at(1.0, 5.0), **unknown)) == [(20, False, False)]
