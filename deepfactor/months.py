"""Calendar months, and the window of months that one run may look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from deepfactor.errors import ConfigurationError

TRAINING_MONTHS = 60
LAGS = (0, 3, 6, 9, 12)
ROLLING_MONTHS = 60

# exchange_calendars knows the Tokyo exchange from here on; before, the last weekday stands in.
_CALENDAR_START = date(1997, 1, 1)

# Characters of what is no month.
_SHOWN = 40

# How far a schedule asks the calendar.
_HORIZON = date(2100, 12, 31)


@dataclass(frozen=True, order=True, slots=True)
class Month:
    """A calendar month, counted from January of year 0.

    >>> str(Month.parse("2016-02") + 1)
    '2016-03'
    >>> Month.parse("2016-02") - Month.parse("2015-12")
    2
    """

    ordinal: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read a month written ``YYYY-MM``.

        Raises
        ------
        ConfigurationError
            If the text is anything else.
        """
        # A window reaches back eleven years, and Python's dates begin with the year 1 and end with 9999.
        match = re.fullmatch(r"((?:19|20|21)[0-9]{2})-(0[1-9]|1[0-2])", text)
        if match is None:
            shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
            raise ConfigurationError(
                f"{shown!r} is not a month from 1900 to 2199: write it as YYYY-MM, for example 2016-02"
            )
        return cls.of(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, year: int, month: int) -> Month:
        """Return the month with this year and number (1-12)."""
        return cls(year * 12 + month - 1)

    @classmethod
    def containing(cls, day: date) -> Month:
        """Return the month a day lies in."""
        return cls.of(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The first calendar day; how frames write a month."""
        return date(self.ordinal // 12, self.ordinal % 12 + 1, 1)

    @property
    def last_day(self) -> date:
        """The last calendar day."""
        return (self + 1).first_day - timedelta(days=1)

    def __add__(self, months: int) -> Month:
        return Month(self.ordinal + months)

    def __sub__(self, other: Month) -> int:
        return self.ordinal - other.ordinal

    def __str__(self) -> str:
        return self.first_day.strftime("%Y-%m")


def month_range(first: Month, last: Month) -> Iterator[Month]:
    """Yield the months from ``first`` to ``last``, both included."""
    return (Month(ordinal) for ordinal in range(first.ordinal, last.ordinal + 1))


@dataclass(frozen=True, slots=True)
class Window:
    """Every month a run may use, derived from its as-of month.

    Attributes
    ----------
    as_of
        The month ``t`` at whose last session everything used was known; the return of ``t + 1`` is predicted.
    training_months
        Number of feature months ``t - 60 … t - 1``; the label of ``s`` is the return of ``s + 1``.
    lags
        Lags of the features in calendar months.
    rolling_months
        Longest rolling statistic in months; its first return needs the price of the month before.
    """

    as_of: Month
    training_months: int = TRAINING_MONTHS
    lags: tuple[int, ...] = LAGS
    rolling_months: int = ROLLING_MONTHS

    @property
    def first_training(self) -> Month:
        """The oldest feature month that has a label in the training set."""
        return self.as_of + -self.training_months

    @property
    def last_training(self) -> Month:
        """The newest feature month whose label (the return of ``as_of``) is known."""
        return self.as_of + -1

    @property
    def first_described(self) -> Month:
        """The oldest month whose descriptors are needed."""
        return self.first_training + -max(self.lags)

    @property
    def first_history(self) -> Month:
        """The oldest month whose raw tables are needed."""
        return self.first_described + -self.rolling_months

    @property
    def described(self) -> tuple[Month, ...]:
        """The months whose descriptors are needed, oldest first."""
        return tuple(month_range(self.first_described, self.as_of))

    @property
    def history(self) -> tuple[Month, ...]:
        """The months whose raw tables are needed, oldest first."""
        return tuple(month_range(self.first_history, self.as_of))


@lru_cache(maxsize=4096)
def last_session(month: Month, calendar: str = "XTKS") -> date:
    """Return the exchange's last session of a month; its last weekday before 1997.

    Raises
    ------
    ConfigurationError
        If the calendar is unknown, or its published sessions do not cover the month.
    """
    if month.first_day < _CALENDAR_START:
        return _last_weekday(month)
    sessions = _sessions(calendar)
    day = sessions.get(month)
    if day is None:
        raise ConfigurationError(
            f"the calendar {calendar} knows sessions up to {max(sessions)}, from {min(sessions)} on, not {month}: "
            "update exchange-calendars, or ask for another month"
        )
    return day


@lru_cache(maxsize=4096)
def planned_session(month: Month, calendar: str = "XTKS") -> date:
    """Return the day that a schedule takes for the last session of a month, however far ahead it is.

    Beyond the published sessions that is what the exchange's rules give. Where they say nothing (before the calendar
    begins, after it ends, in a month without a session) it is the last weekday, which is hardly ever too early.

    Raises
    ------
    ConfigurationError
        If the calendar is unknown.
    """
    return _sessions(calendar, _HORIZON).get(month, _last_weekday(month))


def _last_weekday(month: Month) -> date:
    return month.last_day - timedelta(days=max(0, month.last_day.weekday() - 4))


@lru_cache(maxsize=8)
def _sessions(calendar: str, end: date | None = None) -> dict[Month, date]:
    """Map each month that the calendar knows in full to its last session; up to a year from now, or to an end."""
    import exchange_calendars  # takes seconds to import, and most callers never need it

    try:
        rules = type(exchange_calendars.get_calendar(calendar))
    except exchange_calendars.errors.InvalidCalendarName:
        raise ConfigurationError(
            f"unknown exchange calendar {calendar!r}: use a code that exchange_calendars knows, such as XTKS"
        ) from None
    first, last = rules.bound_min(), rules.bound_max()
    # Without a range the library returns only the last twenty years.
    start = max(_CALENDAR_START, first.date()) if first else _CALENDAR_START
    if end and last:
        end = min(end, last.date())
    days = exchange_calendars.get_calendar(calendar, start=start, end=end).sessions.values.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    # The newest month may be cut off in the middle; only a later session proves that it is whole.
    last_of_month = days[:-1][months[:-1] != months[1:]]
    return {Month.containing(day): day for day in last_of_month.tolist()}
