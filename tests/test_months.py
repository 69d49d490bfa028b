from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, Window, last_session, month_range

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
        assert last_session(Month.parse(month)) == day


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
    @pytest.mark.parametrize("text", ["2016-13", "2016-00", "2016-2", "201602", "0000-01", "", "2016-02-01", "x"])
    def test_not_a_month(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="YYYY-MM"):
            Month.parse(text)

    def test_beyond_the_calendar(self) -> None:
        with pytest.raises(ConfigurationError, match="update exchange-calendars"):
            last_session(Month.parse("2090-01"))

    def test_unknown_calendar(self) -> None:
        with pytest.raises(ConfigurationError, match="unknown exchange calendar 'XYZ1'"):
            last_session(Month.parse("2016-02"), "XYZ1")
