"""Each check passes a true explanation and fails broken ones: a check that cannot fail says nothing."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from deepfactor.attribution.checks import (
    Check,
    agreement,
    check_explanations,
    evenly,
    randomisation,
    removal,
    steadiness,
)
from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.attribution.rules import AlphaBeta, Epsilon, Gamma, Rule, Zero
from deepfactor.config import AttributionConfig, Config, load_config
from deepfactor.features import FEATURE_FACTORS, FEATURES, Samples
from deepfactor.models.base import Network
from deepfactor.models.registry import train_model
from deepfactor.schemas import FACTORS
from tests.attribution.made import random_samples
from tests.conftest import AS_OF
from tests.models.networks import random_network

F64 = NDArray[np.float64]
GATES = load_config().gates
SEED = 7
ATTRIBUTION = AttributionConfig()

TRUE: list[Rule] = [Zero(), Epsilon(0.01), Gamma(0.25)]


def by_rule(rule: Rule) -> Callable[[Network, F64], F64]:
    return lambda network, inputs: relevance(network, inputs, rule).inputs


def alpha_beta() -> AlphaBeta:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AlphaBeta()


@pytest.fixture(scope="module", params=["dfm1", "dfm2", "linear"])
def network(request: pytest.FixtureRequest, training: Samples, small_config: Config) -> Network:
    """A model of each kind, trained on the small market."""
    model = train_model(request.param, AS_OF, training, small_config.training).model
    assert isinstance(model, Network)
    return model


@pytest.fixture(scope="module")
def inputs(training: Samples) -> F64:
    """The newest training month's stocks."""
    return training.inputs[training.months == training.months.max()].astype(np.float64)


class TestRandomisation:
    @pytest.mark.parametrize("rule", TRUE, ids=str)
    def test_a_true_explanation_follows_the_model(self, network: Network, inputs: F64, rule: Rule) -> None:
        found = randomisation(by_rule(rule), network, inputs, SEED)
        assert abs(found.value) < (1e-12 if rule == Zero() else GATES.maximum_randomised_correlation)
        assert 0 < found.details["magnitude"] < 0.9

    def test_one_that_does_not_look_at_the_model(self, network: Network, inputs: F64) -> None:
        found = randomisation(lambda _, inputs: inputs, network, inputs, SEED)
        assert found.value == pytest.approx(1)
        assert found.details["magnitude"] == pytest.approx(1)

    def test_one_that_looks_at_all_but_the_top_layer(self, network: Network, inputs: F64) -> None:
        def explain(network: Network, inputs: F64) -> F64:
            fixed = (*network.kernels[:-1], np.ones_like(network.kernels[-1]))
            return relevance(replace(network, kernels=fixed), inputs).inputs

        assert randomisation(explain, network, inputs, SEED).value == pytest.approx(1)

    def test_one_that_is_half_made_up(self, network: Network, inputs: F64) -> None:
        def explain(network: Network, inputs: F64) -> F64:
            true = relevance(network, inputs).inputs
            return true / true.std() + inputs / inputs.std()

        assert randomisation(explain, network, inputs, SEED).value > 2 * GATES.maximum_randomised_correlation

    def test_sizes_without_signs(self, network: Network, inputs: F64) -> None:
        explain = by_rule(Zero())
        found = randomisation(lambda *of: np.abs(explain(*of)), network, inputs, SEED)
        assert found.value > 2 * GATES.maximum_randomised_correlation

    def test_against_its_definition_as_loops(self) -> None:
        network = random_network(12, (6, 4), 2, 3)
        inputs = np.random.default_rng(3).uniform(-0.5, 0.5, (7, 12)).round(1)
        generator = np.random.Generator(np.random.Philox(SEED))
        explain = by_rule(Epsilon(0.1))
        original, expected = explain(network, inputs), []
        for _ in range(5):
            top = generator.standard_normal((2, 4, 1))
            for member in range(2):
                top[member] *= network.kernels[-1][member].astype(float).std()
            for mirror in (1, -1):
                other = explain(replace(network, kernels=(*network.kernels[:-1], mirror * top)), inputs)
                expected += [spearmanr(original[row], other[row]).statistic for row in range(7)]
        found = randomisation(explain, network, inputs, SEED)
        assert found.value == pytest.approx(np.mean(expected))
        assert found.details["magnitude"] == pytest.approx(np.mean(np.abs(expected)))

    def test_an_explanation_of_nothing_has_no_value(self, inputs: F64) -> None:
        network = random_network(len(FEATURES), (5,), 1, 3)
        found = randomisation(lambda _, inputs: np.zeros_like(inputs), network, inputs, SEED)
        assert found.as_dict() == {"value": None, "magnitude": None}


