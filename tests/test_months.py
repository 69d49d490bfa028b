from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, Window, last_session, month_range, planned_session

months = st.builds(Month.of, st.integers(1900, 2100), st.integers(1, 12))


class TestRegression:
    def test_the_window_of_the_papers_last_forecast(self) -> None:
        window = Window(Month.parse("2016-02"))
        assert str(window.first_training) == "2011-02"
        assert str(window.last_training) == "2016-01"
        assert str(window.first_described) == "2010-02"
        assert str(window.first_history) == "2005-02"
        assert (len(window.described), len(window.history)) == (73, 133)

    @pytest.mark.parametrize(
        ("month", "day"),
        [
            ("2016-02", date(2016, 2, 29)),
            ("2016-04", date(2016, 4, 28)),  # 29 April is a holiday, the 30th a Saturday
            ("2015-12", date(2015, 12, 30)),  # the exchange closes for New Year
            ("1997-01", date(1997, 1, 31)),  # the calendar's first month
            ("1996-11", date(1996, 11, 29)),  # before it: the last weekday
            ("1996-08", date(1996, 8, 30)),
        ],
    )
    def test_last_sessions(self, month: str, day: date) -> None:
        assert last_session(Month.parse(month)) == planned_session(Month.parse(month)) == day

    @pytest.mark.parametrize(
        ("calendar", "month", "day"),
        [
            ("XTKS", "2041-12", date(2041, 12, 30)),  # by the rules of the exchange
            ("XTKS", "2105-12", date(2105, 12, 31)),  # nobody asks that far
            ("XBOM", "2026-08", date(2026, 8, 31)),
            ("XBOM", "2027-10", date(2027, 10, 29)),  # holidays of 2027 are not known
            ("XSAU", "2015-05", date(2015, 5, 29)),  # this calendar begins in 2021
        ],
    )
    def test_sessions_that_nobody_has_published(self, calendar: str, month: str, day: date) -> None:
        assert planned_session(Month.parse(month), calendar) == day


class TestProperties:
    @given(months)
    def test_text_and_back(self, month: Month) -> None:
        assert Month.parse(str(month)) == month

    @given(months, st.integers(-500, 500))
    def test_adding_then_subtracting(self, month: Month, count: int) -> None:
        assert (month + count) - month == count

    @given(months)
    def test_days_lie_in_their_month(self, month: Month) -> None:
        assert Month.containing(month.first_day) == Month.containing(month.last_day) == month
        assert Month.containing(date.fromordinal(month.last_day.toordinal() + 1)) == month + 1

    @given(months)
    def test_no_month_of_a_window_lies_after_its_as_of_month(self, month: Month) -> None:
        window = Window(month)
        assert max(window.history) == max(window.described) == month
        assert window.last_training + 1 == month
        assert list(window.history) == list(month_range(window.first_history, month))


class TestValidation:
    @pytest.mark.parametrize(
        "text", ["2016-13", "2016-00", "2016-2", "201602", "0000-01", "", "2016-02-01", "x", "1899-12", "2200-01"]
    )
    def test_not_a_month(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="YYYY-MM"):
            Month.parse(text)

    def test_beyond_the_calendar(self) -> None:
        with pytest.raises(ConfigurationError, match="update exchange-calendars"):
            last_session(Month.parse("2090-01"))

    def test_before_the_calendar(self) -> None:
        with pytest.raises(ConfigurationError, match="from 2021-01 on, not 2015-05"):
            last_session(Month.parse("2015-05"), "XSAU")

    @pytest.mark.parametrize("session", [last_session, planned_session])
    def test_unknown_calendar(self, session: Callable[[Month, str], date]) -> None:
        with pytest.raises(ConfigurationError, match="unknown exchange calendar 'XYZ1'"):
            session(Month.parse("2016-02"), "XYZ1")
