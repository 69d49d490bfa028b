from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from deepfactor.errors import IntegrityError
from deepfactor.models.base import Network, member_seeds
from deepfactor.months import Month
from tests.models.networks import random_network

hidden_layers = st.lists(st.integers(1, 9), max_size=4).map(tuple)


def slow_prediction(network: Network, member: int, row: np.ndarray) -> float:
    """One member, one stock, one unit at a time."""
    values = [float(each) for each in row]
    last = len(network.kernels) - 1
    for number, (kernel, bias) in enumerate(zip(network.kernels, network.biases, strict=True)):
        units = [
            sum(value * float(kernel[member, i, j]) for i, value in enumerate(values)) + float(bias[member, j])
            for j in range(kernel.shape[2])
        ]
        values = units if number == last else [max(unit, 0.0) for unit in units]
    return network.calibration.level + network.calibration.slope * values[0]


@settings(max_examples=25, deadline=None)
@given(hidden=hidden_layers, members=st.integers(1, 3), seed=st.integers(0, 1000))
def test_predictions_against_loops(hidden: tuple[int, ...], members: int, seed: int) -> None:
    network = random_network(6, hidden, members, seed)
    inputs = np.random.default_rng(seed).uniform(-0.5, 0.5, (4, 6)).astype(np.float32)
    expected = [[slow_prediction(network, member, row) for row in inputs] for member in range(members)]
    np.testing.assert_allclose(network.member_predictions(inputs), expected, atol=1e-12)


def test_weights_come_back_from_their_bytes() -> None:
    network = random_network(8, (5, 3), 2, 1)
    read = Network.from_bytes(network.to_bytes())
    assert read.to_bytes() == network.to_bytes()
    assert read.calibration == network.calibration
    for ours, theirs in zip(network.kernels + network.biases, read.kernels + read.biases, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_seeds_come_from_month_model_and_member_only() -> None:
    month = Month.parse("2016-02")
    seeds = member_seeds(month, "dfm2", 5)
    assert seeds[:3] == member_seeds(month, "dfm2", 3)
    assert seeds[0] == 7315345250111117584
    others = {*seeds, *member_seeds(month + 1, "dfm2", 5), *member_seeds(month, "dfm1", 5)}
    assert len(others | set(member_seeds(month, "dfm2", 5, attempt=2))) == 20


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"kernel": (1, 2, 2), "bias": (1, 2)}, "lack"),
        (
            {
                "layer0/kernel": (1, 2, 3),
                "layer0/bias": (1, 3),
                "layer1/kernel": (1, 4, 1),
                "layer1/bias": (1, 1),
                "calibration": (2,),
            },
            "do not fit",
        ),
    ],
)
def test_other_weights_are_refused(tensors: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        Network.from_bytes(save({name: np.ones(shape, np.float32) for name, shape in tensors.items()}))


def test_a_calibration_that_turns_the_ranking_is_refused() -> None:
    tensors = {"layer0/kernel": np.ones((1, 2, 1)), "layer0/bias": np.ones((1, 1)), "calibration": np.array([0, -1.0])}
    with pytest.raises(IntegrityError, match="slope positive"):
        Network.from_bytes(save(tensors))


@pytest.mark.parametrize("body", [b"", b"not weights"])
def test_bytes_that_are_no_weights(body: bytes) -> None:
    with pytest.raises(IntegrityError, match="no safetensors"):
        Network.from_bytes(body)
