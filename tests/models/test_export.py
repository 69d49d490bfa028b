"""Exported networks, opened by Keras in a process that knows nothing of this package."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deepfactor.models.base import Network
from deepfactor.models.export import keras_model, to_keras_bytes
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.models.targets import Calibration
from tests.models.networks import random_network

CALIBRATION = Calibration(level=0.0123, slope=0.0456)

READ = """
import pathlib, sys
import keras, numpy
inputs = numpy.load("inputs.npy")
for path in sorted(pathlib.Path().glob("*.keras")):
    model = keras.models.load_model(path)
    numpy.save(path.with_suffix(".npy"), model.predict(inputs, verbose=0))
assert "deepfactor" not in sys.modules
"""


def linear() -> Network:
    """Return a linear model as scikit-learn gives it, in float64."""
    generator = np.random.default_rng(8)
    return Network((generator.normal(0, 0.01, (1, 80, 1)),), (np.array([[0.007]]),))


NETWORKS: dict[str, Network] = {
    "dfm1": replace(random_network(80, HIDDEN_LAYERS["dfm1"], members=5, seed=1), calibration=CALIBRATION),
    "dfm2": replace(random_network(80, HIDDEN_LAYERS["dfm2"], members=5, seed=2), calibration=CALIBRATION),
    "alone": replace(random_network(80, (10, 5), members=1, seed=3), calibration=CALIBRATION),
    "uncalibrated": random_network(80, (10,), members=2, seed=4),
    "linear": linear(),
    "linear_rank": replace(linear(), calibration=CALIBRATION),
}


@pytest.fixture(scope="module")
def inputs() -> NDArray[np.float32]:
    """What a month of stocks looks like."""
    return np.random.default_rng(6).uniform(-0.5, 0.5, (500, 80)).astype(np.float32)


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory, inputs: NDArray[np.float32]) -> Path:
    """A folder with what Keras predicts, by the network's name."""
    folder = tmp_path_factory.mktemp("exported")
    np.save(folder / "inputs.npy", inputs)
    for name, network in NETWORKS.items():
        (folder / f"{name}.keras").write_bytes(to_keras_bytes(network, f"{name}_2016-02"))
    other = subprocess.run([sys.executable, "-c", READ], cwd=folder, capture_output=True, text=True, check=False)
    assert other.returncode == 0, other.stderr
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_keras_predicts_the_same(name: str, predictions: Path, inputs: NDArray[np.float32]) -> None:
    found = np.load(predictions / f"{name}.npy")
    expected = NETWORKS[name].member_predictions(inputs).mean(axis=0)
    assert found.shape == (len(inputs), 1)
    assert expected.std() > 5e-4
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-6)


def test_layers_are_named_and_keras_own() -> None:
    model = keras_model(replace(random_network(80, (7, 3), members=2, seed=5), calibration=CALIBRATION), "dfm_2016-02")
    assert model.name == "dfm_2016-02"
    assert {layer.name: type(layer).__name__ for layer in model.layers} == {
        "features": "InputLayer",
        **{f"member{member}_{part}": "Dense" for member in (1, 2) for part in ("hidden1", "hidden2", "output")},
        "ensemble": "Average",
        "prediction": "Rescaling",
    }
    assert {layer.dtype for layer in model.layers} == {"float32"}
    assert [layer.name for layer in keras_model(linear(), "linear").layers] == [
        "features",
        "member1_output",
        "prediction",
    ]


def test_members_keep_their_own_weights() -> None:
    network = random_network(80, (7, 3), members=2, seed=5)
    model = keras_model(network, "dfm")
    for member in range(2):
        for number, part in enumerate(("hidden1", "hidden2", "output")):
            kernel, bias = model.get_layer(f"member{member + 1}_{part}").get_weights()
            np.testing.assert_array_equal(kernel, network.kernels[number][member])
            np.testing.assert_array_equal(bias, network.biases[number][member])


def test_the_precision_a_user_has_set_does_not_count(inputs: NDArray[np.float32], tmp_path: Path) -> None:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        (tmp_path / "linear.keras").write_bytes(to_keras_bytes(linear(), "linear"))
        found = keras.models.load_model(tmp_path / "linear.keras").predict(inputs, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(found[:, 0], linear().member_predictions(inputs)[0], rtol=0, atol=1e-6)
