"""The kernel against two oracles: the rules written as loops, and automatic differentiation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deepfactor.attribution.accounts import ledger_imbalance
from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.attribution.rules import AlphaBeta, Epsilon, Gamma, Rule, Zero, layer_rules
from deepfactor.errors import ConfigurationError
from deepfactor.models.base import Network
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.models.targets import Calibration
from tests.attribution.relevance_oracle import slow_relevance
from tests.models.networks import random_network

Array = NDArray[np.float64]

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    RULES: tuple[Rule, ...] = (
        Zero(),
        Epsilon(1e-3),
        Epsilon(0.3),
        Gamma(1e-12),
        Gamma(0.25),
        Gamma(3.0),
        AlphaBeta(1.0),
        AlphaBeta(2.0),
    )
hidden_layers = st.lists(st.integers(1, 8), max_size=4).map(tuple)


def inputs_for(network: Network, stocks: int, seed: int) -> Array:
    """Return ranks; the first stock is the median of everything, the second above it, the third below."""
    inputs = np.random.default_rng(seed).uniform(-0.5, 0.5, (stocks, network.width))
    inputs[0] = 0.0
    inputs[1:2], inputs[2:3] = np.abs(inputs[1:2]), -np.abs(inputs[2:3])
    return inputs


def made(kernels: Sequence[object], biases: Sequence[object], calibration: Calibration | None = None) -> Network:
    """Return a network of one member from its weights."""
    return Network(
        tuple(np.array([kernel], dtype=np.float64) for kernel in kernels),
        tuple(np.array([bias], dtype=np.float64) for bias in biases),
        calibration or Calibration(0.0, 1.0),
    )


# Each unit's pre-activation, and the output's, is exactly zero for some of these stocks.
EXACTLY_ZERO = made([[[1, 1, 2], [-1, 1, -4]], [[3], [1], [-1]]], [[0, -0.5, 0.5], [0]], Calibration(0.01, 2.0))
ZEROING = np.array([[0.25, 0.25], [0.5, 0.0], [0.5, 0.25], [0.0, 0.0], [-0.25, 0.0]])


def compare(account: Relevance, network: Network, inputs: Array, rules: Sequence[Rule], number: type = float) -> None:
    """Hold the kernel against the loops."""
    for member in range(network.members):
        for stock, slow in enumerate(slow_relevance(network, member, inputs.tolist(), rules, number)):
            for found, expected in (
                (account.member_inputs, slow.inputs),
                (account.member_bias, slow.bias),
                (account.member_leak, slow.leak),
            ):
                np.testing.assert_allclose(found[member, stock], [float(x) for x in expected], rtol=1e-10, atol=1e-10)


class TestLoops:
    @settings(max_examples=60, deadline=None)
    @given(hidden=hidden_layers, members=st.integers(1, 3), seed=st.integers(0, 10_000), rule=st.sampled_from(RULES))
    def test_one_rule(self, hidden: tuple[int, ...], members: int, seed: int, rule: Rule) -> None:
        network = random_network(5, hidden, members, seed)
        inputs = inputs_for(network, 4, seed)
        compare(relevance(network, inputs, rule), network, inputs, layer_rules(rule, len(hidden) + 1))

    @settings(max_examples=40, deadline=None)
    @given(data=st.data(), hidden=hidden_layers, seed=st.integers(0, 10_000))
    def test_a_rule_for_each_layer(self, data: st.DataObject, hidden: tuple[int, ...], seed: int) -> None:
        depth = len(hidden) + 1
        rules = data.draw(st.lists(st.sampled_from(RULES), min_size=depth, max_size=depth))
        network = random_network(4, hidden, 2, seed)
        inputs = inputs_for(network, 3, seed)
        compare(relevance(network, inputs, rules), network, inputs, rules)

    @pytest.mark.parametrize("rule", [Zero(), Gamma(0.0), Gamma(0.25)], ids=str)
    def test_contributions_that_nearly_cancel_in_exact_fractions(self, rule: Rule) -> None:
        """Pre-activations are a billionth of their parts: nothing may hang on what rounding left of them."""
        random = np.random.default_rng(4)
        halves = random.normal(0, 1, (3, 4))
        kernel = np.concatenate([halves, -halves * (1 - 2.0**-30)])
        network = made(
            [kernel, random.normal(0, 1, (4, 3)), random.normal(0, 1, (3, 1))], [[0.0] * 4, [2.0**-31] * 3, [0.0]]
        )
        inputs = np.tile(np.round(random.uniform(-0.5, 0.5, (8, 3)), 3), 2)
        account = relevance(network, inputs, rule)
        assert np.abs(account.prediction).max() < 1e-8
        assert (np.abs(account.inputs).max() > 0.1) == (rule != Gamma(0.25))
        compare(account, network, inputs, [rule] * 3, Fraction)

    def test_more_stocks_than_are_worked_on_together(self) -> None:
        network = random_network(3, (4, 2), 2, 8)
        inputs = inputs_for(network, 600, 8)
        rules = [Gamma(0.25), Epsilon(0.1), Zero()]
        compare(relevance(network, inputs, rules), network, inputs, rules)


def by_tape(network: Network, member: int, inputs: Array) -> tuple[Array, list[Array]]:
    """Return gradient × input, and bias × gradient summed up by layer."""
    import tensorflow as tf

    kernels = [tf.constant(each[member].astype(float)) for each in network.kernels]
    biases = [tf.tile(tf.constant(each[member].astype(float))[None], [len(inputs), 1]) for each in network.biases]
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch([x, *biases])
        value = x
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            value = tf.nn.relu(value @ kernel + bias)
        value = network.calibration.slope * (value @ kernels[-1] + biases[-1])
    by_input, *by_bias = tape.gradient(value, [x, *biases])
    return (x * by_input).numpy(), [(b * g).numpy().sum(axis=1) for b, g in zip(biases, by_bias, strict=True)]


class TestAutomaticDifferentiation:
    @pytest.mark.parametrize("hidden", [(), (7,), *HIDDEN_LAYERS.values()], ids=str)
    def test_gradient_times_input_and_bias(self, hidden: tuple[int, ...]) -> None:
        network = random_network(80, hidden, 2, 3)
        inputs = inputs_for(network, 300, 3)
        account = relevance(network, inputs, Zero())
        for member in range(network.members):
            by_input, by_bias = by_tape(network, member, inputs)
            np.testing.assert_allclose(account.member_inputs[member], by_input, rtol=0, atol=1e-10)
            np.testing.assert_allclose(account.member_bias[member], np.stack(by_bias, axis=1), rtol=0, atol=1e-10)

    def test_where_pre_activations_are_exactly_zero(self) -> None:
        """Of a hidden unit and of the output, where relevance / pre-activation is 0 / 0."""
        network, inputs = EXACTLY_ZERO, ZEROING
        totals = inputs @ network.kernels[0][0] + network.biases[0]
        assert (totals == 0).any(axis=0).tolist() == [True, True, True]
        assert (network.member_scores(inputs) == 0).any()
        account = relevance(network, inputs)
        by_input, by_bias = by_tape(network, 0, inputs)
        np.testing.assert_array_equal(account.inputs, by_input)
        np.testing.assert_array_equal(account.bias, np.stack(by_bias, axis=1))
        assert account.imbalance().max() == 0

    def test_a_prediction_of_zero_from_contributions_that_cancel(self) -> None:
        network = made([[[1.0], [-1.0]]], [[0.0]], Calibration(0.01, 2.0))
        inputs = np.array([[0.25, 0.25]])
        by_input, _ = by_tape(network, 0, inputs)
        np.testing.assert_array_equal(relevance(network, inputs).inputs, by_input)
        np.testing.assert_array_equal(by_input, [[0.5, -0.5]])


# Gamma in the first layer, epsilon in the hidden ones, zero in the last: the composite that images are explained by.
COMPOSITES = {
    "gamma, epsilon, zero": lambda depth: [Gamma(0.25), *[Epsilon(0.01)] * (depth - 2), Zero()],
    "alpha-beta, gamma, epsilon": lambda depth: [RULES[-1], *[Gamma(1.0)] * (depth - 2), Epsilon(0.1)],
}


class TestTheLedger:
    @settings(max_examples=60, deadline=None)
    @given(
        data=st.data(),
        hidden=hidden_layers,
        members=st.integers(1, 3),
        seed=st.integers(0, 10_000),
        power=st.integers(-20, 20),
    )
    def test_closes(self, data: st.DataObject, hidden: tuple[int, ...], members: int, seed: int, power: int) -> None:
        depth = len(hidden) + 1
        rules = data.draw(st.lists(st.sampled_from(RULES), min_size=depth, max_size=depth))
        network = random_network(7, hidden, members, seed)
        network = Network(tuple(2.0**power * each for each in network.kernels), network.biases, network.calibration)
        account = relevance(network, inputs_for(network, 9, seed), rules)
        parts = (account.member_inputs, account.member_bias, account.member_leak)
        assert account.imbalance().max() <= 1e-13 * (sum(np.abs(each).max() for each in parts) + 1e-300)
        np.testing.assert_allclose(account.prediction, account.member_prediction.mean(axis=0))

    @pytest.mark.parametrize("name", ["dfm1", "dfm2"])
    @pytest.mark.parametrize("rule", [*RULES, *COMPOSITES], ids=str)
    def test_closes_to_a_billionth_of_the_predictions(self, name: str, rule: Rule | str) -> None:
        network = random_network(80, HIDDEN_LAYERS[name], 3, 4)
        rules = COMPOSITES[rule](len(network.kernels)) if isinstance(rule, str) else rule
        account = relevance(network, inputs_for(network, 300, 4), rules)
        assert ledger_imbalance(account) < 1e-12
        np.testing.assert_allclose(
            account.member_prediction, network.member_predictions(inputs_for(network, 300, 4)), atol=1e-14
        )

    def test_what_leaks(self) -> None:
        network = random_network(80, HIDDEN_LAYERS["dfm2"], 2, 4)
        inputs = inputs_for(network, 30, 4)
        leaks = [np.abs(relevance(network, inputs, rule).leak).max() for rule in (Zero(), Gamma(0.25), Epsilon(0.1))]
        assert leaks[0] == 0
        assert leaks[1] < 1e-15
        assert leaks[2] > 1e-3

    def test_the_level_is_an_account_of_its_own(self) -> None:
        network = random_network(6, (4,), 2, 2)
        inputs = inputs_for(network, 5, 2)
        account = relevance(network, inputs)
        raised = Network(network.kernels, network.biases, Calibration(0.5, network.calibration.slope))
        other = relevance(raised, inputs)
        np.testing.assert_array_equal(other.level, [0.5] * 5)
        for name in ("member_inputs", "member_bias", "member_leak"):
            np.testing.assert_array_equal(getattr(account, name), getattr(other, name))
        np.testing.assert_allclose(other.prediction - account.prediction, 0.5 - network.calibration.level)


class TestProperties:
    @pytest.mark.parametrize("rule", [Epsilon(0.0), Gamma(0.0)], ids=str)
    def test_without_its_parameter_a_rule_is_zero(self, rule: Rule) -> None:
        network = random_network(80, HIDDEN_LAYERS["dfm2"], 2, 4)
        inputs = inputs_for(network, 300, 4)
        zero, other = relevance(network, inputs, Zero()), relevance(network, inputs, rule)
        np.testing.assert_allclose(other.member_inputs, zero.member_inputs, rtol=0, atol=1e-16)
        np.testing.assert_allclose(other.member_bias, zero.member_bias, rtol=0, atol=1e-16)
        assert np.abs(other.leak).max() < 1e-16

    @pytest.mark.parametrize("rule", [Epsilon(0.0), Gamma(0.0)], ids=str)
    def test_so_it_is_where_pre_activations_are_exactly_zero(self, rule: Rule) -> None:
        zero, other = (relevance(EXACTLY_ZERO, ZEROING, each) for each in (Zero(), rule))
        np.testing.assert_array_equal(other.inputs, zero.inputs)
        np.testing.assert_array_equal(other.bias, zero.bias)
        assert (other.leak == 0).all()

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_an_ensemble_is_its_members(self, rule: Rule) -> None:
        network = random_network(6, (5, 4), 3, 1)
        inputs = inputs_for(network, 20, 1)
        account = relevance(network, inputs, rule)
        for member in range(3):
            own = slice(member, member + 1)
            single = Network(
                tuple(each[own] for each in network.kernels),
                tuple(each[own] for each in network.biases),
                network.calibration,
            )
            alone = relevance(single, inputs, rule)
            np.testing.assert_array_equal(alone.inputs, account.member_inputs[member])
            np.testing.assert_array_equal(alone.bias, account.member_bias[member])
        np.testing.assert_allclose(account.inputs, account.member_inputs.mean(axis=0))
        np.testing.assert_allclose(account.dispersion, account.member_inputs.std(axis=0))

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_a_stocks_account_does_not_hang_on_the_others(self, rule: Rule) -> None:
        """But for epsilon, which is relative to all of them."""
        network = random_network(6, (5, 4), 2, 1)
        inputs = inputs_for(network, 300, 1)
        alone, among = (relevance(network, each, rule).inputs for each in (inputs[70:71], inputs))
        same = np.allclose(alone[0], among[70], rtol=0, atol=1e-14)
        assert same != isinstance(rule, Epsilon)

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_nothing_comes_from_an_input_of_zero(self, rule: Rule) -> None:
        network = random_network(7, (5,), 2, 1)
        account = relevance(network, np.zeros((3, 7)), rule)
        assert (account.inputs == 0).all()
        assert account.imbalance().max() < 1e-15

    def test_a_linear_model_is_weights_times_inputs(self) -> None:
        network = random_network(6, (), 1, 2)
        inputs = inputs_for(network, 5, 2)
        account = relevance(network, inputs)
        slope, level = network.calibration.slope, network.calibration.level
        np.testing.assert_allclose(account.inputs, slope * inputs * network.kernels[0][0, :, 0], atol=1e-15)
        np.testing.assert_allclose(account.bias, [[slope * network.biases[0][0, 0]]] * 5, atol=1e-15)
        np.testing.assert_array_equal(account.level, [level] * 5)
        assert (account.leak == 0).all()

    def test_single_precision_inputs_are_taken_as_they_are(self) -> None:
        network = random_network(6, (4,), 2, 2)
        inputs = inputs_for(network, 5, 2).astype(np.float32)
        np.testing.assert_array_equal(
            relevance(network, inputs).inputs, relevance(network, inputs.astype(np.float64)).inputs
        )


class TestPortfolios:
    def test_against_loops(self) -> None:
        network = random_network(6, (5, 3), 3, 5)
        account = relevance(network, inputs_for(network, 7, 5), Epsilon(0.1))
        weights = np.random.default_rng(5).normal(0, 1, (2, 7))
        portfolios = account.portfolios(weights)
        for place, own in enumerate(weights):
            for name in ("inputs", "bias", "leak", "prediction", "level"):
                by_stock = getattr(account, name)
                expected = sum(weight * by_stock[stock] for stock, weight in enumerate(own))
                np.testing.assert_allclose(getattr(portfolios, name)[place], expected, rtol=0, atol=1e-14)
            for member in range(3):
                expected = sum(weight * account.member_inputs[member, stock] for stock, weight in enumerate(own))
                np.testing.assert_allclose(portfolios.member_inputs[member, place], expected, rtol=0, atol=1e-14)

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 10_000), rule=st.sampled_from(RULES))
    def test_any_weights_add_up_to_the_prediction_they_explain(self, seed: int, rule: Rule) -> None:
        network = random_network(6, (5,), 2, seed)
        account = relevance(network, inputs_for(network, 9, seed), rule)
        weights = np.random.default_rng(seed).normal(0, 3, (4, 9))
        portfolios = account.portfolios(weights)
        np.testing.assert_allclose(portfolios.prediction, weights @ account.prediction, atol=1e-12)
        assert portfolios.imbalance().max() < 1e-12

    def test_of_a_portfolio_of_portfolios(self) -> None:
        network = random_network(6, (5,), 2, 1)
        account = relevance(network, inputs_for(network, 9, 1))
        inner, outer = np.random.default_rng(1).normal(0, 1, (4, 9)), np.array([[1.0, 0.0, -1.0, 0.5]])
        twice, once = account.portfolios(inner).portfolios(outer), account.portfolios(outer @ inner)
        np.testing.assert_allclose(twice.inputs, once.inputs, atol=1e-14)
        np.testing.assert_allclose(twice.level, once.level, atol=1e-14)


class TestDegenerate:
    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_a_dead_network_books_everything_to_its_last_bias(self, rule: Rule) -> None:
        network = made([np.zeros((6, 4)), np.ones((4, 1))], [[-1.0] * 4, [0.3]], Calibration(0.02, 0.5))
        account = relevance(network, inputs_for(network, 3, 1), rule)
        assert (account.inputs == 0).all()
        assert (account.bias[:, 0] == 0).all()
        np.testing.assert_allclose(account.bias[:, 1] + account.leak.sum(axis=1), [0.15] * 3, atol=1e-15)
        np.testing.assert_allclose(account.prediction, [0.17] * 3, atol=1e-15)

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_a_network_of_nothing_but_zeros(self, rule: Rule) -> None:
        network = made([np.zeros((6, 4)), np.zeros((4, 1))], [[0.0] * 4, [0.0]], Calibration(0.02, 0.5))
        account = relevance(network, inputs_for(network, 3, 1), rule)
        for values in (account.inputs, account.bias, account.leak):
            assert (values == 0).all()
        np.testing.assert_array_equal(account.prediction, account.level)

    @pytest.mark.parametrize("rule", RULES, ids=str)
    @pytest.mark.parametrize("size", [1e-160, 1e-310])
    def test_contributions_that_are_next_to_nothing(self, rule: Rule, size: float) -> None:
        network = made([[[1.0, 1.0], [-size, 0.5]], [[1.0], [-size]]], [[size, -1.0], [-size]])
        account = relevance(network, np.array([[0.5, 0.25], [size, -0.5], [0.0, 0.5], [-size, size]]), rule)
        for values in (account.inputs, account.bias, account.leak):
            assert np.isfinite(values).all()
        assert account.imbalance().max() < 1e-15

    def test_a_unit_without_negative_contributions_leaks_their_part(self) -> None:
        network = made([[[1.0], [2.0]]], [[0.5]], Calibration(0.0, 2.0))
        account = relevance(network, np.array([[0.25, 0.125]]), RULES[-1])
        # z = 1, of which the inputs and the bias are ¼, ¼ and ½; α = 2 and so −β = −1 finds no one.
        np.testing.assert_array_equal(account.inputs, [[1.0, 1.0]])
        np.testing.assert_array_equal(account.bias, [[2.0]])
        np.testing.assert_array_equal(account.leak, [[-2.0]])

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_a_single_stock_and_none(self, rule: Rule) -> None:
        network = random_network(6, (4, 3), 2, 1)
        assert ledger_imbalance(relevance(network, inputs_for(network, 2, 1)[1:], rule)) < 1e-13
        nothing = relevance(network, np.zeros((0, 6)), rule)
        assert nothing.inputs.shape == (0, 6)
        assert (nothing.bias.shape, nothing.prediction.shape) == ((0, 3), (0,))

    def test_one_member_has_no_dispersion(self) -> None:
        network = random_network(6, (4,), 1, 1)
        assert (relevance(network, inputs_for(network, 5, 1)).dispersion == 0).all()


# The first unit receives 1, −½ and, of its bias, ½; the second is off. The output receives 2 and, of its bias, ¼.
BY_HAND = made([[[2.0, -1.0], [-1.0, -1.0]], [[2.0], [-1.0]]], [[0.5, 0.5], [0.25]])
DAMPED = 1 / (1 + np.sqrt((1 + 0.25) / 2))


@pytest.mark.parametrize(
    ("rule", "inputs", "bias", "leak"),
    [
        (Zero(), [2, -1], [1, 0.25], [0, 0]),
        (Epsilon(1.0), [DAMPED, -0.5 * DAMPED], [0.5 * DAMPED, 0.125], [1 - DAMPED, 1.125]),
        (Gamma(1.0), [1.6, -0.4], [0.8, 0.25], [0, 0]),
        (RULES[-1], [16 / 3, -4], [8 / 3, 0.5], [0, -2.25]),
    ],
    ids=str,
)
def test_by_hand(rule: Rule, inputs: list[float], bias: list[float], leak: list[float]) -> None:
    account = relevance(BY_HAND, np.array([[0.5, 0.5]]), rule)
    np.testing.assert_allclose(account.prediction, [2.25], rtol=1e-15)
    np.testing.assert_allclose(account.inputs[0], inputs, rtol=1e-14)
    np.testing.assert_allclose(account.bias[0], bias, rtol=1e-14)
    np.testing.assert_allclose(account.leak[0], leak, rtol=1e-14, atol=1e-15)


# One input of a stock, all of another, the mean size; the third layer's bias of a stock, all biases; leak, dispersion.
FROZEN: dict[Rule, list[float]] = {
    Zero(): [
        -0.00174701691689,
        -0.0114096391769,
        0.000932614409963,
        -0.0031749964343,
        -1.15934459156,
        0.0,
        0.000914232424877,
    ],
    Epsilon(0.01): [
        -0.0013894736367,
        0.00436662256939,
        0.000736693736413,
        0.00243031151309,
        -1.19330687791,
        0.000203350014709,
        0.000724155419652,
    ],
    Gamma(0.25): [
        -7.30881359716e-05,
        0.00285971080524,
        5.50594014379e-05,
        0.00174052541518,
        -1.18267978105,
        0.0,
        6.31041622974e-05,
    ],
    RULES[-1]: [
        0.000601405118408,
        -0.0016173253957,
        0.000316786895422,
        0.00712764921968,
        -1.18759061258,
        0.0,
        0.000319981626185,
    ],
}


@pytest.mark.parametrize("rule", FROZEN, ids=str)
def test_frozen(rule: Rule) -> None:
    network = random_network(80, HIDDEN_LAYERS["dfm2"], 2, 11)
    account = relevance(network, np.random.default_rng(11).uniform(-0.5, 0.5, (40, 80)), rule)
    found = [account.inputs[7, 3], account.inputs[39].sum(), np.abs(account.inputs).mean(), account.bias[7, 2]]
    found += [account.bias.sum(), np.abs(account.leak).mean(), account.dispersion.mean()]
    np.testing.assert_allclose(found, FROZEN[rule], rtol=1e-10, atol=1e-16)


def test_as_many_rules_as_layers() -> None:
    network = random_network(6, (4, 3), 2, 1)
    with pytest.raises(ConfigurationError, match="2 rules are given for 3 layers: give one for each, or one for all"):
        relevance(network, np.zeros((1, 6)), [Zero(), Zero()])
