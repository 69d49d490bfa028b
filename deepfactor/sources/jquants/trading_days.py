"""The exchange's sessions, and the first one at whose close something published was known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

import polars as pl

from deepfactor.errors import SourceError
from deepfactor.months import Month, last_session

EXCHANGE = "XTKS"

_WHOLE_DAY, _HALF_DAY = "1", "2"
_LONGER_SINCE = date(2024, 11, 5)
_CLOSE, _LONGER_CLOSE, _HALF_DAY_CLOSE = time(15, 0), time(15, 30), time(11, 0)


@dataclass(frozen=True)
class TradingDays:
    """Sessions of the exchange.

    Attributes
    ----------
    sessions
        ``session`` (date) and ``closes`` (date and time in Tokyo), oldest first.
    """

    sessions: pl.DataFrame

    @classmethod
    def from_calendar(cls, calendar: pl.DataFrame) -> TradingDays:
        """Return the sessions of the service's calendar: its columns Date and HolDiv."""
        closes = (
            pl.when(pl.col("HolDiv") == _HALF_DAY)
            .then(pl.lit(_HALF_DAY_CLOSE))
            .when(pl.col("Date") >= _LONGER_SINCE)
            .then(pl.lit(_LONGER_CLOSE))
            .otherwise(pl.lit(_CLOSE))
        )
        return cls(
            calendar.filter(pl.col("HolDiv").is_in([_WHOLE_DAY, _HALF_DAY]))
            .select(session="Date", closes=pl.col("Date").dt.combine(closes))
            .unique()
            .sort("session")
        )

    @property
    def first(self) -> date:
        """The oldest session."""
        oldest: date = self.sessions["session"][0]
        return oldest

    def of(self, month: Month) -> list[date]:
        """Return the sessions of a month.

        Raises
        ------
        SourceError
            If the last one is not where the project's calendar has it, for then months would end on different days.
        """
        days = self.sessions.filter(pl.col("session").is_between(month.first_day, month.last_day))["session"].to_list()
        expected = last_session(month, EXCHANGE)
        if not days or days[-1] != expected:
            raise SourceError(
                f"J-Quants /markets/calendar: the last session of {month} is {days[-1] if days else 'not there'}, but "
                f"{expected} in exchange_calendars: update exchange-calendars, or ask again when the service has it"
            )
        return days

    def known_from(self, published: pl.DataFrame, day: str, clock: str) -> pl.DataFrame:
        """Add ``available_from``: the first session that closes after something was published.

        What is published at the close or later, or on a day without a session, counts for the next session; so does
        what has no time. Null if that session is after the calendar's end.

        Parameters
        ----------
        published
            Any frame.
        day, clock
            Its columns with the day, and the time as text (HH:MM or HH:MM:SS).

        Raises
        ------
        SourceError
            If a time is not one.
        """
        hours = pl.col(clock).str.slice(0, 5).str.to_time("%H:%M", strict=False)
        timed = published.with_columns(_time=hours)
        wrong = timed.filter(pl.col(clock).is_not_null(), pl.col("_time").is_null())
        if wrong.height:
            raise SourceError(f"J-Quants: {clock} is {wrong[clock][0]!r} for code {wrong['Code'][0]}, not a time")
        moment = pl.col(day).dt.combine(pl.col("_time").fill_null(time(23, 59)))
        return (
            timed.with_columns(_moment=moment, _row=pl.int_range(pl.len()))
            .sort("_moment")
            .join_asof(
                self.sessions.rename({"session": "available_from"}).sort("closes"),
                left_on="_moment",
                right_on="closes",
                strategy="forward",
                allow_exact_matches=False,
            )
            .sort("_row")
            .drop("_time", "_moment", "_row", "closes", strict=False)
        )
