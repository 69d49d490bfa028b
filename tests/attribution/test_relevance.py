"""The kernel against two oracles: the rule written as loops, and automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deepfactor.attribution.relevance import relevance
from deepfactor.attribution.rules import Epsilon, Rule, Zero
from deepfactor.models.base import Network
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.models.targets import Calibration
from tests.models.networks import random_network

hidden_layers = st.lists(st.integers(1, 8), max_size=4).map(tuple)
rules = st.sampled_from([Zero(), Epsilon(1e-3), Epsilon(0.3)])


def inputs_for(network: Network, stocks: int, seed: int) -> NDArray[np.float64]:
    """Return ranks, the first stock all zero."""
    inputs = np.random.default_rng(seed).uniform(-0.5, 0.5, (stocks, network.width))
    inputs[0] = 0.0
    return inputs


def slow_relevance(
    kernels: list[NDArray[np.float64]],
    biases: list[NDArray[np.float64]],
    row: NDArray[np.float64],
    calibration: Calibration,
    epsilon: list[float],
) -> tuple[list[float], list[float], list[float]]:
    """Equation 6 for one member and one stock, unit by unit; epsilon is absolute, by layer; the level is a bias."""
    activations, totals = [list(row)], []
    for kernel, bias in zip(kernels, biases, strict=True):
        z = [sum(a * kernel[i, j] for i, a in enumerate(activations[-1])) + bias[j] for j in range(kernel.shape[1])]
        totals.append(z)
        activations.append([max(each, 0.0) for each in z])
    received = [calibration.slope * z for z in totals[-1]]
    bias_terms, leaks = [calibration.level], []
    for layer in reversed(range(len(kernels))):
        handed = [0.0] * kernels[layer].shape[0]
        to_bias = leak = 0.0
        for j, z in enumerate(totals[layer]):
            divisor = z + (epsilon[layer] if z >= 0 else -epsilon[layer])
            if divisor == 0:
                leak += received[j]
                continue
            for i, a in enumerate(activations[layer]):
                handed[i] += a * kernels[layer][i, j] / divisor * received[j]
            to_bias += biases[layer][j] / divisor * received[j]
            leak += received[j] - z / divisor * received[j]
        received = handed
        bias_terms.insert(0, to_bias)
        leaks.insert(0, leak)
    return received, bias_terms, leaks


def absolute_epsilon(network: Network, member: int, inputs: NDArray[np.float64], rule: Rule) -> list[float]:
    """Return the rule's epsilon in each layer: a share of the layer's root mean square over the stocks."""
    if isinstance(rule, Zero):
        return [0.0] * len(network.kernels)
    assert isinstance(rule, Epsilon)
    values, found = inputs, []
    for kernel, bias in zip(network.kernels, network.biases, strict=True):
        z = values @ kernel[member].astype(float) + bias[member].astype(float)
        found.append(rule.relative * float(np.sqrt((z**2).mean())))
        values = np.maximum(z, 0)
    return found


class TestOracles:
    @settings(max_examples=40, deadline=None)
    @given(hidden=hidden_layers, members=st.integers(1, 3), seed=st.integers(0, 10_000), rule=rules)
    def test_loops(self, hidden: tuple[int, ...], members: int, seed: int, rule: Rule) -> None:
        network = random_network(5, hidden, members, seed)
        inputs = inputs_for(network, 4, seed)
        account = relevance(network, inputs, rule)
        for member in range(members):
            kernels = [each[member].astype(float) for each in network.kernels]
            biases = [each[member].astype(float) for each in network.biases]
            epsilon = absolute_epsilon(network, member, inputs, rule)
            for stock, row in enumerate(inputs):
                by_input, bias, leak = slow_relevance(kernels, biases, row, network.calibration, epsilon)
                np.testing.assert_allclose(account.member_inputs[member, stock], by_input, rtol=1e-9, atol=1e-10)
                np.testing.assert_allclose(account.member_bias[member, stock], bias, rtol=1e-9, atol=1e-10)
                np.testing.assert_allclose(account.member_leak[member, stock], leak, rtol=1e-9, atol=1e-10)

    @pytest.mark.parametrize("name", ["dfm1", "dfm2"])
    def test_gradient_times_input_and_bias(self, name: str) -> None:
        import tensorflow as tf

        network = random_network(80, HIDDEN_LAYERS[name], 2, 3)
        inputs = inputs_for(network, 20, 3)
        account = relevance(network, inputs, Zero())
        for member in range(network.members):
            kernels = [tf.constant(each[member].astype(float)) for each in network.kernels]
            biases = [
                tf.tile(tf.constant(each[member].astype(float))[None], [len(inputs), 1]) for each in network.biases
            ]
            x = tf.constant(inputs)
            with tf.GradientTape() as tape:
                tape.watch([x, *biases])
                value = x
                for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
                    value = tf.nn.relu(value @ kernel + bias)
                value = network.calibration.slope * (value @ kernels[-1] + biases[-1])
            by_input, *by_bias = tape.gradient(value, [x, *biases])
            np.testing.assert_allclose(account.member_inputs[member], (x * by_input).numpy(), atol=1e-10)
            for layer, (bias, gradient) in enumerate(zip(biases, by_bias, strict=True)):
                expected = (bias * gradient).numpy().sum(axis=1)
                np.testing.assert_allclose(account.member_bias[member, :, layer], expected, atol=1e-10)


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(hidden=hidden_layers, members=st.integers(1, 3), seed=st.integers(0, 10_000), rule=rules)
    def test_the_ledger_closes(self, hidden: tuple[int, ...], members: int, seed: int, rule: Rule) -> None:
        network = random_network(7, hidden, members, seed)
        account = relevance(network, inputs_for(network, 9, seed), rule)
        scale = np.abs(account.member_inputs).max() + np.abs(account.member_bias).max() + 1e-300
        assert account.imbalance().max() <= 1e-12 * scale
        np.testing.assert_allclose(account.prediction, account.member_prediction.mean(axis=0))

    def test_nothing_comes_from_an_input_of_zero(self) -> None:
        network = random_network(7, (5,), 2, 1)
        account = relevance(network, np.zeros((3, 7)))
        assert (account.inputs == 0).all()
        np.testing.assert_allclose(account.bias.sum(axis=1) + account.leak.sum(axis=1), account.prediction)

    def test_zero_leaks_nothing_epsilon_does(self) -> None:
        network = random_network(80, HIDDEN_LAYERS["dfm2"], 2, 4)
        inputs = inputs_for(network, 30, 4)
        assert np.abs(relevance(network, inputs, Zero()).leak).max() < 1e-12
        assert np.abs(relevance(network, inputs, Epsilon(0.1)).leak).max() > 1e-3

    def test_a_linear_model_is_weights_times_inputs(self) -> None:
        network = random_network(6, (), 1, 2)
        inputs = inputs_for(network, 5, 2)
        account = relevance(network, inputs)
        slope, level = network.calibration.slope, network.calibration.level
        np.testing.assert_allclose(account.inputs, slope * inputs * network.kernels[0][0, :, 0], atol=1e-12)
        np.testing.assert_allclose(account.bias, [[slope * network.biases[0][0, 0], level]] * 5, atol=1e-12)

    def test_a_dead_network_books_everything_to_its_last_bias(self) -> None:
        network = random_network(6, (4,), 1, 2)
        dead = Network(
            (np.zeros_like(network.kernels[0]), network.kernels[1]), (network.biases[0] * 0 - 1, network.biases[1])
        )
        account = relevance(dead, inputs_for(dead, 3, 1))
        assert (account.inputs == 0).all()
        np.testing.assert_allclose(account.bias[:, 1], account.prediction)
        assert (account.bias[:, 2] == 0).all()
