from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.portfolio import quintiles, ranks


def test_frozen() -> None:
    predictions = np.array([0.1, 0.3, 0.3, -0.2, 0.0, 0.2])
    names = np.array(["f", "e", "d", "c", "b", "a"])
    assert ranks(predictions, names).tolist() == [4, 2, 1, 6, 5, 3]
    assert quintiles(np.arange(1, 11)).tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=200))
def test_ranks_and_quintiles(values: list[float]) -> None:
    predictions = np.array(values)
    names = np.array([f"{number:04}" for number in range(len(values))])
    rank = ranks(predictions, names)
    assert sorted(rank) == list(range(1, len(values) + 1))
    assert (np.diff(predictions[np.argsort(rank)]) <= 0).all()
    sizes = np.bincount(quintiles(rank), minlength=6)[1:]
    assert sizes.sum() == len(values)
    if len(values) >= 5:
        assert sizes.max() - sizes.min() <= 1
    order = np.random.default_rng(len(values)).permutation(len(values))
    assert (ranks(predictions[order], names[order]) == rank[order]).all()
