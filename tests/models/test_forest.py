from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save
from sklearn.ensemble import RandomForestRegressor

from deepfactor.errors import IntegrityError
from deepfactor.models.forest import LEAF, Forest, _right_children
from deepfactor.models.targets import Calibration

WIDTH = 4
# Few values, so that inputs meet thresholds; and thresholds a rounding above and below them.
LATTICE = np.array([-0.5, -0.1, 0.0, 0.1, 1 / 3, 0.5], dtype=np.float32)


@dataclass
class GrownTree:
    """What scikit-learn's ``tree_`` has, its nodes in any order but for the root."""

    children_left: NDArray[np.int64]
    children_right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]


def grown(splits: int, seed: int) -> GrownTree:
    """Split random leaves, then shuffle all nodes but the root."""
    generator = np.random.default_rng(seed)
    nodes = 2 * splits + 1
    left, right = np.full(nodes, -1), np.full(nodes, -1)
    leaves = [0]
    for split in range(splits):
        node = leaves.pop(int(generator.integers(len(leaves))))
        left[node], right[node] = 2 * split + 1, 2 * split + 2
        leaves += [2 * split + 1, 2 * split + 2]
    moved = np.concatenate([[0], 1 + generator.permutation(nodes - 1)]).astype(np.int64)
    back = np.argsort(moved)
    thresholds = generator.choice(LATTICE, nodes).astype(np.float64)
    return GrownTree(
        np.where(left < 0, -1, moved[left])[back],
        np.where(right < 0, -1, moved[right])[back],
        generator.integers(0, WIDTH, nodes),
        np.nextafter(thresholds, generator.choice([-1.0, 1.0], nodes)),
        generator.normal(0, 0.1, (nodes, 1, 1)),
    )


def walk(tree: GrownTree, row: NDArray[np.float32]) -> float:
    """One stock, one node at a time, with the thresholds in double precision."""
    node = 0
    while tree.children_left[node] >= 0:
        goes_left = float(row[tree.feature[node]]) <= tree.threshold[node]
        node = tree.children_left[node] if goes_left else tree.children_right[node]
    return float(tree.value[node, 0, 0])


def inputs_of(rows: int, seed: int, width: int = WIDTH) -> NDArray[np.float32]:
    return np.random.default_rng(seed).choice(LATTICE, (rows, width))


