from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.portfolio import quintile_portfolios, quintiles, ranks


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


def test_portfolios_of_seven_stocks() -> None:
    names, weights = quintile_portfolios(np.array([1, 5, 4, 3, 5, 2, 4]))
    assert names == ("top quintile", "quintile 4", "quintile 3", "quintile 2", "bottom quintile", "long-short")
    assert weights.tolist() == [
        [0, 0.5, 0, 0, 0.5, 0, 0],
        [0, 0, 0.5, 0, 0, 0, 0.5],
        [0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, 0, 0],
        [-1, 0.5, 0, 0, 0.5, 0, 0],
    ]


@pytest.mark.parametrize("stocks", [1, 2, 3, 4])
def test_fewer_than_five_stocks_have_no_lowest_fifth(stocks: int) -> None:
    names, weights = quintile_portfolios(quintiles(np.arange(1, stocks + 1)))
    assert names[0] == "top quintile"
    assert len(names) == stocks
    assert not {"bottom quintile", "long-short"} & set(names)
    np.testing.assert_array_equal(weights, np.eye(stocks))


@given(st.integers(5, 300))
def test_weights_are_equal_and_long_short_is_net_zero(stocks: int) -> None:
    quintile = np.random.default_rng(stocks).permutation(quintiles(np.arange(1, stocks + 1)))
    names, weights = quintile_portfolios(quintile)
    assert len(names) == 6
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 1, 1, 1, 0], atol=1e-14)
    np.testing.assert_allclose(np.abs(weights[-1]).sum(), 2)
    for row, number in enumerate((5, 4, 3, 2, 1)):
        held = weights[row] > 0
        assert (held == (quintile == number)).all()
        assert np.ptp(weights[row][held]) == 0
