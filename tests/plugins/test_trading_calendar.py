from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.months import Month, month_range

from .conftest import serialized

TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YORK = ("XNYS", "18:00", "America/New_York")
# The usual one; others west of Greenwich, one due on the next day in UTC; and one due on the day before.
SCHEDULES = [(), NEW_YORK, ("XNYS", "22:00", "America/New_York"), ("XNZE", "08:00", "Pacific/Auckland")]
# From the date line to the date line.
ZONES = ["Etc/GMT+12", "Pacific/Honolulu", "America/New_York", "UTC", "Asia/Tokyo", "Pacific/Auckland", "Etc/GMT-14"]

months = st.builds(Month.of, st.integers(1990, 2040), st.integers(1, 12))
moments = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, ZoneInfo(zone)),
    st.integers(820_454_400, 1_893_456_000),  # 1996 to 2030
    st.sampled_from(ZONES),
)

IMPORT = """
import airflow.sdk, airflow.timetables.base, airflow.plugins_manager, sys, time
before = set(sys.modules)
started = time.process_time()
import trading_calendar
print(time.process_time() - started)
dag = airflow.sdk.DAG("months", schedule=trading_calendar.TradingCalendarTimetable())
dag.validate()
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


@dataclass(frozen=True)
class Run:
    """What a task knows of its run."""

    logical_date: datetime | None
    run_after: datetime
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None


@pytest.fixture(scope="module")
def tokyo(timetable: Any) -> Any:
    return timetable()


def at(text: str) -> Any:
    """Return a moment as Airflow has it; UTC where nothing else is said."""
    import pendulum

    return pendulum.parse(text)


def local(day: date, zone: str, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone))


def between(schedule: Any, earliest: datetime, latest: datetime) -> list[Any]:
    """Return the runs that a backfill would make."""
    return list(serialized(schedule).iter_dagrun_infos_between(earliest, latest))


def following(schedule: Any, earliest: datetime | None = None, last: Any = None, **limits: Any) -> Any:
    """Return the next run."""
    from airflow.timetables.base import TimeRestriction

    limits = {"latest": None, "catchup": True} | limits
    return schedule.next_dagrun_info(
        last_automated_data_interval=last, restriction=TimeRestriction(earliest=earliest, **limits)
    )


def read(schedule: Any, info: Any) -> Month:
    """Return the month that the run computes."""
    interval = info.data_interval
    found: Month = schedule.month(Run(info.logical_date, info.run_after, interval.start, interval.end))
    return found


def sessions(calendar: str, end: str) -> Iterator[tuple[Month, date]]:
    """Yield each month from 1997 on with its last session, found day by day."""
    known = exchange_calendars.get_calendar(calendar, start="1997-01-01", end=end)
    days = [session.date() for session in known.sessions]
    for day, after in pairwise(days):
        if (day.year, day.month) != (after.year, after.month):
            yield Month.containing(day), day


class TestRegression:
    @pytest.mark.parametrize(
        ("month", "due"),
        [
            ("2016-02", "2016-02-29T09:00Z"),
            ("2016-04", "2016-04-28T09:00Z"),  # 29 April is a holiday, the 30th a Saturday
            ("2015-12", "2015-12-30T09:00Z"),  # the exchange closes for New Year
            ("2019-04", "2019-04-26T09:00Z"),  # ten holidays for the new emperor
            ("1997-01", "1997-01-31T09:00Z"),  # the calendar's first month
            ("1996-11", "1996-11-29T09:00Z"),  # before it: the last weekday
        ],
    )
    def test_when_a_month_is_due(self, tokyo: Any, month: str, due: str) -> None:
        info = following(tokyo, at(f"{month}-01"))
        assert info.run_after == at(due)
        assert info.logical_date == at(due[:10])
        assert info.data_interval == (at(due[:10]), at(due))
        assert read(tokyo, info) == Month.parse(month)

    def test_what_the_ui_shows(self, timetable: Any) -> None:
        dag = serialized(timetable(last_month="2016-02"))
        assert dag.timetable.summary == "18:00 Asia/Tokyo, last XTKS session of the month, until 2016-02"
        assert dag.timetable.description == (
            "Once a month, at 18:00 Asia/Tokyo on the month's last session of the exchange XTKS; "
            "the run is that month's."
        )
        assert timetable(*NEW_YORK).summary == "18:00 America/New_York, last XNYS session of the month"


class TestCatchUp:
    def test_every_month_from_1997_to_a_year_ahead(self, timetable: Any) -> None:
        today = datetime.now(UTC).date()
        schedule = timetable()
        expected = dict(sessions("XTKS", (today + timedelta(days=365)).isoformat()))
        found, info = {}, following(schedule, at("1997-01-01"))
        while len(found) < len(expected):
            local_time = info.run_after.astimezone(TOKYO)
            assert (local_time.hour, local_time.minute) == (18, 0)
            found[read(schedule, info)] = local_time.date()
            info = following(schedule, at("1997-01-01"), info.data_interval)
        assert found == expected
        assert list(found) == list(month_range(Month.parse("1997-01"), max(expected)))

    def test_daylight_saving_does_not_move_the_time_of_day(self, timetable: Any) -> None:
        schedule = timetable(*NEW_YORK)
        expected = dict(sessions("XNYS", "2026-12-31"))
        runs = between(schedule, at("1997-01-01"), at("2026-11-30T23:59Z"))
        there = [run.run_after.astimezone(ZoneInfo("America/New_York")) for run in runs]
        assert {(each.hour, each.minute) for each in there} == {(18, 0)}
        assert {read(schedule, run): each.date() for run, each in zip(runs, there, strict=True)} == expected
        assert {run.run_after.hour for run in runs} == {22, 23}

    def test_a_time_of_day_that_the_clock_skips_or_repeats(self, timetable: Any) -> None:
        # In Cairo the clock goes forward at midnight to 28 April 2023, and back at midnight after 31 October 2024.
        skipped = following(timetable("XTKS", "00:30", "Africa/Cairo"), at("2023-04-01"))
        assert skipped.run_after == at("2023-04-27T22:30Z")
        repeated = following(timetable("XTKS", "23:30", "Africa/Cairo"), at("2024-10-01"))
        assert repeated.run_after.astimezone(ZoneInfo("Africa/Cairo")).isoformat()[:16] == "2024-10-31T23:30"

    def test_an_early_time_of_day_east_of_greenwich(self, timetable: Any) -> None:
        schedule = timetable(at="08:00")
        info = following(schedule, at("2016-02-01"))
        assert info.run_after == info.logical_date == at("2016-02-28T23:00Z")
        assert read(schedule, info) == Month.parse("2016-02")
        assert read(schedule, following(schedule, at("2016-02-01"), info.data_interval)) == Month.parse("2016-03")

    def test_the_year_ends(self, tokyo: Any) -> None:
        december = following(tokyo, at("2015-12-01"))
        january = following(tokyo, at("2006-03-01"), december.data_interval)
        assert [read(tokyo, each) for each in (december, january)] == [Month.parse("2015-12"), Month.parse("2016-01")]
        assert january.run_after == at("2016-01-29T09:00Z")

    def test_a_start_on_or_after_the_session_s_day(self, tokyo: Any) -> None:
        assert read(tokyo, following(tokyo, at("2016-02-29"))) == Month.parse("2016-02")
        assert read(tokyo, following(tokyo, at("2016-02-29T00:00:01"))) == Month.parse("2016-03")

    def test_the_end_is_included(self, tokyo: Any) -> None:
        assert read(tokyo, following(tokyo, at("2016-02-01"), latest=at("2016-02-29"))) == Month.parse("2016-02")
        assert following(tokyo, at("2016-02-01"), latest=at("2016-02-28T23:59:59")) is None

    def test_the_schedule_may_end_with_a_month(self, timetable: Any) -> None:
        schedule = timetable(last_month="2016-02")
        runs = between(schedule, at("2015-12-01"), at("2017-12-31"))
        assert [str(read(schedule, run)) for run in runs] == ["2015-12", "2016-01", "2016-02"]
        assert following(schedule, at("2006-03-01"), catchup=False) is None

    def test_without_a_start_nothing_is_caught_up(self, tokyo: Any) -> None:
        assert following(tokyo) is None


class TestWithoutCatchUp:
    @pytest.mark.parametrize("last", [None, "2006-03-31"])
    def test_it_begins_with_the_last_month_that_is_due(self, tokyo: Any, last: str | None) -> None:
        from airflow.timetables.base import DataInterval

        interval = DataInterval(at(last), at(f"{last}T09:00Z")) if last else None
        before, info, after = at_now(), following(tokyo, at("2006-03-01"), interval, catchup=False), at_now()
        assert info.run_after <= after
        assert following(tokyo, at("2006-03-01"), info.data_interval).run_after > before

    def test_then_each_month_follows(self, tokyo: Any) -> None:
        info = following(tokyo, at("2006-03-01"), catchup=False)
        then = following(tokyo, at("2006-03-01"), info.data_interval, catchup=False)
        assert read(tokyo, then) - read(tokyo, info) == 1
        assert then.run_after > at_now()

    def test_a_later_start_is_waited_for(self, tokyo: Any) -> None:
        start = Month.containing(at_now().date()) + 30
        assert read(tokyo, following(tokyo, at(f"{start}-01"), catchup=False)) == start


class TestBeyondTheCalendar:
    def test_the_rules_go_on(self, tokyo: Any) -> None:
        assert following(tokyo, at("2041-12-01")).run_after == at("2041-12-30T09:00Z")

    @pytest.mark.parametrize(
        ("calendar", "start", "day"),
        [
            ("XTKS", "2105-12-01", "2105-12-31"),
            # This calendar ends with its year, and so does what is known of holidays.
            ("XBOM", "2027-05-01", "2027-05-31"),
            ("XBOM", "2027-10-01", "2027-10-29"),
        ],
    )
    def test_then_the_last_weekday_counts(self, timetable: Any, calendar: str, start: str, day: str) -> None:
        assert following(timetable(calendar), at(start)).logical_date == at(day)

    def test_a_start_before_the_calendar_begins(self, timetable: Any) -> None:
        assert following(timetable("XSAU"), at("2015-05-01")).logical_date == at("2015-05-29")


class TestBackfill:
    def test_the_paper_s_months(self, tokyo: Any) -> None:
        runs = between(tokyo, at("2006-03-01"), at("2016-02-29"))
        assert [read(tokyo, run) for run in runs] == list(month_range(Month.parse("2006-03"), Month.parse("2016-02")))
        assert len({run.logical_date for run in runs}) == len(runs) == 120

    @settings(deadline=None)
    @given(months, st.integers(0, 14), st.sampled_from(ZONES), st.sampled_from(SCHEDULES))
    def test_first_to_last_day_of_months_in_any_zone(
        self, timetable: Any, first: Month, count: int, zone: str, parameters: tuple[str, ...]
    ) -> None:
        schedule = timetable(*parameters)
        last = first + count
        # As the UI's form does: the whole of the last day, by the clock of whoever looks at it.
        runs = between(schedule, local(first.first_day, zone), local(last.last_day, zone, 23, 59))
        assert [read(schedule, run) for run in runs] == list(month_range(first, last))

    @settings(deadline=None)
    @given(months, st.integers(0, 14), st.sampled_from(SCHEDULES))
    def test_days_without_a_time(self, timetable: Any, first: Month, count: int, parameters: tuple[str, ...]) -> None:
        schedule = timetable(*parameters)
        last = first + count
        runs = between(schedule, local(first.first_day, "UTC"), local(last.last_day, "UTC"))
        assert [read(schedule, run) for run in runs] == list(month_range(first, last))

    @settings(deadline=None)
    @given(months, st.sampled_from(ZONES), st.sampled_from(SCHEDULES))
    def test_the_logical_date_lies_in_the_month_wherever_it_is_read(
        self, timetable: Any, month: Month, zone: str, parameters: tuple[str, ...]
    ) -> None:
        schedule = timetable(*parameters)
        info = following(schedule, local(month.first_day, "UTC"))
        assert Month.containing(info.logical_date.astimezone(ZoneInfo(zone)).date()) == month
        assert info.data_interval.start <= info.data_interval.end == info.run_after


class TestByHand:
    @pytest.mark.parametrize(
        ("logical", "month"),
        [
            ("2016-02-29T08:59:59Z", "2016-01"),
            ("2016-02-29T09:00Z", "2016-02"),
            ("2016-02-29T18:00+09:00", "2016-02"),
            ("2016-03-01", "2016-02"),
            ("2016-03-01T00:00+09:00", "2016-02"),
            ("2016-02-17", "2016-01"),
            ("2016-01-01", "2015-12"),
            # The date that the scheduled run of the month has.
            ("2016-02-29", "2016-02"),
        ],
    )
    def test_the_last_month_that_was_due(self, tokyo: Any, logical: str, month: str) -> None:
        interval = tokyo.infer_manual_data_interval(run_after=at(logical))
        assert interval == following(tokyo, at(f"{month}-01")).data_interval
        assert tokyo.month(Run(at(logical), at_now(), *interval)) == Month.parse(month)

    @settings(deadline=None)
    @given(moments, st.sampled_from(SCHEDULES))
    def test_it_is_the_newest_that_is_due(self, timetable: Any, moment: datetime, parameters: tuple[str, ...]) -> None:
        schedule = timetable(*parameters)
        interval = schedule.infer_manual_data_interval(run_after=at(moment.isoformat()))
        runs = between(schedule, moment - timedelta(days=70), moment + timedelta(days=40))
        (same,) = [run for run in runs if run.logical_date == moment] or [
            [run for run in runs if run.run_after <= moment][-1]
        ]
        assert interval == same.data_interval

    def test_a_run_by_hand_with_a_month_s_own_date_does_not_stop_the_schedule(self, tokyo: Any) -> None:
        taken = following(tokyo, at("2016-02-01")).logical_date
        # Triggered before the month was due, and Airflow gave it the interval of the month before.
        interval = tokyo.infer_manual_data_interval(run_after=at("2016-02-29T08:00Z"))
        run = Run(taken, at("2016-02-29T08:00Z"), *interval)
        assert tokyo.month(run) == Month.parse("2016-02")
        # The scheduler takes it for that month's, and goes on from it.
        info = tokyo.run_info_from_dag_run(dag_run=run)
        assert read(tokyo, following(tokyo, at("2006-03-01"), info.data_interval)) == Month.parse("2016-03")

    def test_without_a_logical_date_the_moment_counts_from_which_it_may_run(self, tokyo: Any) -> None:
        assert tokyo.month(Run(None, at("2016-02-29T08:00Z"))) == Month.parse("2016-01")
        assert tokyo.month(Run(None, at("2016-02-29T10:00Z"))) == Month.parse("2016-02")

    def test_a_logical_date_counts_though_airflow_infers_from_the_moment_of_triggering(self, tokyo: Any) -> None:
        now = at("2026-11-25T09:00Z")
        interval = tokyo.infer_manual_data_interval(run_after=now)
        assert tokyo.month(Run(at("2016-03-01"), now, *interval)) == Month.parse("2016-02")

    def test_an_interval_that_somebody_gives_counts(self, tokyo: Any) -> None:
        interval = at("2016-01-31T15:00Z"), at("2016-02-29T15:00Z")  # February in Tokyo
        assert tokyo.month(Run(at("2020-05-05"), at_now(), *interval)) == Month.parse("2016-02")

    def test_after_the_last_month_it_is_the_last(self, timetable: Any) -> None:
        schedule = timetable(last_month="2016-02")
        assert schedule.month(Run(at_now(), at_now())) == Month.parse("2016-02")
        assert schedule.month(Run(at("2012-05-05"), at_now())) == Month.parse("2012-04")


class TestOtherSchedules:
    def test_it_goes_on_where_a_monthly_one_has_stopped(self, tokyo: Any) -> None:
        from airflow.timetables.base import DataInterval

        calendar_month = DataInterval(at("2016-02-01"), at("2016-03-01"))
        assert read(tokyo, following(tokyo, at("2006-03-01"), calendar_month)) == Month.parse("2016-03")

    def test_another_time_of_day_does_not_run_a_month_twice(self, timetable: Any) -> None:
        february = following(timetable(), at("2016-02-01"))
        later = timetable(at="20:00")
        assert read(later, following(later, at("2006-03-01"), february.data_interval)) == Month.parse("2016-03")


class TestSerialization:
    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"calendar": "XNYS", "at": "16:30", "timezone": "America/New_York", "last_month": "2016-02"},
        ],
    )
    def test_there_and_back(self, timetable: Any, parameters: dict[str, str]) -> None:
        from airflow.serialization.decoders import decode_timetable
        from airflow.serialization.encoders import encode_timetable

        encoded = encode_timetable(timetable(**parameters))
        assert encoded["__type"] == "trading_calendar.TradingCalendarTimetable"
        decoded = decode_timetable(json.loads(json.dumps(encoded)))
        assert type(decoded) is timetable
        assert encode_timetable(decoded) == encoded
        whole = {"calendar": "XTKS", "at": "18:00", "timezone": "Asia/Tokyo", "last_month": None} | parameters
        assert encoded["__var"] == whole

    def test_the_scheduler_s_copy_gives_the_same_runs(self, timetable: Any) -> None:
        dag = serialized(timetable(*NEW_YORK), catchup=True)
        assert dag.timetable.periodic and not dag.timetable.partitioned
        assert dag.next_dagrun_info(last_automated_run_info=None) == following(timetable(*NEW_YORK), at("2006-03-01"))

    def test_loading_it_is_quick_and_pulls_in_nothing(self) -> None:
        run = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        seconds, names = run.stdout.splitlines()[-2:]
        assert float(seconds) < 0.2
        assert "trading_calendar" in names.split()
        assert not set(names.split()) & {"exchange_calendars", "pandas", "numpy", "polars", "deepfactor"}


class TestValidation:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"at": "25:00"}, "'25:00' is not a time of day: write it as HH:MM, for example 18:00"),
            ({"at": "six"}, "'six' is not a time of day"),
            ({"at": "18:00:30"}, "'18:00:30' is not a time of day"),
            ({"timezone": "Mars/Base"}, "unknown time zone 'Mars/Base': use a name such as Asia/Tokyo"),
            ({"timezone": ""}, "unknown time zone ''"),
            ({"last_month": "2016-13"}, "'2016-13' is not a month from 1900 to 2199: write it as YYYY-MM"),
        ],
    )
    def test_what_is_wrong_is_said(self, timetable: Any, parameters: dict[str, str], message: str) -> None:
        from airflow.exceptions import AirflowTimetableInvalid

        with pytest.raises(AirflowTimetableInvalid, match=message):
            timetable(**parameters)

    def test_an_unknown_calendar_is_found_when_the_dag_is_parsed(self, timetable: Any) -> None:
        with pytest.raises(Exception, match="unknown exchange calendar 'XYZ1': use a code"):
            serialized(timetable("XYZ1"))


def at_now() -> Any:
    import pendulum

    return pendulum.now("UTC")
