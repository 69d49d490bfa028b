"""When something published was known."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import SourceError
from deepfactor.months import Month
from deepfactor.sources.jquants.trading_days import TradingDays

# November 2024: the third is a holiday on a Sunday, so Monday the fourth is closed; from the fifth on, the exchange
# closes half an hour later. The thirtieth of December 2008 was the last half day at a year's end.
CALENDAR = {
    **{date(2024, 10, 28) + timedelta(days=number): "1" for number in range(5)},
    date(2024, 11, 2): "0",
    date(2024, 11, 3): "0",
    date(2024, 11, 4): "3",
    **{date(2024, 11, 5) + timedelta(days=number): "1" for number in range(4)},
    date(2008, 12, 30): "2",
    date(2009, 1, 5): "2",
    date(2009, 1, 6): "1",
}


def _days() -> TradingDays:
    frame = pl.DataFrame(
        {"Date": list(CALENDAR), "HolDiv": list(CALENDAR.values())}, schema={"Date": pl.Date, "HolDiv": pl.String}
    )
    return TradingDays.from_calendar(frame)


def _known(published: list[tuple[str, str | None]]) -> list[date | None]:
    frame = pl.DataFrame(
        [("86970", date.fromisoformat(day), clock) for day, clock in published],
        schema={"Code": pl.String, "DiscDate": pl.Date, "DiscTime": pl.String},
        orient="row",
    )
    return _days().known_from(frame, "DiscDate", "DiscTime")["available_from"].to_list()


def slow_known(moment: datetime) -> date | None:
    """Go through the sessions until one closes after the moment."""
    for day in sorted(CALENDAR):
        if CALENDAR[day] in ("1", "2"):
            close = time(11, 0) if CALENDAR[day] == "2" else time(15, 30) if day >= date(2024, 11, 5) else time(15, 0)
            if datetime.combine(day, close) > moment:
                return day
    return None


class TestRegression:
    @pytest.mark.parametrize(
        ("day", "clock", "known"),
        [
            ("2024-10-31", "14:59:59", "2024-10-31"),
            ("2024-10-31", "15:00:00", "2024-11-01"),
            ("2024-10-31", "00:00", "2024-10-31"),
            ("2024-10-31", None, "2024-11-01"),
            # Before a long weekend, and on it.
            ("2024-11-01", "15:00", "2024-11-05"),
            ("2024-11-02", "09:00:00", "2024-11-05"),
            ("2024-11-04", "18:00:00", "2024-11-05"),
            ("2024-11-05", "15:29", "2024-11-05"),
            ("2024-11-05", "15:30:00", "2024-11-06"),
            ("2008-12-30", "11:00:00", "2009-01-05"),
            ("2008-12-30", "10:59:00", "2008-12-30"),
            ("2009-01-05", "12:00:00", "2009-01-06"),
            # After the calendar's last session.
            ("2024-11-08", "16:00:00", None),
        ],
    )
    def test_first_session_that_closes_later(self, day: str, clock: str | None, known: str | None) -> None:
        assert _known([(day, clock)]) == [known and date.fromisoformat(known)]

    def test_rows_keep_their_order(self) -> None:
        rows = [("2024-11-05", "15:30:00"), ("2024-10-31", None), ("2024-11-01", "09:00")]
        assert _known(rows) == [date(2024, 11, 6), date(2024, 11, 1), date(2024, 11, 1)]


class TestProperties:
    @given(
        st.lists(
            st.datetimes(datetime(2024, 10, 28), datetime(2024, 11, 9)).map(lambda moment: moment.replace(second=0)),  # noqa: DTZ001
            max_size=20,
        )
    )
    def test_agrees_with_the_slow_twin(self, moments: list[datetime]) -> None:
        rows: list[tuple[str, str | None]] = [(f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}") for moment in moments]
        assert _known(rows) == [slow_known(moment.replace(microsecond=0)) for moment in moments]


class TestValidation:
    @pytest.mark.parametrize("clock", ["25:00", "noon", "9"])
    def test_what_is_no_time(self, clock: str) -> None:
        with pytest.raises(SourceError, match=f"DiscTime is '{clock}' for code 86970, not a time"):
            _known([("2024-11-05", clock)])

    def test_a_month_that_ends_elsewhere(self) -> None:
        with pytest.raises(SourceError, match="last session of 2024-11 is 2024-11-08, but 2024-11-29 in exchange_"):
            _days().of(Month.parse("2024-11"))
        with pytest.raises(SourceError, match="last session of 2024-09 is not there, but 2024-09-30"):
            _days().of(Month.parse("2024-09"))
