"""Windows put together from parts, against each window by itself."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.rolling import COMOMENTS, MOMENTS, PRODUCT, SUM, Spaced, trailing

values = st.one_of(st.just(math.nan), st.just(0.0), st.floats(-2, 2).map(lambda each: round(each, 3)), st.just(1000.0))
columns = st.lists(st.tuples(values, values), min_size=1, max_size=80).map(lambda rows: np.array(rows).T)


def _windows(column: np.ndarray, months: int) -> list[list[float]]:
    ends = range(months, len(column) + 1)
    return [[float(value) for value in column[end - months : end] if not math.isnan(value)] for end in ends]


class TestOracle:
    @settings(max_examples=60, deadline=None)
    @given(columns, st.integers(1, 64))
    def test_every_window_by_itself(self, both: np.ndarray, months: int) -> None:
        months = min(months, both.shape[1])
        x = both[0]
        counts, sums = trailing(SUM, [x], months)
        _, products = trailing(PRODUCT, [x], months)
        _, means, squares, cubes = trailing(MOMENTS, [x], months)
        for row, window in enumerate(_windows(x, months)):
            mean = statistics.fmean(window) if window else 0.0
            assert counts[row] == len(window)
            assert sums[row] == pytest.approx(math.fsum(window), rel=1e-12, abs=1e-11)
            assert products[row] == pytest.approx(math.prod(window), rel=1e-12)
            assert means[row] == pytest.approx(mean, rel=1e-12, abs=1e-12)
            assert squares[row] == pytest.approx(math.fsum((each - mean) ** 2 for each in window), rel=1e-12)
            assert cubes[row] == pytest.approx(
                math.fsum((each - mean) ** 3 for each in window),
                rel=1e-11,
                abs=1e-12 * math.fsum(abs(each - mean) ** 3 for each in window),
            )

    @settings(max_examples=40, deadline=None)
    @given(columns, st.integers(1, 64))
    def test_every_window_of_pairs_by_itself(self, both: np.ndarray, months: int) -> None:
        months = min(months, both.shape[1])
        both = np.where(np.isnan(both).any(axis=0), math.nan, both)
        counts, means_x, means_y, squares, products = trailing(COMOMENTS, list(both), months)
        for row, (x, y) in enumerate(zip(*(_windows(column, months) for column in both), strict=True)):
            mean_x, mean_y = (statistics.fmean(each) if each else 0.0 for each in (x, y))
            pairs = [(one - mean_x, other - mean_y) for one, other in zip(x, y, strict=True)]
            assert counts[row] == len(x)
            assert (means_x[row], means_y[row]) == pytest.approx((mean_x, mean_y), rel=1e-12, abs=1e-12)
            assert squares[row] == pytest.approx(math.fsum(one**2 for one, _ in pairs), rel=1e-12)
            size = math.fsum(abs(one * other) for one, other in pairs)
            assert products[row] == pytest.approx(math.fsum(one * other for one, other in pairs), abs=1e-11 * size)


class TestProperties:
    @given(st.floats(-1, 1000), st.integers(2, 64))
    def test_a_constant_has_exactly_no_variance(self, constant: float, months: int) -> None:
        column = np.full(months, constant)
        _, mean, squares, cubes = trailing(MOMENTS, [column], months)
        assert (mean[0], squares[0], cubes[0]) == (constant, 0.0, 0.0)

    def test_what_has_left_the_window_leaves_nothing(self) -> None:
        quiet = np.sin(np.arange(100)) / 1e4
        wild = quiet.copy()
        wild[20] = 1e6
        for state, alone in zip(trailing(MOMENTS, [wild], 60), trailing(MOMENTS, [quiet], 60), strict=True):
            assert (state[21:] == alone[21:]).all()

    def test_unknown_pairs_count_in_neither(self) -> None:
        x, y = np.array([1.0, math.nan, 3.0]), np.array([2.0, 5.0, 4.0])
        assert [float(each[0]) for each in trailing(COMOMENTS, [x, y], 3)] == [2.0, 2.0, 3.0, 2.0, 2.0]


class TestSpaced:
    def test_no_window_reaches_into_another_stock(self) -> None:
        spaced = Spaced.of(np.array([True, False, True]), room=2)
        assert spaced.places.tolist() == [2, 3, 6]
        counts, sums = trailing(SUM, [spaced.spread(np.array([1.0, 2.0, 4.0]))], 3)
        ends = spaced.ends(np.arange(3), 3)
        assert (counts[ends].tolist(), sums[ends].tolist()) == ([1, 2, 1], [1, 3, 4])

    def test_a_lag_ends_the_window_earlier(self) -> None:
        spaced = Spaced.of(np.array([True, False, True]), room=2)
        _, sums = trailing(SUM, [spaced.spread(np.array([1.0, 2.0, 4.0]))], 2)
        assert sums[spaced.ends(np.arange(3), 2, lag=1)].tolist() == [0, 1, 0]

    def test_windows_must_fit(self) -> None:
        spaced = Spaced.of(np.array([True]), room=59)
        with pytest.raises(ValueError, match="windows of 60 months, 1 before, do not fit into 59 empty rows"):
            spaced.ends(np.array([0]), 60, lag=1)
