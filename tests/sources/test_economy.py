"""The simulated economy: what is known when, and whether the planted premia can be found in what is delivered."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from deepfactor.config import SimulationConfig
from deepfactor.sources.economy import ANNOUNCEMENT_MONTHS, _report, _State, evolve
from deepfactor.sources.firms import found_firms
from deepfactor.sources.simulated import Market, simulate


@pytest.fixture(scope="module")
def market() -> Market:
    return simulate(SimulationConfig(stocks=300))


def test_accounts_are_known_when_they_are_announced_and_not_before() -> None:
    random = np.random.Generator(np.random.PCG64(1))
    state = _State.before(found_firms(20, 40, random), 40)
    state.book[:] = 1.0
    _report(state, 30, np.array([3]), random)
    changed = np.flatnonzero((state.book != 1.0).any(axis=1))
    assert changed.tolist() == list(range(30 + ANNOUNCEMENT_MONTHS, 40))


def test_returns_are_those_of_listed_firms() -> None:
    economy = evolve(30, 60, 11, np.random.Generator(np.random.PCG64(1)))
    listed = economy.listed
    assert not np.isnan(economy.log_value[listed]).any()
    assert np.isnan(economy.total_return[~listed]).all()
    assert np.isnan(economy.total_return[0]).all()
    assert (economy.total_return[1:][listed[1:] & listed[:-1]] >= -0.95).all()


def test_a_firm_is_listed_for_a_year_at_least() -> None:
    economy = evolve(100, 200, 11, np.random.Generator(np.random.PCG64(1)))
    firms = economy.firms
    assert (firms.exit - firms.entry >= 12).all()
    assert abs(economy.listed.sum(axis=1).mean() - 100) < 2


@pytest.mark.parametrize(("descriptor", "least"), [("book_to_price", 0.015), ("return_on_equity", 0.01)])
def test_the_premia_are_found_in_what_is_delivered(market: Market, descriptor: str, least: float) -> None:
    known = market.fundamentals.select(
        "code", "announced", "net_assets", return_on_equity=pl.col("net_income") / pl.col("net_assets")
    )
    following = (pl.col("adj_close").shift(-1).over("code") / pl.col("adj_close") - 1).alias("following")
    panel = (
        market.prices.sort("code", "date")
        .with_columns(following)
        .sort("date")
        .join_asof(known, left_on="date", right_on="announced", by="code", check_sortedness=False)
        .with_columns(book_to_price=pl.col("net_assets") / pl.col("market_cap"))
        .drop_nulls(["following", descriptor])
    )
    coefficients = panel.group_by("date").agg(pl.corr(descriptor, "following", method="spearman").alias("ic"))
    assert coefficients["ic"].mean() > least
