from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from deepfactor.attribution.aggregation import (
    absolute_shares,
    attribution_table,
    ledger_table,
    shares_table,
    signals_table,
)
from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.features import FEATURE_FACTORS, FEATURES
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.schemas import FACTORS
from tests.conftest import AS_OF
from tests.models.networks import random_network

IDS = np.array([f"{1300 + number}" for number in range(43)])


@pytest.fixture(scope="module")
def account() -> Relevance:
    """The ledger of a random ensemble."""
    network = random_network(len(FEATURES), HIDDEN_LAYERS["dfm1"], 3, 9)
    return relevance(network, np.random.default_rng(9).uniform(-0.5, 0.5, (len(IDS), len(FEATURES))))


def test_every_row_of_the_ledger_adds_up(account: Relevance) -> None:
    ledger = ledger_table(AS_OF, "dfm1", IDS, account)
    booked = ledger.select(pl.sum_horizontal(*FACTORS, "bias", "leak")).to_series()
    np.testing.assert_allclose(booked, ledger["prediction"], atol=1e-12)


def test_the_ledger_is_the_attribution_summed_by_factor(account: Relevance) -> None:
    ledger = ledger_table(AS_OF, "dfm1", IDS, account)
    tidy = attribution_table(AS_OF, "dfm1", IDS, account)
    assert tidy.height == len(IDS) * len(FEATURES)
    summed = (
        tidy.group_by("security_id", "factor")
        .agg(pl.col("relevance").sum())
        .pivot(on="factor", index="security_id", values="relevance")
        .sort("security_id")
    )
    for factor in FACTORS:
        np.testing.assert_allclose(summed[factor], ledger[factor], atol=1e-12)


def test_a_row_of_the_attribution_is_its_inputs(account: Relevance) -> None:
    tidy = attribution_table(AS_OF, "dfm1", IDS, account)
    row = tidy.filter(pl.col("security_id") == IDS[7], pl.col("descriptor") == "PER", pl.col("lag") == 3)
    index = FEATURES.index("PER@3")
    assert row["relevance"].item() == account.inputs[7, index]
    assert row["dispersion"].item() == account.dispersion[7, index]
    assert row["factor"].item() == FEATURE_FACTORS[index] == "Value"


def test_signals_rank_the_predictions(account: Relevance) -> None:
    signals = signals_table(AS_OF, "dfm1", IDS, account.member_prediction).sort("rank")
    assert signals["prediction"].is_sorted(descending=True)
    assert signals["quintile"].to_list() == sorted(signals["quintile"], reverse=True)


def test_signals_are_the_members_mean_and_their_spread() -> None:
    predictions = np.array([[0.01, 0.03, -0.02], [0.03, 0.03, 0.04]])
    signals = signals_table(AS_OF, "svr", IDS[:3], predictions)
    assert signals["prediction"].to_list() == pytest.approx([0.02, 0.03, 0.01])
    assert signals["dispersion"].to_list() == pytest.approx([0.01, 0.0, 0.03])
    assert signals["rank"].to_list() == [2, 1, 3]


def test_a_single_model_has_no_dispersion() -> None:
    signals = signals_table(AS_OF, "svr", IDS[:3], np.array([[0.1, 0.2, 0.3]]))
    assert signals["dispersion"].to_list() == [0.0] * 3


def test_shares_add_up_to_one_and_follow_their_group(account: Relevance) -> None:
    shares = shares_table(AS_OF, "dfm1", IDS, account)
    np.testing.assert_allclose(shares.group_by("group").agg(pl.col("share").sum())["share"], 1.0)
    best = int(np.argmax(account.prediction))
    sizes = np.abs(account.inputs[best])
    momentum = sizes[[factor == "Momentum" for factor in FEATURE_FACTORS]].sum() / sizes.sum()
    found = shares.filter(pl.col("group") == "highest prediction", pl.col("factor") == "Momentum")["share"].item()
    assert found == pytest.approx(momentum)


def test_shares_of_nothing_are_zero() -> None:
    assert absolute_shares(np.zeros(len(FEATURES))).tolist() == [0.0] * 5
