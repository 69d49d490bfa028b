from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from deepfactor.attribution.accounts import account_for, ledger_imbalance
from deepfactor.attribution.relevance import relevance
from deepfactor.attribution.rules import Epsilon, Gamma, Zero
from deepfactor.attribution.tables import RELEVANCE
from deepfactor.config import AttributionConfig
from deepfactor.features import FEATURES, Samples
from deepfactor.models.base import Model
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.models.support_vectors import SupportVectors
from deepfactor.schemas import ATTRIBUTION, CORRELATIONS, LEDGER, PORTFOLIOS, SHARES, SIGNALS
from tests.conftest import AS_OF
from tests.models.networks import random_network

WIDTH, STOCKS = len(FEATURES), 300
ACCOUNTS = ("ledger", "relevance", "attribution", "portfolios", "shares", "correlations")


def support_vectors() -> SupportVectors:
    generator = np.random.default_rng(2)
    vectors = generator.uniform(-0.5, 0.5, (20, WIDTH)).astype(np.float32)
    return SupportVectors(vectors, generator.normal(0, 0.1, 20), 0.01, 0.2)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return Samples(
        months=np.full(STOCKS, AS_OF.ordinal),
        security_ids=np.array([f"{1300 + number}" for number in range(STOCKS)]),
        inputs=np.random.default_rng(1).uniform(-0.5, 0.5, (STOCKS, WIDTH)).astype(np.float32),
        returns=np.zeros(0),
        known=np.random.default_rng(1).random((STOCKS, WIDTH)) < 0.9,
        exclusions={},
    )


def test_every_model_has_signals_and_only_networks_have_accounts(samples: Samples) -> None:
    network, vectors = random_network(WIDTH, HIDDEN_LAYERS["dfm1"], 2, 1), support_vectors()
    models: list[tuple[str, Model]] = [("dfm1", network), ("svr", vectors), ("linear", random_network(WIDTH, (), 1, 2))]
    tables, imbalances = account_for(AS_OF, models, samples, AttributionConfig())
    assert list(tables) == ["signals", *ACCOUNTS]
    assert sorted(tables["signals"]["model"].unique()) == ["dfm1", "linear", "svr"]
    for name in ACCOUNTS:
        assert sorted(tables[name]["model"].unique()) == ["dfm1", "linear"]
    assert list(imbalances) == ["dfm1", "linear"]
    assert max(imbalances.values()) < 1e-12
    for name, model in models:
        signals = tables["signals"].filter(pl.col("model") == name)
        predictions = model.member_predictions(samples.inputs)
        np.testing.assert_allclose(signals["prediction"], predictions.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(signals["dispersion"], predictions.std(axis=0), atol=1e-12)


def test_each_layer_is_explained_by_the_rule_that_is_configured(samples: Samples) -> None:
    network, line = random_network(WIDTH, HIDDEN_LAYERS["dfm1"], 2, 1), random_network(WIDTH, (), 1, 2)
    rules = AttributionConfig(("gamma:0.5", "epsilon:0.1", "zero"))
    tables, imbalances = account_for(AS_OF, [("dfm1", network), ("linear", line)], samples, rules)
    expected = {
        "dfm1": relevance(network, samples.inputs, [Gamma(0.5), Epsilon(0.1), Epsilon(0.1), Zero()]),
        "linear": relevance(line, samples.inputs, Gamma(0.5)),
    }
    for name, account in expected.items():
        found = tables["relevance"].filter(model=name).select(FEATURES).to_numpy()
        np.testing.assert_allclose(found, account.inputs, rtol=0, atol=1e-15)
    assert tables["ledger"].filter(model="dfm1")["leak"].abs().max() > 1e-4  # type: ignore[operator]
    assert max(imbalances.values()) < 1e-12


def test_the_number_of_cores_changes_no_bit(samples: Samples) -> None:
    models: list[tuple[str, Model]] = [("dfm2", random_network(WIDTH, HIDDEN_LAYERS["dfm2"], 2, 1))]
    found = []
    for cores in (1, 2):
        with threadpool_limits(limits=cores, user_api="blas"):
            found.append(account_for(AS_OF, models, samples, AttributionConfig())[0])
    assert all(found[0][name].equals(found[1][name]) for name in found[0])


def test_without_a_network_the_accounts_are_empty_tables(samples: Samples) -> None:
    tables, imbalances = account_for(AS_OF, [("svr", support_vectors())], samples, AttributionConfig())
    assert tables["signals"].height == STOCKS
    for schema in (SIGNALS, LEDGER, RELEVANCE, ATTRIBUTION, PORTFOLIOS, SHARES, CORRELATIONS):
        schema.check(tables[schema.name], "")
    assert [tables[name].height for name in ACCOUNTS] == [0] * len(ACCOUNTS)
    assert imbalances == {}


def test_the_imbalance_is_relative_to_the_predictions(samples: Samples) -> None:
    account = relevance(random_network(WIDTH, (5,), 1, 3), samples.inputs)
    wrong = account.member_prediction.copy()
    wrong[0, 3] += 0.5
    changed = replace(account, member_prediction=wrong)
    assert ledger_imbalance(changed) == pytest.approx(0.5 / np.sqrt(np.mean(wrong**2)))


def test_the_imbalance_of_predictions_of_zero_is_absolute(samples: Samples) -> None:
    account = relevance(random_network(WIDTH, (5,), 1, 3), samples.inputs)
    nothing = replace(account, member_prediction=np.zeros_like(account.member_prediction))
    assert ledger_imbalance(nothing) == pytest.approx(np.abs(account.prediction).max())
