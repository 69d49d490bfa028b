"""The service's records month by month, each month whole and on the sessions it should have."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from deepfactor.errors import SourceError
from deepfactor.months import Month, last_session, month_range
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.client import OutsidePlan
from deepfactor.sources.jquants.endpoints import BARS, CALENDAR, MASTER, TOPIX, Endpoint
from deepfactor.sources.jquants.trading_days import EXCHANGE, TradingDays

LOGGER = logging.getLogger(__name__)

# The fifth character of a common stock's code; preferred and other classes have another one.
_COMMON = "0"


@dataclass(frozen=True)
class History:
    """What the service knows of some months.

    Attributes
    ----------
    archive
        The service, and what has been fetched of it.
    first_month
        The first month that is of interest. Months before it only help, and may be outside the subscription.
    trading_days
        The exchange's sessions.
    """

    archive: Archive
    first_month: Month
    trading_days: TradingDays

    @classmethod
    def open(cls, archive: Archive, first_month: Month, last_month: Month, months_before: int) -> History:
        """Return the history of some months, and as many before them.

        Raises
        ------
        SourceError
            If the service does not give its calendar.
        """
        calendars = []
        # With the month after, in which what is published after the last close becomes known.
        for month in month_range(first_month + -months_before, last_month + 1):
            try:
                calendars.append(archive.read(CALENDAR, [(month.first_day, month.last_day)]))
            except OutsidePlan:
                if first_month <= month <= last_month:
                    raise
        trading_days = TradingDays.from_calendar(pl.concat(calendars))
        if trading_days.sessions.is_empty():
            raise SourceError(f"J-Quants {CALENDAR.path}: no session from {first_month} to {last_month}; try later")
        return cls(archive, first_month, trading_days)

    def days(self, endpoint: Endpoint, last_month: Month, months_before: int) -> pl.DataFrame:
        """Return what was published on the days from some months before the first month to the last session.

        Every day counts, for companies publish on holidays, too.
        """
        parts = [endpoint.read([], "")]
        for month in month_range(self.first_month + -months_before, last_month):
            until = min(month.last_day, last_session(last_month, EXCHANGE))
            days = [month.first_day + timedelta(days=number) for number in range((until - month.first_day).days + 1)]
            parts.append(self._read(endpoint, month, days))
        return pl.concat(parts)

    def bars(self, month: Month) -> pl.DataFrame:
        """Return the daily bars of a month.

        Raises
        ------
        SourceError
            If a session has none.
        """
        sessions = self._sessions(month)
        bars = self._read(BARS, month, sessions)
        return self._on_days(BARS, month, bars, sessions)

    def stocks(self, month: Month, product_categories: Sequence[str]) -> pl.DataFrame:
        """Return ``Code`` and ``Mkt`` of the common stocks listed on a month's last session."""
        session = self._sessions(month)[-1:]
        listed = self._on_days(MASTER, month, self._read(MASTER, month, session), session)
        is_common = pl.col("ProdCat").is_in(list(product_categories)) & pl.col("Code").str.ends_with(_COMMON)
        return listed.filter(is_common).select("Code", "Mkt")

    def index_close(self, month: Month) -> float | None:
        """Return the TOPIX close of a month's last session; None before the first month, where it is not there."""
        session = last_session(month, EXCHANGE)
        try:
            closes = self.archive.read(TOPIX, [(month.first_day, month.last_day)])
        except OutsidePlan:
            if month >= self.first_month:
                raise
            return None
        close = closes.filter(pl.col("Date") == session, pl.col("C") > 0)["C"]
        if close.is_empty():
            raise SourceError(f"J-Quants {TOPIX.path}: no close of {session}, {month}'s last session; try later")
        return float(close[0])

    def _sessions(self, month: Month) -> list[date]:
        """Return a month's sessions; none before the first month, where the calendar does not reach."""
        if month < self.first_month and month.last_day < self.trading_days.first:
            return []
        return self.trading_days.of(month)

    def _read(self, endpoint: Endpoint, month: Month, days: Sequence[date]) -> pl.DataFrame:
        """Return a month's records; if it only helps, those of the days that the subscription covers."""
        try:
            return self.archive.read(endpoint, [(day, day) for day in days])
        except OutsidePlan as error:
            if month >= self.first_month:
                raise
            first = error.covered_from
        covered = [day for day in days if first is not None and day >= first]
        LOGGER.info("J-Quants %s: of %s, only %d days are covered", endpoint.name, month, len(covered))
        return self.archive.read(endpoint, [(day, day) for day in covered])

    def _on_days(self, endpoint: Endpoint, month: Month, rows: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
        """Check that there are rows of every day, and of no other."""
        if month < self.first_month:
            rows = rows.filter(pl.col("Date").is_in(list(days)))
        found = set(rows["Date"].unique())
        if month < self.first_month:
            days = [day for day in days if found and day >= min(found)]
        if missing := sorted(set(days) - found):
            raise SourceError(
                f"J-Quants {endpoint.path}: there is nothing of {missing[0]}, a session of {month}"
                + (f", and of {len(missing) - 1} others" if len(missing) > 1 else "")
                + "; ask again when the service has it, from 17:00 in Tokyo"
            )
        if other := sorted(found - set(days)):
            raise SourceError(f"J-Quants {endpoint.path}: asked for {month}'s sessions, it answered with {other[0]}")
        return rows
