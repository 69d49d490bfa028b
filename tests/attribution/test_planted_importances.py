"""On a market whose truth is known, explanations rank the factors as they were planted.

A factor's share is the mean over stocks of its absolute contribution, in which its inputs have been added with their
signs. Sums of the absolute relevances of single inputs would not do: each of the 75 inputs that say nothing adds a
little noise to its factor, which then ranks by the number of its descriptors.

Premia are planted in steps of one and a half, so that chance in five years of returns does not exchange two of them,
and in three orders: in one of them counting descriptors would be right, in the others it is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from deepfactor.attribution.aggregation import contributions
from deepfactor.attribution.relevance import relevance
from deepfactor.config import SimulationConfig, TrainingConfig, UniverseConfig, load_config
from deepfactor.descriptors import describe
from deepfactor.features import FEATURE_FACTORS, FEATURES, Samples, prediction_samples, rank_panel, training_samples
from deepfactor.models.base import Network
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.registry import train_model
from deepfactor.months import Window
from deepfactor.panel import build_panel
from deepfactor.schemas import FACTORS
from deepfactor.sources import open_source
from deepfactor.sources.premia import PREMIA
from tests.conftest import AS_OF

F64 = NDArray[np.float64]
Market = tuple[F64, Samples, Samples]

# Which factor of Table 1 describes a score of the simulated market.
FACTOR_OF_SCORE = {"value": "Value", "quality": "Quality", "momentum": "Momentum", "low_risk": "Risk", "size": "Size"}
SIZES = (0.0105, 0.0070, 0.0047, 0.0031, 0.0021)
ORDERS = {
    "as many descriptors": ("value", "quality", "momentum", "low_risk", "size"),
    "the reverse": ("size", "low_risk", "momentum", "quality", "value"),
    "risk and size first": ("low_risk", "size", "value", "momentum", "quality"),
}
STOCKS = 1_000
TRAINING = TrainingConfig(members=3, epochs=8, batch_size=128, learning_rate=0.0005)


def planted_importance(premia: dict[str, float]) -> F64:
    """Return what part of the expected returns' variance each factor has, half of a product's for each of the two.

    Scores have a variance of one, and so have their products, so a term's variance is its size squared.
    """
    found = dict.fromkeys(FACTORS, 0.0)
    for term, size in premia.items():
        scores = term.split("_x_")
        for score in scores:
            found[FACTOR_OF_SCORE[score]] += size**2 / len(scores)
    importance = np.array([found[factor] for factor in FACTORS])
    return np.asarray(importance / importance.sum())


@pytest.fixture(scope="module", params=ORDERS)
def market(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Planted importances, training samples and the as-of month's stocks."""
    premia = dict(zip(ORDERS[request.param], SIZES, strict=True))
    simulation = SimulationConfig(stocks=STOCKS, seed=1 + [*ORDERS].index(request.param), premia="linear")
    folder = tmp_path_factory.mktemp("planted") / "market"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PREMIA, "linear", premia)  # type: ignore[arg-type]
        source = open_source(replace(load_config().source, folder=str(folder), simulate=simulation))
    window = Window(AS_OF)
    tables = {name: source.fetch(name, window.first_history, AS_OF) for name in source.datasets()}
    universe = UniverseConfig()
    panel = rank_panel(describe(build_panel(tables, window, universe, "XTKS"), window), window)
    return (
        planted_importance(premia),
        training_samples(panel, window, universe),
        prediction_samples(panel, window, universe),
    )


def factor_shares(network: Network, samples: Samples) -> F64:
    """Return each factor's share of the mean absolute contributions, shape (factors,)."""
    sizes = np.abs(contributions(relevance(network, samples.inputs), "factor").values).mean(axis=0)
    return np.asarray(sizes / sizes.sum())


def agreement(found: Sequence[float] | F64, planted: F64) -> float:
    """Return Spearman's correlation over the five factors."""
    return float(spearmanr(found, planted).statistic)


@pytest.mark.parametrize("model", ["dfm1", "linear"])
def test_factor_shares_rank_as_planted(market: Market, model: str) -> None:
    planted, training, samples = market
    network = train_model(model, AS_OF, training, TRAINING).model
    assert isinstance(network, Network)
    shares = factor_shares(network, samples)
    assert agreement(shares, planted) >= 0.9, dict(zip(FACTORS, shares.round(3), strict=True))
    assert np.argmax(shares) == np.argmax(planted)


@pytest.mark.parametrize("market", [name for name in ORDERS if name != "as many descriptors"], indirect=True)
def test_a_network_that_has_learned_nothing_does_not(market: Market) -> None:
    planted, _, samples = market
    untrained = initial_network(len(FEATURES), HIDDEN_LAYERS["dfm1"], range(3))
    assert agreement(factor_shares(untrained, samples), planted) < 0.5


def test_counting_descriptors_is_right_in_one_order_only() -> None:
    number = [FEATURE_FACTORS.count(factor) for factor in FACTORS]
    told = {
        name: agreement(number, planted_importance(dict(zip(order, SIZES, strict=True))))
        for name, order in ORDERS.items()
    }
    assert told.pop("as many descriptors") > 0.9
    assert max(told.values()) < 0.5


def test_importances_are_shares_of_the_variance() -> None:
    simple = planted_importance({"value": 0.003, "size": 0.004})
    assert dict(zip(FACTORS, simple, strict=True)) == pytest.approx(
        {"Risk": 0, "Quality": 0, "Momentum": 0, "Value": 0.36, "Size": 0.64}
    )
    product = planted_importance({"value_x_quality": 0.002, "size": 0.002})
    assert dict(zip(FACTORS, product, strict=True)) == pytest.approx(
        {"Risk": 0, "Quality": 0.25, "Momentum": 0, "Value": 0.25, "Size": 0.5}
    )
