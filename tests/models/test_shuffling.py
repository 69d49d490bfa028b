"""Permutations that are computed place by place: each row once, and no place preferred."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from deepfactor.models.backend import tf
from deepfactor.models.shuffling import shuffled_rows


def shuffled(seeds: list[int], epoch: int, rows: int, places: int) -> NDArray[np.int32]:
    order: NDArray[np.int32] = shuffled_rows(
        tf.constant(seeds, tf.int64), tf.constant(epoch, tf.int64), tf.constant(rows), places
    ).numpy()
    return order


def slowly_shuffled(seed: int, epoch: int, rows: int, places: int) -> list[int]:
    """One place after the other, from the definition; the draws are TensorFlow's."""
    height = math.ceil(math.sqrt(places))
    width = math.ceil(places / height)
    columns, lines = (
        tf.random.stateless_uniform((4, count), [seed, 2 * epoch + stream], 0, size, tf.int32).numpy()
        for stream, count, size in ((0, width, height), (1, height, width))
    )

    def turned(cell: int) -> int:
        line, column = divmod(cell, width)
        for turn in range(4):
            line = (line + columns[turn, column]) % height
            column = (column + lines[turn, line]) % width
        return int(line * width + column)

    order = []
    for place in range(rows):
        cell = turned(place)
        while cell >= rows:
            cell = turned(cell)
        order.append(cell)
    return order


class TestRegression:
    def test_an_order(self) -> None:
        assert shuffled([7], 0, 10, 12).tolist() == [[7, 6, 1, 2, 5, 3, 9, 8, 4, 0, 0, 0]]

    def test_against_one_place_at_a_time(self) -> None:
        for rows, places in ((1, 1), (5, 5), (90, 128), (1000, 1024)):
            assert shuffled([3, 4], 2, rows, places)[1, :rows].tolist() == slowly_shuffled(4, 2, rows, places)


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(1, 400),
        st.integers(0, 200),
        st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
        st.integers(0, 50),
    )
    def test_every_row_once_and_zeros_after(self, rows: int, more: int, seeds: list[int], epoch: int) -> None:
        order = shuffled(seeds, epoch, rows, rows + more)
        assert order.shape == (len(seeds), rows + more)
        for each in order:
            assert sorted(each[:rows].tolist()) == list(range(rows))
            assert not each[rows:].any()

    def test_each_member_and_epoch_has_an_order_of_its_own(self) -> None:
        orders = {tuple(order) for epoch in range(3) for order in shuffled([1, 2], epoch, 50, 50).tolist()}
        assert len(orders) == 6

    def test_no_row_prefers_a_place(self) -> None:
        """Where a row lands, and what follows it, is uniform: 2,000 orders of 12 rows on 4 × 4 cells."""
        orders = np.concatenate([shuffled(list(range(200)), epoch, 12, 13) for epoch in range(10)])[:, :12]
        for row in range(12):
            places = Counter(np.argwhere(orders == row)[:, 1].tolist())
            assert chisquare([places[place] for place in range(12)]).pvalue > 1e-4
        neighbours = Counter((orders[:, 1:] * 12 + orders[:, :-1]).ravel().tolist())
        assert chisquare([neighbours[a * 12 + b] for a in range(12) for b in range(12) if a != b]).pvalue > 1e-4
