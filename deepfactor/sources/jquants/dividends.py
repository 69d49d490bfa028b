"""Dividends as they were known when a stock went ex."""

from __future__ import annotations

import polars as pl

_DELETED = "3"


def known_dividends(notices: pl.DataFrame) -> pl.DataFrame:
    """Return the amounts that notices announce.

    A revision replaces the notice it names, a deletion removes it, and of several notices for the same ex-date (a
    forecast and the decision) the newest one counts. What is not decided yet has no amount.

    Parameters
    ----------
    notices
        Columns of :data:`deepfactor.sources.jquants.endpoints.DIVIDENDS`, only those that were known.

    Returns
    -------
    pl.DataFrame
        ``Code``, ``ExDate``, ``amount`` (yen a share held the day before), one row per stock and day.
    """
    newest = pl.col("PubDate", "PubTime", "RefNo")
    return (
        notices.sort(newest)
        .group_by("Code", "CARefNo", maintain_order=True)
        .last()
        .filter(pl.col("StatCode") != _DELETED, pl.col("ExDate").is_not_null())
        .sort(newest)
        .group_by("Code", "ExDate", maintain_order=True)
        .last()
        .select("Code", "ExDate", amount="DivRate")
        .filter(pl.col("amount") > 0)
    )
