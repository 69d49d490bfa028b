"""What a random forest has learned, in five bytes a node.

A tree's nodes stand in preorder: a node, what is left of it, what is right of it. So the left child is the next node,
and where the right one begins follows from which nodes are leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from deepfactor.errors import IntegrityError
from deepfactor.models.base import read_tensors
from deepfactor.models.targets import UNCALIBRATED, Calibration

LEAF = 255


class Tree(Protocol):
    """scikit-learn's ``tree_``: an entry per node; children are −1 at a leaf."""

    children_left: NDArray[np.int64]
    children_right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """The score is the mean of the trees'. An input goes left where its feature is at most the node's number.

    Attributes
    ----------
    feature
        Which feature a node looks at, ``LEAF`` at a leaf, shape (nodes,); one tree after the other.
    number
        A node's threshold or a leaf's value, in units of the target, shape (nodes,).
    sizes
        Number of nodes of each tree, shape (trees,).
    width
        Number of features.
    calibration
        From the score to a return.
    """

    feature: NDArray[np.uint8]
    number: NDArray[np.float32]
    sizes: NDArray[np.int64]
    width: int
    calibration: Calibration = UNCALIBRATED

    @classmethod
    def from_trees(cls, trees: Sequence[Tree], width: int, calibration: Calibration = UNCALIBRATED) -> Forest:
        """Take over fitted trees.

        Inputs are float32, so a threshold can be rounded down to float32 and no input goes another way. A leaf's value
        is rounded to float32 too: to 1e-8 of a prediction's size.

        Parameters
        ----------
        trees
            The order of their nodes does not matter.
        width
            Number of features, fewer than 255.
        calibration
            From the score to a return.
        """
        if width >= LEAF:
            raise ValueError(f"{width} features; a forest is stored with fewer than {LEAF}")
        parts = [_compact(tree) for tree in trees]
        return cls(
            feature=np.concatenate([feature for feature, _ in parts]),
            number=np.concatenate([number for _, number in parts]),
            sizes=np.array([len(feature) for feature, _ in parts], dtype=np.int64),
            width=width,
            calibration=calibration,
        )

    def member_predictions(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the forecast of return, shape (1, n), for inputs of shape (n, features)."""
        return self.calibration(self.scores(inputs))[None]

    def scores(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the score before it is calibrated, shape (n,), for inputs of shape (n, features).

        Raises
        ------
        ValueError
            If there are more or fewer features than the forest was grown on.
        """
        if inputs.shape[1] != self.width:
            raise ValueError(f"the forest was grown on {self.width} features, the inputs have {inputs.shape[1]}")
        values = np.ascontiguousarray(inputs, dtype=np.float32)
        total = np.zeros(len(values))
        for feature, number in self._trees():
            total += number[_leaves(feature, number, values)]
        return total / len(self.sizes)

    def _trees(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
        first = 0
        for size in self.sizes.tolist():
            yield self.feature[first : first + size], self.number[first : first + size]
            first += size

    def to_bytes(self) -> bytes:
        """Return nodes, sizes, width and calibration as safetensors."""
        body: bytes = save(
            {
                "feature": np.ascontiguousarray(self.feature),
                "number": np.ascontiguousarray(self.number),
                "sizes": np.ascontiguousarray(self.sizes),
                "width": np.array([self.width], dtype=np.int64),
                "calibration": self.calibration.tensor(),
            }
        )
        return body

    @classmethod
    def from_bytes(cls, body: bytes) -> Forest:
        """Read what :meth:`to_bytes` gives.

        Raises
        ------
        IntegrityError
            If they are not whole trees.
        """
        tensors = read_tensors(body)
        try:
            feature, number, sizes = tensors["feature"], tensors["number"], tensors["sizes"]
            (width,) = map(int, tensors["width"])
            calibration = Calibration.from_tensor(tensors["calibration"])
        except KeyError as error:
            raise IntegrityError(f"the forest lacks {error}; it holds {sorted(tensors)}") from None
        except ValueError as error:
            raise IntegrityError(f"the forest cannot be read: {error}") from None
        if not (feature.shape == number.shape == (sizes.sum(),) and len(sizes) and sizes.min() > 0):
            raise IntegrityError(
                f"the forest does not fit: features {feature.shape}, numbers {number.shape}, "
                f"{len(sizes)} trees of {sizes.sum()} nodes"
            )
        if feature[feature != LEAF].max(initial=0) >= width:
            raise IntegrityError(f"the forest looks at a feature beyond the {width} there are")
        if not np.isfinite(number).all():
            raise IntegrityError("a threshold or a leaf of the forest is not finite")
        forest = cls(feature, number, sizes, width, calibration)
        if broken := [place for place, (nodes, _) in enumerate(forest._trees()) if not _is_tree(nodes)]:
            raise IntegrityError(f"the forest's nodes are no whole trees: {broken[:5]} of {len(sizes)}")
        return forest


def _compact(tree: Tree) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return feature and number of a tree's nodes, in preorder."""
    leaf = tree.children_left < 0
    rounded = tree.threshold.astype(np.float32)
    down = np.where(rounded > tree.threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    order = np.argsort(_preorder(tree.children_left, tree.children_right))
    feature = np.where(leaf, LEAF, tree.feature).astype(np.uint8)
    number = np.where(leaf, tree.value.reshape(-1).astype(np.float32), down)
    return feature[order], number[order]


def _preorder(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each node's place in preorder, level by level instead of node by node."""
    levels = [np.zeros(1, dtype=np.int64)]
    while len(inner := levels[-1][left[levels[-1]] >= 0]):
        levels.append(np.concatenate([left[inner], right[inner]]))
    sizes = np.ones(len(left), dtype=np.int64)
    places = np.zeros(len(left), dtype=np.int64)
    for level in reversed(levels):
        inner = level[left[level] >= 0]
        sizes[inner] += sizes[left[inner]] + sizes[right[inner]]
    for level in levels:
        inner = level[left[level] >= 0]
        places[left[inner]] = places[inner] + 1
        places[right[inner]] = places[inner] + 1 + sizes[left[inner]]
    return places


def _open_branches(feature: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return, before each node, how many right children are still to come; the last entry is after all nodes."""
    opened = np.zeros(len(feature) + 1, dtype=np.int64)
    np.cumsum(np.where(feature == LEAF, -1, 1), out=opened[1:])
    return opened


def _is_tree(feature: NDArray[np.uint8]) -> bool:
    opened = _open_branches(feature)
    return bool(opened[-1] == -1 and opened[:-1].min() == 0)


def _right_children(feature: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return each inner node's right child; of a leaf, anything.

    It is the next node before which as many branches are open: only what is left of the node lies between.
    """
    opened = _open_branches(feature)[:-1]
    # Sixteen bits are sorted by radix, in linear time.
    order = np.argsort(opened.astype(np.int16) if opened.max() < 2**15 else opened, kind="stable")
    right = np.zeros(len(feature), dtype=np.int64)
    right[order[:-1]] = order[1:]
    return right


def _leaves(feature: NDArray[np.uint8], number: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the leaf that each row of values ends in, shape (n,): all rows go down a level at a time."""
    right = _right_children(feature)
    nodes = np.zeros(len(values), dtype=np.int64)
    rows = np.arange(len(values))
    while len(rows := rows[feature[nodes[rows]] != LEAF]):
        here = nodes[rows]
        goes_left = values[rows, feature[here]] <= number[here]
        nodes[rows] = np.where(goes_left, here + 1, right[here])
    return nodes
