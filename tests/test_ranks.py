from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from deepfactor.ranks import centred_ranks, rank_correlation

numbers = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


def test_by_hand() -> None:
    assert centred_ranks(np.array([3.0, -1.0, 3.0, 7.0, 5.0])).tolist() == [-0.125, -0.5, -0.125, 0.5, 0.25]
    assert centred_ranks(np.array([0.3])).tolist() == [0.0]


@given(numbers)
def test_ranks_are_scipys(values: list[int]) -> None:
    expected = (rankdata(values) - 1) / max(len(values) - 1, 1) - (0.5 if len(values) > 1 else 0)
    np.testing.assert_allclose(centred_ranks(np.array(values, dtype=float)), expected, atol=1e-15)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30))
def test_rank_correlations_are_spearmans(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(each, dtype=float) for each in zip(*pairs, strict=True))
    found = rank_correlation(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
