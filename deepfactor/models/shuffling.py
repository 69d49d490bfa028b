"""Shuffling inside a compiled program, without sorting.

XLA sorts on one core and through a call for every comparison: shuffling 115,000 samples for five members took 190 ms of
an epoch's 660. A permutation that is computed place by place takes 11.
"""

from __future__ import annotations

import math

from deepfactor.models.backend import tf

# Luby and Rackoff (1988) need four rounds for a permutation that no short look tells from a random one.
_ROUNDS = 4


def shuffled_rows(seeds: tf.Tensor, epoch: tf.Tensor, rows: tf.Tensor, places: int) -> tf.Tensor:
    """Return for each member its rows 0 … rows-1 in an order of its own, shape (members, places), int32.

    The cells of a grid are permuted by turning every column by a random number of cells, then every row, and so on: a
    Feistel network over two numbers that are no powers of two (Black and Rogaway 2002, "Ciphers with arbitrary finite
    domains", method 3). A place whose cell lies beyond the rows goes on to that cell's own cell until it is one of the
    rows, so the rows themselves are permuted.

    Parameters
    ----------
    seeds
        One per member, int64, shape (members,).
    epoch
        Scalar, int64; every epoch has an order of its own.
    rows
        Scalar, int32, at most ``places``.
    places
        Length of the result; what lies beyond the rows is 0.
    """
    height = math.isqrt(places - 1) + 1
    width = -(-places // height)
    columns = _turns(seeds, 2 * epoch, (_ROUNDS, width), height)
    lines = _turns(seeds, 2 * epoch + 1, (_ROUNDS, height), width)

    def turned(cells: tf.Tensor) -> tf.Tensor:
        line, column = cells // width, cells % width
        for turn in range(_ROUNDS):
            line = (line + tf.gather(columns[:, turn], column, batch_dims=1)) % height
            column = (column + tf.gather(lines[:, turn], line, batch_dims=1)) % width
        return line * width + column

    filled = tf.range(places)[None] < rows
    start = turned(tf.tile(tf.range(places)[None], [seeds.shape[0], 1]))
    (order,) = tf.while_loop(
        lambda cells: tf.reduce_any(filled & (cells >= rows)),
        lambda cells: (tf.where(cells >= rows, turned(cells), cells),),
        (start,),
    )
    return tf.where(filled, order, 0)


def _turns(seeds: tf.Tensor, stream: tf.Tensor, shape: tuple[int, int], size: int) -> tf.Tensor:
    """Return by how many of ``size`` cells each column or row is turned in each round, shape (members, *shape)."""
    drawn = [
        tf.random.stateless_uniform(shape, tf.stack([seeds[member], stream]), 0, size, tf.int32)
        for member in range(seeds.shape[0])
    ]
    return tf.stack(drawn)
