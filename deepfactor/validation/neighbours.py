"""The price before and after, in frames sorted by stock and month.

Such a frame needs no grouping: a row's neighbour is its stock's, or it is another stock's and does not count.
"""

from __future__ import annotations

import polars as pl


def neighbour(values: pl.Expr, rows: int, group: str = "security_id") -> pl.Expr:
    """Return the value ``rows`` rows before (after, if negative) in the same group; else null."""
    key = pl.col(group)
    return pl.when((key == key.shift(rows)).fill_null(value=False)).then(values.shift(rows))


def change(values: pl.Expr, group: str = "security_id") -> pl.Expr:
    """Return the difference to the row before in the same group; null for the first."""
    return values - neighbour(values, 1, group)


def begins(group: str = "security_id") -> pl.Expr:
    """Return whether a row is the first of its group."""
    key = pl.col(group)
    return (key != key.shift(1)).fill_null(value=True)


def positive_log(values: pl.Expr) -> pl.Expr:
    """Return the natural logarithm of what is positive and finite, else null."""
    return pl.when((values > 0) & values.is_finite()).then(values.log())