forests = st.lists(st.integers(0, 40), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(splits=forests, seed=st.integers(0, 10_000))
def test_predictions_against_a_walk_down_every_tree(splits: list[int], seed: int) -> None:
    trees = [grown(count, seed + place) for place, count in enumerate(splits)]
    forest = Forest.from_trees(trees, WIDTH, Calibration(0.01, 0.3))
    inputs = inputs_of(30, seed)
    expected = [0.01 + 0.3 * np.mean([walk(tree, row) for tree in trees]) for row in inputs]
    for each in (forest, Forest.from_bytes(forest.to_bytes())):
        found = each.member_predictions(inputs)
        assert found.shape == (1, 30)
        np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(splits=st.integers(0, 60), seed=st.integers(0, 10_000))
def test_right_children_against_recursion(splits: int, seed: int) -> None:
    feature = Forest.from_trees([grown(splits, seed)], WIDTH).feature
    right = {}

    def end_of(node: int) -> int:
        if feature[node] == LEAF:
            return node + 1
        right[node] = end_of(node + 1)
        return end_of(right[node])

    assert end_of(0) == len(feature)
    found = _right_children(feature)
    assert {node: int(found[node]) for node in right} == right


def test_a_tree_as_deep_as_a_chain() -> None:
    """Deeper than sixteen bits count, and than Python would recurse."""
    splits = 40_000
    inner = np.arange(splits)
    left, right = np.full(2 * splits + 1, -1), np.full(2 * splits + 1, -1)
    left[inner], right[inner] = inner + 1, splits + 1 + inner
    feature = Forest(
        np.concatenate([np.zeros(splits), np.full(splits + 1, LEAF)]).astype(np.uint8),
        np.concatenate([np.linspace(0.5, -0.5, splits), np.arange(splits + 1)]).astype(np.float32),
        np.array([2 * splits + 1]),
        WIDTH,
    )
    # The first leaf is left of all thresholds; right of the first one is the last leaf.
    assert feature.scores(np.full((1, WIDTH), -0.6, np.float32)) == [0]
    assert feature.scores(np.full((1, WIDTH), 0.6, np.float32)) == [splits]


def test_regression() -> None:
    """A forest of a tree with two splits, and one that is a leaf."""
    forest = Forest(
        np.array([1, LEAF, 0, LEAF, LEAF, LEAF], np.uint8),
        np.array([0.1, 1.0, -0.2, 2.0, 3.0, 10.0], np.float32),
        np.array([5, 1]),
        2,
    )
    inputs = np.array([[0.0, 0.1], [-0.2, 0.2], [-0.1, 0.2]], np.float32)
    np.testing.assert_array_equal(forest.member_predictions(inputs), [[5.5, 6.0, 6.5]])


def test_the_same_as_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    inputs = generator.uniform(-0.5, 0.5, (900, 12)).astype(np.float32)
    targets = 0.1 * inputs[:, 0] * inputs[:, 1] + generator.normal(0, 0.05, 900)
    theirs = RandomForestRegressor(20, random_state=1).fit(inputs[:600], targets[:600])
    forest = Forest.from_trees([each.tree_ for each in theirs.estimators_], 12)
    np.testing.assert_allclose(forest.member_predictions(inputs)[0], theirs.predict(inputs), rtol=0, atol=2e-8)
    assert len(forest.sizes) == 20
    assert len(forest.to_bytes()) < 5 * forest.sizes.sum() + 1000


def test_a_forest_comes_back_from_its_bytes() -> None:
    forest = Forest.from_trees([grown(30, 1), grown(20, 2)], WIDTH, Calibration(0.02, 0.5))
    assert Forest.from_bytes(forest.to_bytes()).to_bytes() == forest.to_bytes()
    assert Forest.from_bytes(forest.to_bytes()).calibration == Calibration(0.02, 0.5)


class TestValidation:
    def test_too_many_features(self) -> None:
        with pytest.raises(ValueError, match="255 features; a forest is stored with fewer than 255"):
            Forest.from_trees([grown(1, 1)], 255)

    def test_another_number_of_inputs(self) -> None:
        with pytest.raises(ValueError, match="grown on 4 features, the inputs have 5"):
            Forest.from_trees([grown(3, 1)], WIDTH).member_predictions(inputs_of(2, 1, 5))

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"sizes": None}, "lacks 'sizes'; it holds.*feature"),
            ({"width": np.array([2, 3])}, "cannot be read: too many values"),
            ({"calibration": np.array([0.0, 0.0])}, "slope 0.0"),
            ({"sizes": np.array([3])}, r"does not fit: features \(4,\), numbers \(4,\), 1 trees of 3 nodes"),
            ({"sizes": np.array([4, 0])}, "2 trees of 4 nodes"),
            ({"number": np.zeros(3, np.float32)}, r"numbers \(3,\)"),
            ({"width": np.array([1])}, "beyond the 1 there are"),
            ({"number": np.array([0, np.nan, 0, 0], np.float32)}, "not finite"),
            ({"sizes": np.array([1, 3])}, r"no whole trees: \[0, 1\] of 2"),
            ({"feature": np.array([1, LEAF, 1, LEAF], np.uint8)}, r"no whole trees: \[0\] of 2"),
            ({"feature": np.array([LEAF, LEAF, 1, LEAF], np.uint8)}, r"no whole trees: \[0\] of 2"),
        ],
    )
    def test_other_tensors(self, changed: dict[str, NDArray[np.float32] | None], message: str) -> None:
        good = {
            "feature": np.array([1, LEAF, LEAF, LEAF], np.uint8),
            "number": np.arange(4, dtype=np.float32),
            "sizes": np.array([3, 1]),
            "width": np.array([2]),
            "calibration": np.array([0.0, 1.0]),
        }
        Forest.from_bytes(save(good))
        tensors = {name: tensor for name, tensor in (good | changed).items() if tensor is not None}
        with pytest.raises(IntegrityError, match=message):
            Forest.from_bytes(save(tensors))

    def test_bytes_that_are_no_safetensors(self) -> None:
        with pytest.raises(IntegrityError, match="no safetensors"):
            Forest.from_bytes(b"a forest")
