"""When a figure was known that was delivered without the day of its announcement."""

from __future__ import annotations

import polars as pl

from deepfactor.config import Delay


def known_from(period_end: pl.Expr, delay: Delay) -> pl.Expr:
    """Return the day from which figures of a period are taken as known.

    Months are calendar months, and the end of a month stays the end of a month: three months after 30 June is
    30 September, three after 30 November the last day of February. A day that the month lacks becomes its last.

    Parameters
    ----------
    period_end
        Dates on which the periods ended.
    delay
        What passes until the announcement.
    """
    if delay.months is None:
        return period_end.dt.offset_by(f"{delay.days}d")
    day = period_end.dt.offset_by(f"{delay.months}mo")
    return pl.when(period_end == period_end.dt.month_end()).then(day.dt.month_end()).otherwise(day)
