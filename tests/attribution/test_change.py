"""The change of a month against its definition: both orders of what changes, stock by stock, averaged."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deepfactor.attribution.change import ACCOUNTS, CrossSection, accounts, change
from deepfactor.attribution.rules import Epsilon, Gamma, Rule, Zero
from deepfactor.features import FEATURE_FACTORS
from deepfactor.models.base import Network
from deepfactor.schemas import FACTORS
from tests.models.networks import random_network

F64 = NDArray[np.float64]

ZERO = Zero()
RULES: tuple[Rule, ...] = (ZERO, Epsilon(0.2), Gamma(0.5))


def month(stocks: tuple[str, ...], seed: int, rule: Rule = ZERO, hidden: tuple[int, ...] = (7, 4)) -> CrossSection:
    """Return stocks with random inputs, and a random model."""
    inputs = np.random.default_rng(seed).uniform(-0.5, 0.5, (len(stocks), 80)).astype(np.float32)
    network = random_network(80, hidden, members=2, seed=seed)
    return CrossSection(np.array(sorted(stocks)), inputs, network, (rule,) * len(network.kernels))


def slow_accounts(network: Network, row: F64) -> list[float]:
    """Gradient × input and bias × gradient of one stock, member by member and unit by unit."""
    totals = dict.fromkeys((*FACTORS, "bias"), 0.0)
    for member in range(network.members):
        layers = [
            (kernel[member].astype(float), bias[member].astype(float))
            for kernel, bias in zip(network.kernels, network.biases, strict=True)
        ]
        values, masks = row, []
        for kernel, bias in layers:
            values = values @ kernel + bias
            masks.append(values > 0)
            values = np.maximum(values, 0)
        gradient = np.array([network.calibration.slope / network.members])
        for place in reversed(range(len(layers))):
            kernel, bias = layers[place]
            if place < len(layers) - 1:
                gradient = gradient * masks[place]
            totals["bias"] += sum(float(b * g) for b, g in zip(bias, gradient, strict=True))
            gradient = kernel @ gradient
        for factor, value, slope in zip(FEATURE_FACTORS, row, gradient, strict=True):
            totals[factor] += float(value * slope)
    return [*totals.values(), network.calibration.level, 0.0]


def slow_change(before: CrossSection, after: CrossSection, stock: str) -> tuple[F64, F64]:
    """The mean over both orders of what changing inputs, and changing the model, adds to each account."""
    rows = {
        name: each.inputs[each.security_ids.tolist().index(stock)].astype(float)
        for name, each in (("old", before), ("new", after))
    }
    networks = {"old": before.network, "new": after.network}
    added = {"inputs": np.zeros(len(ACCOUNTS)), "model": np.zeros(len(ACCOUNTS))}
    for order in permutations(added):
        state = {"inputs": "old", "model": "old"}
        for player in order:
            start = np.array(slow_accounts(networks[state["model"]], rows[state["inputs"]]))
            state[player] = "new"
            added[player] += np.array(slow_accounts(networks[state["model"]], rows[state["inputs"]])) - start
    return added["inputs"] / 2, added["model"] / 2


def one_hot(section: CrossSection, stock: str) -> F64:
    """Return the weights of a portfolio of one stock."""
    weights = np.zeros((1, len(section.security_ids)))
    weights[0, section.security_ids.tolist().index(stock)] = 1.0
    return weights


class TestOracle:
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 10_000), hidden=st.sampled_from([(), (5,), (6, 5, 3)]))
    def test_a_stock(self, seed: int, hidden: tuple[int, ...]) -> None:
        before, after = month(("a", "b", "c"), seed, hidden=hidden), month(("0", "b", "c"), seed + 1, hidden=hidden)
        found = change(before, after, one_hot(after, "c"))
        inputs, model = slow_change(before, after, "c")
        np.testing.assert_allclose(found.inputs[0], inputs, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.model[0], model, rtol=0, atol=1e-12)

    def test_a_portfolio_is_the_sum_of_its_stocks(self) -> None:
        before, after = month(("a", "b", "c"), 1), month(("b", "c", "d"), 2)
        found = change(before, after, np.array([[0.7, -0.4, 0.0]]))
        parts = [slow_change(before, after, stock) for stock in ("b", "c")]
        for computed, place in ((found.inputs, 0), (found.model, 1)):
            expected = 0.7 * parts[0][place] - 0.4 * parts[1][place]
            np.testing.assert_allclose(computed[0], expected, rtol=0, atol=1e-12)

    def test_epsilon_is_that_of_the_whole_cross_section(self) -> None:
        """Each of the four accounts as if its model and inputs were a month of their own."""
        before, after = month(("a", "b", "c"), 1, Epsilon(0.5)), month(("a", "c", "d"), 2, Epsilon(0.5))
        found = change(before, after, one_hot(after, "c"))

        def account(model: CrossSection, inputs: CrossSection) -> F64:
            mixed = CrossSection(inputs.security_ids, inputs.inputs, model.network, model.rules)
            row: F64 = accounts(mixed.account)[inputs.security_ids.tolist().index("c")]
            return row

        old_old, old_new = account(before, before), account(before, after)
        new_old, new_new = account(after, before), account(after, after)
        np.testing.assert_allclose(found.inputs[0], ((old_new - old_old) + (new_new - new_old)) / 2, atol=1e-15)
        np.testing.assert_allclose(found.model[0], ((new_old - old_old) + (new_new - old_new)) / 2, atol=1e-15)
        assert np.abs(found.after[0, -1]) > 1e-6  # a leak, without which this would show nothing
        alone = CrossSection(np.array(["c"]), after.inputs[1:2], after.network, after.rules)
        assert np.abs(accounts(alone.account)[0] - new_new).max() > 1e-6


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[CrossSection, CrossSection, F64]:
    """Two months of stocks of which some enter and some leave, and two portfolios of the second."""
    names = st.sets(st.sampled_from("abcdefgh"), min_size=1).map(lambda each: tuple(sorted(each)))
    seed, rule = draw(st.integers(0, 1000)), draw(st.sampled_from(RULES))
    before, after = month(draw(names), seed, rule), month(draw(names), seed + 1, rule)
    weight = st.floats(-2, 2)
    size = len(after.security_ids)
    weights = draw(st.lists(st.lists(weight, min_size=size, max_size=size), min_size=2, max_size=2))
    return before, after, np.array(weights)


class TestProperties:
    @settings(max_examples=60, deadline=None)
    @given(drawn=portfolios())
    def test_it_adds_up_account_by_account_and_in_all(self, drawn: tuple[CrossSection, CrossSection, F64]) -> None:
        before, after, weights = drawn
        found = change(before, after, weights)
        np.testing.assert_allclose(found.before + found.inputs + found.model, found.after, rtol=0, atol=1e-13)
        there = {name: row for row, name in enumerate(before.security_ids.tolist())}
        for portfolio, row in enumerate(weights):
            earlier = sum(
                weight * before.account.prediction[there[name]]
                for name, weight in zip(after.security_ids.tolist(), row, strict=True)
                if name in there
            )
            moved = (found.inputs + found.model)[portfolio].sum() + found.entering[portfolio]
            assert earlier + moved == pytest.approx(float(row @ after.account.prediction), abs=1e-12)
            entered = [
                name for name, weight in zip(after.security_ids, row, strict=True) if weight and name not in there
            ]
            assert found.entered[portfolio] == len(entered)

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 1000), rule=st.sampled_from(RULES))
    def test_the_order_of_months_only_turns_the_signs(self, seed: int, rule: Rule) -> None:
        one, other = month(("a", "b"), seed, rule), month(("a", "b"), seed + 1, rule)
        there, back = (change(*each, one_hot(each[1], "a")) for each in ((one, other), (other, one)))
        for name in ("inputs", "model"):
            np.testing.assert_allclose(getattr(there, name), -getattr(back, name), rtol=0, atol=1e-13)

    @pytest.mark.parametrize("rule", RULES)
    def test_nothing_comes_of_what_did_not_change(self, rule: Rule) -> None:
        one, other = month(("a", "b"), 1, rule), month(("a", "b"), 2, rule)
        same_inputs = CrossSection(one.security_ids, one.inputs, other.network, other.rules)
        same_model = CrossSection(one.security_ids, other.inputs, one.network, one.rules)
        assert np.abs(change(one, same_inputs, one_hot(one, "a")).inputs).max() == 0
        assert np.abs(change(one, same_model, one_hot(one, "a")).model).max() < 1e-15
        unchanged = change(one, one, one_hot(one, "a"))
        assert np.abs(unchanged.inputs).max() == np.abs(unchanged.model).max() == 0

    def test_the_level_is_the_models(self) -> None:
        found = change(month(("a",), 1), month(("a",), 2), np.ones((1, 1)))
        assert found.inputs[0, ACCOUNTS.index("level")] == 0


class TestEntering:
    def test_a_stock_that_was_not_there(self) -> None:
        before, after = month(("a", "b"), 1), month(("a", "z"), 2)
        found = change(before, after, one_hot(after, "z"))
        assert found.entered.tolist() == [1]
        np.testing.assert_array_equal(found.entering, after.account.prediction[1:])
        assert not np.abs(found.before).any()
        assert not np.abs(found.after).any()

    def test_a_stock_without_weight_does_not_enter(self) -> None:
        before, after = month(("a", "b"), 1), month(("a", "z"), 2)
        found = change(before, after, one_hot(after, "a"))
        assert found.entered.tolist() == [0]
        assert found.entering.tolist() == [0.0]


def test_a_seeded_change() -> None:
    """Frozen, of a portfolio of which one stock enters: what the code has once given."""
    found = change(month(("a", "b", "c"), 1), month(("b", "c", "d"), 2), np.array([[0.5, 0.25, 0.25]]))
    table = found.table()
    assert table.columns == ["account", "before", "inputs", "model", "after"]
    assert table["account"].to_list() == list(ACCOUNTS)
    expected = {
        "Risk": (0.0027842129637958603, -0.012271789588463606, -0.001059304916938555, -0.0105468815416063),
        "Size": (-0.018136415858788953, 0.029466639331508122, -0.0018902472165638201, 0.00943997625615535),
        "bias": (0.08931319820755382, -0.0027277155903867104, -0.021547535316501394, 0.06503794730066571),
        "level": (0.015, 0.0, 0.0, 0.015),
        "leak": (0.0, 0.0, 0.0, 0.0),
    }
    for account, row in expected.items():
        assert table.filter(account=account).row(0)[1:] == pytest.approx(row, rel=1e-9, abs=1e-15)
    assert found.entering.tolist() == pytest.approx([0.02154231], abs=1e-8)