class TestRemoval:
    @pytest.mark.parametrize("rule", TRUE, ids=str)
    def test_a_true_explanation_brings_the_prediction_down(self, network: Network, inputs: F64, rule: Rule) -> None:
        found = removal(network, inputs, relevance(network, inputs, rule).inputs, SEED)
        assert found.value > 0.95 > GATES.minimum_removal_share

    @pytest.mark.parametrize("broken", ["shuffled", "of another stock", "without signs", "turned round"])
    def test_broken_ones_do_not(self, network: Network, inputs: F64, broken: str) -> None:
        random = np.random.default_rng(1)
        true = relevance(network, inputs).inputs
        relevances = {
            "shuffled": random.permuted(true, axis=1),
            "of another stock": np.roll(true, 1, axis=0),
            "without signs": np.abs(true),
            "turned round": -true,
        }[broken]
        assert removal(network, inputs, relevances, SEED).value < GATES.minimum_removal_share

    def test_alpha_beta_turns_signs_round(self, network: Network, inputs: F64) -> None:
        found = removal(network, inputs, relevance(network, inputs, alpha_beta()).inputs, SEED)
        assert found.value < GATES.minimum_removal_share

    def test_curves_begin_with_nothing_and_end_with_everything_removed(self, network: Network, inputs: F64) -> None:
        curves = removal(network, inputs, relevance(network, inputs).inputs, SEED).details
        assert curves["removed"] == [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80]
        nothing = network.member_predictions(np.zeros_like(inputs)).mean()
        whole = network.member_predictions(inputs).mean()
        for name in ("by relevance", "at random"):
            assert len(curves[name]) == 11
            assert (curves[name][0], curves[name][-1]) == (0, pytest.approx(whole - nothing))
        assert curves["by relevance"][2] > curves["at random"][2]

    def test_against_its_definition_as_loops(self) -> None:
        network = random_network(20, (6,), 2, 3)
        inputs = np.random.default_rng(3).uniform(-0.5, 0.5, (5, 20))
        relevances = relevance(network, inputs).inputs

        def predict(row: F64) -> float:
            return float(network.member_predictions(row[None]).mean())

        def falls(row: F64, order: NDArray[np.int64]) -> list[float]:
            left, found = row.copy(), [0.0]
            for step in range(10):
                left[order[2 * step : 2 * step + 2]] = 0.0
                found.append(predict(row) - predict(left))
            return found

        generator = np.random.Generator(np.random.Philox(SEED))
        orders = [generator.permuted(np.tile(np.arange(20), (5, 1)), axis=1) for _ in range(10)]
        best = [falls(row, np.argsort(-size)) for row, size in zip(inputs, relevances, strict=True)]
        chance = [np.mean([falls(row, order[stock]) for order in orders], axis=0) for stock, row in enumerate(inputs)]
        found = removal(network, inputs, relevances, SEED)
        np.testing.assert_allclose(found.details["by relevance"], np.mean(best, axis=0), atol=1e-14)
        np.testing.assert_allclose(found.details["at random"], np.mean(chance, axis=0), atol=1e-14)
        assert found.value == np.mean(np.sum(best, axis=1) > np.sum(chance, axis=1))

    def test_a_stock_that_nothing_is_booked_to_does_not_count(self, inputs: F64) -> None:
        network = random_network(len(FEATURES), (), 1, 3)
        relevances = relevance(network, inputs).inputs
        relevances[: len(inputs) // 2] = 0.0
        assert removal(network, inputs, relevances, SEED).value == 1
        assert math.isnan(removal(network, inputs, np.zeros_like(inputs), SEED).value)


def account_of(members: F64) -> Relevance:
    """Return an ensemble's account from its members' contributions, shape (members, n, factors)."""
    inputs = np.zeros((*members.shape[:2], len(FEATURES)))
    inputs[:, :, [FEATURE_FACTORS.index(factor) for factor in FACTORS]] = members
    empty = np.zeros((*members.shape[:2], 1))
    return Relevance(inputs, empty, empty, members.sum(axis=2), np.zeros(members.shape[1]))


class TestAgreement:
    def test_against_its_definition_as_loops(self) -> None:
        members = np.random.default_rng(1).normal(0, 1, (4, 50, 5)) + np.random.default_rng(2).normal(0, 1, (50, 5))
        pairs = [
            np.corrcoef(members[a, :, factor], members[b, :, factor])[0, 1]
            for a, b in combinations(range(4), 2)
            for factor in range(5)
        ]
        found = agreement(account_of(members))
        assert found.details["pairwise"] == pytest.approx(np.mean(pairs))
        assert found.value == pytest.approx(4 * np.mean(pairs) / (1 + 3 * np.mean(pairs)))

    @pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
    def test_it_foretells_how_two_ensembles_agree(self, noise: float) -> None:
        random = np.random.default_rng(5)
        common = random.normal(0, 1, (20_000, 5))
        one, other = (common + random.normal(0, noise, (5, 20_000, 5)) for _ in range(2))
        seen = [np.corrcoef(one.mean(axis=0)[:, f], other.mean(axis=0)[:, f])[0, 1] for f in range(5)]
        assert agreement(account_of(one)).value == pytest.approx(np.mean(seen), abs=0.02)

    def test_members_that_agree_and_members_that_do_not(self) -> None:
        random = np.random.default_rng(3)
        same = np.tile(random.normal(0, 1, (1, 40, 5)), (3, 1, 1))
        assert agreement(account_of(same)).value == pytest.approx(1)
        apart = agreement(account_of(random.normal(0, 1, (3, 4_000, 5))))
        assert apart.value < 0.1 < GATES.minimum_member_agreement
        opposed = agreement(account_of(np.concatenate([same[:1], -same[:1]])))
        assert (opposed.value, opposed.details["pairwise"]) == (0, pytest.approx(-1))

    def test_a_member_without_contributions_agrees_with_none(self) -> None:
        members = np.tile(np.random.default_rng(3).normal(0, 1, (1, 40, 5)), (3, 1, 1))
        members[2] = 0.0
        assert agreement(account_of(members)).details["pairwise"] == pytest.approx(1 / 3)

    def test_a_factor_without_contributions_is_left_out(self) -> None:
        members = np.tile(np.random.default_rng(3).normal(0, 1, (1, 40, 5)), (3, 1, 1))
        members[:, :, 1] = 0.0
        assert agreement(account_of(members)).value == pytest.approx(1)
        assert agreement(account_of(0 * members)).as_dict() == {"value": None, "pairwise": None}


class TestSteadiness:
    def test_the_same_month_is_the_same(self) -> None:
        samples = random_samples(60, 1)
        network = random_network(len(FEATURES), (8,), 2, 1)
        found = steadiness(by_rule(Zero()), network, samples, samples)
        assert found.value == pytest.approx(1)
        assert found.details["stocks"] == 60
        assert list(found.details["factors"]) == list(FACTORS)

    def test_another_order_of_the_stocks_is_no_change(self) -> None:
        samples = random_samples(60, 1)
        network = random_network(len(FEATURES), (8,), 2, 1)
        rows = np.random.default_rng(4).permutation(60)
        turned = replace(samples, security_ids=samples.security_ids[rows], inputs=samples.inputs[rows])
        assert steadiness(by_rule(Zero()), network, samples, turned).value == pytest.approx(1)

    def test_stocks_that_are_mixed_up_are_a_change(self) -> None:
        samples = random_samples(400, 1)
        network = random_network(len(FEATURES), (8,), 2, 1)
        mixed = replace(samples, security_ids=np.roll(samples.security_ids, 1))
        assert abs(steadiness(by_rule(Zero()), network, samples, mixed).value) < 0.15 < GATES.minimum_month_correlation

    def test_only_stocks_of_both_months_are_compared(self) -> None:
        samples = random_samples(60, 1)
        network = random_network(len(FEATURES), (8,), 2, 1)
        forty, one = (
            replace(samples, security_ids=samples.security_ids[:number], inputs=samples.inputs[:number])
            for number in (40, 1)
        )
        assert steadiness(by_rule(Zero()), network, samples, forty).details["stocks"] == 40
        none = steadiness(by_rule(Zero()), network, samples, one)
        assert none.as_dict() == {"value": None, "factors": dict.fromkeys(FACTORS), "stocks": 1}

    def test_a_factor_of_which_nothing_is_known_is_left_out(self) -> None:
        samples = random_samples(60, 1)
        blind = np.where([factor == "Value" for factor in FEATURE_FACTORS], 0.0, samples.inputs)
        samples = replace(samples, inputs=blind.astype(np.float32))
        found = steadiness(by_rule(Zero()), random_network(len(FEATURES), (8,), 2, 1), samples, samples)
        assert found.details["factors"]["Value"] is None
        assert found.value == pytest.approx(1)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return random_samples(70, 2)


class TestBattery:
    def test_every_explained_model_is_checked(self, samples: Samples) -> None:
        models = [("dfm1", random_network(80, (9, 4), 3, 1)), ("linear", random_network(80, (), 1, 2))]
        found = check_explanations(AS_OF, models, samples, samples, ATTRIBUTION)
        assert list(found["dfm1"]) == ["randomisation", "removal", "last month", "members"]
        assert list(found["linear"]) == ["randomisation", "removal", "last month"]
        assert json.loads(json.dumps(found, allow_nan=False)) == found

    def test_frozen(self, samples: Samples) -> None:
        models = [("dfm1", random_network(80, (9, 4), 3, 1))]
        found = check_explanations(AS_OF, models, samples, random_samples(70, 3), ATTRIBUTION)["dfm1"]
        assert found["randomisation"]["magnitude"] == pytest.approx(0.302380568932, abs=1e-9)
        assert found["removal"]["by relevance"][1] == pytest.approx(0.062193607030, abs=1e-9)
        assert found["removal"]["at random"][5] == pytest.approx(-0.017475172110, abs=1e-9)
        assert found["last month"]["value"] == pytest.approx(0.054549908145, abs=1e-9)
        assert found["members"]["pairwise"] == pytest.approx(-0.075555127794, abs=1e-9)

    def test_the_order_of_the_rows_decides_nothing(self, samples: Samples) -> None:
        models = [("dfm1", random_network(80, (9, 4), 3, 1))]
        rows = np.random.default_rng(4).permutation(70)
        turned = replace(samples, security_ids=samples.security_ids[rows], inputs=samples.inputs[rows])
        one, other = (check_explanations(AS_OF, models, each, each, ATTRIBUTION)["dfm1"] for each in (samples, turned))
        for name, check in one.items():
            assert check["value"] == pytest.approx(other[name]["value"], abs=1e-9)
        assert one["removal"]["at random"] == pytest.approx(other["removal"]["at random"], abs=1e-12)

    def test_the_rules_are_those_of_the_configuration(self, samples: Samples) -> None:
        models = [("dfm1", random_network(80, (9, 4), 3, 1))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            broken = check_explanations(AS_OF, models, samples, samples, AttributionConfig(rules=("alpha-beta:2",)))
        assert broken["dfm1"]["removal"]["value"] < GATES.minimum_removal_share


@given(st.integers(1, 500), st.integers(1, 100))
def test_an_even_sample(stocks: int, number: int) -> None:
    order = np.random.default_rng(stocks).permutation(stocks)
    found = evenly(order, number)
    assert len(found) == len(set(found.tolist())) == min(stocks, number)
    assert found[0] == order[0]
    assert number == 1 or found[-1] == order[-1]


def test_what_could_not_be_measured_is_null() -> None:
    assert Check(math.nan).as_dict() == {"value": None}
    assert Check(0.5, {"stocks": 3}).as_dict() == {"value": 0.5, "stocks": 3}
