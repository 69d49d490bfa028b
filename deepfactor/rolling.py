"""Statistics of trailing windows of months, on arrays, put together from disjoint parts.

A running sum keeps the rounding of every value that ever was in its window: long after a return of 1,000 has left, what
follows is wrong in the tenth digit. Here the window of 2k months that ends at a row is that of k months ending there,
merged with that of k months ending k rows before, and a window of 60 is one of 4, 8, 16 and 32: eight merges of whole
columns. Nothing leaves a window by subtraction, and a constant has exactly no variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
State = tuple[Vector, ...]


@dataclass(frozen=True)
class Statistic:
    """What is known of a window, and how two windows next to each other become one.

    Attributes
    ----------
    parts
        What each array of the state holds; the first is always ``count``, the number of months that are known.
    single
        From columns of values, NaN where unknown, to the state of windows of one month.
    merge
        From the states of disjoint windows to that of their union. The state without known months changes nothing.
    """

    parts: tuple[str, ...]
    single: Callable[..., State]
    merge: Callable[[State, State], State]


def trailing(statistic: Statistic, columns: Sequence[Vector], months: int) -> State:
    """Return a statistic of every window of so many rows.

    Parameters
    ----------
    statistic
        What to compute.
    columns
        As many as the statistic takes, each of shape (rows,), NaN where unknown.
    months
        Length of the windows, at least 1.

    Returns
    -------
    tuple of arrays
        Of shape (rows - months + 1,): the first belongs to the window of the first ``months`` rows.
    """
    doubled, size = statistic.single(*columns), 1
    window: State | None = None
    while True:
        if months & size:
            window = doubled if window is None else _appended(statistic, window, doubled, size)
        if window is not None and 2 * size > months:
            return window
        doubled = _appended(statistic, doubled, doubled, size)
        size *= 2


def _appended(statistic: Statistic, newer: State, older: State, size: int) -> State:
    """Merge each window with that of ``size`` rows which ends where it begins."""
    rows = len(newer[0]) - size
    return statistic.merge(tuple(each[size:] for each in newer), tuple(each[:rows] for each in older))


def _known(*columns: Vector) -> NDArray[np.bool_]:
    """Tell in which rows every column has a value."""
    known = ~np.isnan(columns[0])
    for column in columns[1:]:
        known &= ~np.isnan(column)
    return known


def _single_sum(values: Vector) -> State:
    known = _known(values)
    return known.astype(np.float64), np.where(known, values, 0.0)


def _merge_sums(a: State, b: State) -> State:
    return a[0] + b[0], a[1] + b[1]


def _single_product(values: Vector) -> State:
    known = _known(values)
    return known.astype(np.float64), np.where(known, values, 1.0)


def _merge_products(a: State, b: State) -> State:
    return a[0] + b[0], a[1] * b[1]


def _single_moments(values: Vector) -> State:
    known = _known(values)
    nothing = np.zeros_like(values)
    return known.astype(np.float64), np.where(known, values, 0.0), nothing, nothing


def _merge_moments(a: State, b: State) -> State:
    """Merge count, mean and central sums of squares and cubes (Pébay 2008, SAND2008-6212: pairwise updates).

    With d = mean_b - mean_a and the shares p = count_a / count, q = count_b / count::

        mean    = mean_a + q d
        squares = squares_a + squares_b + count_a q d²
        cubes   = cubes_a + cubes_b + d (count_a q d² (p - q) + 3 (p squares_b - q squares_a))

    In place, because arrays made anew cost as much as the arithmetic.
    """
    count_a, mean_a, squares_a, cubes_a = a
    count_b, mean_b, squares_b, cubes_b = b
    count, share_b = _shares(count_a, count_b)
    apart = mean_b - mean_a
    mean = share_b * apart
    squares = mean * apart
    squares *= count_a
    share_a = 1.0 - share_b
    cubes = share_a * squares_b
    cubes -= share_b * squares_a
    cubes *= 3.0
    share_a -= share_b
    share_a *= squares
    cubes += share_a
    cubes *= apart
    cubes += cubes_a
    cubes += cubes_b
    mean += mean_a
    squares += squares_a
    squares += squares_b
    return count, mean, squares, cubes


def _shares(count_a: Vector, count_b: Vector) -> tuple[Vector, Vector]:
    """Return the months known in both windows, and the second's share of them; 0 where there are none."""
    count = count_a + count_b
    share_b = np.maximum(count, 1.0)
    np.divide(count_b, share_b, out=share_b)
    return count, share_b


def _single_comoments(x: Vector, y: Vector) -> State:
    known = _known(x, y)
    nothing = np.zeros_like(x)
    return known.astype(np.float64), np.where(known, x, 0.0), np.where(known, y, 0.0), nothing, nothing


def _merge_comoments(a: State, b: State) -> State:
    """Merge count, means, the central sum of x's squares and that of the products, like :func:`_merge_moments`."""
    count_a, x_a, y_a, squares_a, products_a = a
    count_b, x_b, y_b, squares_b, products_b = b
    count, share_b = _shares(count_a, count_b)
    apart_x, apart_y = x_b - x_a, y_b - y_a
    mean_x, mean_y = share_b * apart_x, share_b * apart_y
    products = mean_x * count_a
    squares = products * apart_x
    products *= apart_y
    mean_x += x_a
    mean_y += y_a
    squares += squares_a
    squares += squares_b
    products += products_a
    products += products_b
    return count, mean_x, mean_y, squares, products


SUM = Statistic(("count", "sum"), _single_sum, _merge_sums)
PRODUCT = Statistic(("count", "product"), _single_product, _merge_products)
MOMENTS = Statistic(("count", "mean", "squares", "cubes"), _single_moments, _merge_moments)
COMOMENTS = Statistic(("count", "mean_x", "mean_y", "squares_x", "products"), _single_comoments, _merge_comoments)


@dataclass(frozen=True)
class Spaced:
    """Rows of stocks, one after the other, with empty rows before each: no window reaches into another stock.

    Attributes
    ----------
    places
        Where each row stands among the spaced rows, shape (rows,).
    room
        Number of empty rows before each stock; a window of up to ``room + 1`` months is whole in every row.
    """

    places: NDArray[np.int64]
    room: int

    @classmethod
    def of(cls, starts: NDArray[np.bool_], room: int) -> Spaced:
        """Space out rows, given which of them are a stock's first."""
        return cls(np.arange(len(starts)) + room * np.cumsum(starts), room)

    def spread(self, values: Vector) -> Vector:
        """Return the values at their places, NaN between them."""
        spaced = np.full(self.places[-1] + 1 if len(self.places) else 0, np.nan)
        spaced[self.places] = values
        return spaced

    def ends(self, rows: NDArray[np.int64], months: int, lag: int = 0) -> NDArray[np.int64]:
        """Return where :func:`trailing` has the windows of ``months`` that end ``lag`` rows before the given rows."""
        if months + lag > self.room + 1:
            raise ValueError(f"windows of {months} months, {lag} before, do not fit into {self.room} empty rows")
        return self.places[rows] - (months - 1 + lag)
