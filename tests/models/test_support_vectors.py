from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save
from sklearn.svm import SVR

from deepfactor.errors import IntegrityError
from deepfactor.models import support_vectors
from deepfactor.models.support_vectors import SupportVectors
from deepfactor.models.targets import Calibration


def made_up(vectors: int, features: int, seed: int, gamma: float = 0.4) -> SupportVectors:
    generator = np.random.default_rng(seed)
    return SupportVectors(
        generator.uniform(-0.5, 0.5, (vectors, features)).astype(np.float32),
        generator.uniform(-1, 1, vectors),
        0.25,
        gamma,
        Calibration(0.01, 0.3),
    )


def inputs_of(rows: int, features: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (rows, features)).astype(np.float32)


def slow_prediction(model: SupportVectors, row: NDArray[np.float32]) -> float:
    """One vector, one feature at a time."""
    score = model.intercept
    for vector, coefficient in zip(model.vectors, model.coefficients, strict=True):
        distance = sum((float(a) - float(b)) ** 2 for a, b in zip(row, vector, strict=True))
        score += float(coefficient) * math.exp(-model.gamma * distance)
    return 0.01 + 0.3 * score


@settings(max_examples=25, deadline=None)
@given(
    vectors=st.integers(1, 9),
    features=st.integers(1, 6),
    seed=st.integers(0, 1000),
    gamma=st.floats(1e-3, 1e3),
    block=st.integers(1, 30),
)
def test_predictions_against_loops(vectors: int, features: int, seed: int, gamma: float, block: int) -> None:
    """However few rows of the kernel are held at a time, and where an input is a vector itself."""
    model = made_up(vectors, features, seed, gamma)
    inputs = np.concatenate([inputs_of(5, features, seed + 1), model.vectors[:1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support_vectors, "_BLOCK", block)
        found = model.member_predictions(inputs)
    assert found.shape == (1, 6)
    np.testing.assert_allclose(found[0], [slow_prediction(model, row) for row in inputs], atol=1e-10)


def test_regression() -> None:
    model = SupportVectors(np.array([[0.5, 0.0], [0.0, -0.5]], np.float32), np.array([1.0, -0.5]), 0.1, 2.0)
    # exp(−0.5) − 0.5 · exp(−0.5) + 0.1 at the origin; 1 − 0.5 · exp(−1) + 0.1 on the first vector.
    expected = [[0.4032653298563167, 0.9160602794142788]]
    np.testing.assert_allclose(
        model.member_predictions(np.array([[0.0, 0.0], [0.5, 0.0]], np.float32)), expected, rtol=1e-14
    )


def test_the_same_as_scikit_learn() -> None:
    inputs = inputs_of(400, 20, 1)
    targets = np.sin(3 * inputs[:, 0]) + inputs[:, 1] ** 2
    theirs = SVR(gamma=0.7).fit(inputs, targets)
    ours = SupportVectors(
        theirs.support_vectors_.astype(np.float32), theirs.dual_coef_[0], float(theirs.intercept_[0]), 0.7
    )
    others = inputs_of(300, 20, 2)
    np.testing.assert_allclose(ours.member_predictions(others)[0], theirs.predict(others), atol=1e-12)


def test_support_vectors_come_back_from_their_bytes() -> None:
    model, inputs = made_up(30, 8, 1), inputs_of(20, 8, 2)
    read = SupportVectors.from_bytes(model.to_bytes())
    assert read.to_bytes() == model.to_bytes()
    np.testing.assert_array_equal(read.member_predictions(inputs), model.member_predictions(inputs))


def test_without_a_support_vector_the_intercept_is_left() -> None:
    """Where all targets lie within ε of each other."""
    model = SupportVectors(np.zeros((0, 3), np.float32), np.zeros(0), 0.02, 1.0)
    read = SupportVectors.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(read.member_predictions(inputs_of(4, 3, 1)), np.full((1, 4), 0.02))


GOOD = {
    "vectors": np.zeros((3, 2), np.float32),
    "coefficients": np.ones(3),
    "intercept_and_gamma": np.array([0.0, 1.0]),
    "calibration": np.array([0.0, 1.0]),
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vectors": None}, "lack 'vectors'.*they hold.*coefficients"),
        ({"calibration": None}, "lack 'calibration'"),
        ({"vectors": np.zeros(3, np.float32)}, r"do not fit: vectors \(3,\)"),
        ({"coefficients": np.ones(2)}, r"vectors \(3, 2\), coefficients \(2,\)"),
        ({"coefficients": np.array([0.0, np.nan, 1.0])}, "a coefficient is not finite"),
        ({"intercept_and_gamma": np.array([0.0, 0.0])}, "intercept 0.0, gamma 0.0"),
        ({"intercept_and_gamma": np.array([np.inf, 1.0])}, "intercept inf, gamma 1.0"),
        ({"intercept_and_gamma": np.ones(3)}, "cannot be read: too many values"),
        ({"calibration": np.array([0.0, -1.0])}, "slope -1.0"),
    ],
)
def test_other_tensors_are_refused(changed: dict[str, NDArray[np.float64] | None], message: str) -> None:
    SupportVectors.from_bytes(save(GOOD))
    tensors = {name: tensor for name, tensor in (GOOD | changed).items() if tensor is not None}
    with pytest.raises(IntegrityError, match=message):
        SupportVectors.from_bytes(save(tensors))


def test_bytes_that_are_no_safetensors_are_refused() -> None:
    with pytest.raises(IntegrityError, match="no safetensors"):
        SupportVectors.from_bytes(b"support vectors")
