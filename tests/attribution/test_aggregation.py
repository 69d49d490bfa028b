"""Contributions and shares of stocks and portfolios, against loops over their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.attribution.aggregation import (
    ACCOUNTS,
    AbsoluteShares,
    Account,
    Contributions,
    absolute_shares,
    contributions,
)
from deepfactor.attribution.relevance import Relevance
from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.features import FEATURES
from deepfactor.months import LAGS
from deepfactor.schemas import FACTORS
from tests.attribution.made import random_month

BY: tuple[Account, ...] = ("factor", "descriptor", "lag")
STOCKS = 23


@pytest.fixture(scope="module")
def account() -> Relevance:
    """Three members' relevances, with a leak."""
    return random_month(STOCKS, 9).account


@pytest.fixture(scope="module")
def portfolios(account: Relevance) -> Relevance:
    """Of any weights, some of them short."""
    return account.portfolios(np.random.default_rng(3).normal(0, 1, (4, STOCKS)))


def belongs(feature: str, by: Account) -> str:
    descriptor, lag = feature.split("@")
    return {"factor": FACTOR_OF[descriptor], "descriptor": descriptor, "lag": lag}[by]


def test_what_there_is_to_sum_by() -> None:
    assert ACCOUNTS == {"factor": FACTORS, "descriptor": NAMES, "lag": ("0", "3", "6", "9", "12")}
    assert [len(names) for names in ACCOUNTS.values()] == [5, 16, len(LAGS)]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("of", ["account", "portfolios"])
def test_contributions_against_loops(by: Account, of: str, request: pytest.FixtureRequest) -> None:
    relevances: Relevance = request.getfixturevalue(of)
    found = contributions(relevances, by)
    assert found.names == ACCOUNTS[by]
    members, rows, _ = relevances.member_inputs.shape
    for row in range(rows):
        for place, name in enumerate(found.names):
            each = [
                sum(relevances.member_inputs[member, row, i] for i, f in enumerate(FEATURES) if belongs(f, by) == name)
                for member in range(members)
            ]
            assert found.values[row, place] == pytest.approx(np.mean(each), abs=1e-14)
            assert found.dispersion[row, place] == pytest.approx(np.std(each), abs=1e-14)
            assert found.disputed[row, place] == (min(each) < 0 < max(each))
    assert found.disputed.any() and not found.disputed.all()


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("of", ["account", "portfolios"])
def test_contributions_add_up_to_the_prediction(by: Account, of: str, request: pytest.FixtureRequest) -> None:
    relevances: Relevance = request.getfixturevalue(of)
    found = contributions(relevances, by)
    booked = found.values.sum(axis=1) + found.bias + found.level + found.leak
    np.testing.assert_allclose(booked, found.prediction, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.prediction, relevances.member_prediction.mean(axis=0), rtol=0, atol=1e-15)
    assert np.abs(found.leak).min() > 0
    assert np.abs(found.bias).min() > 0


def test_portfolios_contributions_are_the_weighted_sums_of_their_stocks(account: Relevance) -> None:
    weights = np.random.default_rng(3).normal(0, 1, (4, STOCKS))
    of_stocks, of_portfolios = (contributions(each, "factor") for each in (account, account.portfolios(weights)))
    for row, own in enumerate(weights):
        expected = sum(weight * of_stocks.values[stock] for stock, weight in enumerate(own))
        np.testing.assert_allclose(of_portfolios.values[row], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("of", ["account", "portfolios"])
def test_shares_against_loops(by: Account, of: str, request: pytest.FixtureRequest) -> None:
    relevances: Relevance = request.getfixturevalue(of)
    found = absolute_shares(relevances, by)
    assert found.names == ACCOUNTS[by]

    def share(inputs: np.ndarray, name: str) -> float:
        sizes = [abs(each) for each in inputs]
        return sum(size for size, f in zip(sizes, FEATURES, strict=True) if belongs(f, by) == name) / sum(sizes)

    for row in range(len(relevances.inputs)):
        for place, name in enumerate(found.names):
            each = [share(member[row], name) for member in relevances.member_inputs]
            assert found.values[row, place] == pytest.approx(share(relevances.inputs[row], name), abs=1e-14)
            assert found.dispersion[row, place] == pytest.approx(np.std(each), abs=1e-14)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), by=st.sampled_from(BY))
def test_shares_are_parts_of_one(seed: int, by: Account) -> None:
    shares = absolute_shares(random_month(6, seed, members=2).account, by)
    np.testing.assert_allclose(shares.values.sum(axis=1), 1.0, rtol=1e-14)
    assert ((shares.values >= 0) & (shares.values <= 1)).all()
    assert (shares.dispersion >= 0).all()


def test_shares_of_nothing_are_zero(account: Relevance) -> None:
    nothing = replace(account, member_inputs=np.zeros_like(account.member_inputs))
    shares = absolute_shares(nothing, "factor")
    assert (shares.values == 0).all()
    assert (shares.dispersion == 0).all()
    assert not contributions(nothing, "factor").disputed.any()


def test_size_is_no_direction() -> None:
    """What cancels within a factor is no contribution, and yet matters."""
    inputs = np.zeros((1, 1, len(FEATURES)))
    inputs[0, 0, FEATURES.index("PER@0")], inputs[0, 0, FEATURES.index("PER@3")] = 0.5, -0.5
    account = Relevance(inputs, np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1)), np.zeros(1))
    assert contributions(account, "factor").values.tolist() == [[0.0] * 5]
    assert absolute_shares(account, "factor").values.tolist() == [[0.0, 0.0, 0.0, 1.0, 0.0]]
    assert not issubclass(AbsoluteShares, Contributions) and not issubclass(Contributions, AbsoluteShares)


@pytest.mark.parametrize(
    ("members", "disputed"),
    [([0.1, -0.2], True), ([0.1, 0.2], False), ([-0.1, 0.0], False), ([0.0, 0.1], False), ([0.3], False)],
)
def test_a_sign_is_disputed_where_two_members_differ(members: list[float], disputed: bool) -> None:
    inputs = np.zeros((len(members), 1, len(FEATURES)))
    inputs[:, 0, FEATURES.index("CAP@6")] = members
    nothing = np.zeros((len(members), 1, 1))
    account = Relevance(inputs, nothing, nothing, inputs.sum(axis=2), np.zeros(1))
    assert contributions(account, "factor").disputed[0].tolist() == [False] * 4 + [disputed]
    assert contributions(account, "lag").disputed[0].tolist() == [False, False, disputed, False, False]


def test_frozen(account: Relevance) -> None:
    signed, sizes = contributions(account, "factor").values[2], absolute_shares(account, "factor").values[2]
    expected = [-0.001923289995, 0.0088151834539, 0.012228698407, -0.0026229778474, -0.011697467011]
    np.testing.assert_allclose(signed, expected, rtol=1e-9)
    expected = [0.059517099602, 0.28115654062, 0.19239151626, 0.31671749302, 0.15021735049]
    np.testing.assert_allclose(sizes, expected, rtol=1e-9)
