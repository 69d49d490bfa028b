"""The whole source against the service: tables, resumption, and what it says when it cannot."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from deepfactor.config import JQuantsConfig, SourceConfig, UniverseConfig, load_config
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.months import Month, last_session
from deepfactor.panel import build_panel
from deepfactor.schemas import PANEL, RAW
from deepfactor.sources import open_source
from deepfactor.sources.jquants import JQuantsSource
from deepfactor.sources.jquants.client import OutsidePlan
from tests.sources.jquants.conftest import FIRST, LAST, WINDOW, Fetched, source_of
from tests.sources.jquants.market import (
    FUND,
    LEAVER,
    LEAVES_ON,
    PLAIN,
    PREFERRED,
    SECOND_SECTION,
    SUSPENDED,
    THIN,
    Market,
)
from tests.sources.jquants.oracles import last_close, slow_accounts, slow_return, slow_shares
from tests.sources.jquants.server import KEY, Service

FEBRUARY = Month.parse("2015-02")


def close_to(value: float | None) -> Any:
    return None if value is None else pytest.approx(value, rel=1e-9)


class TestRegression:
    def test_it_is_a_source_of_all_tables(self, fetched: Fetched) -> None:
        assert set(fetched.source.datasets()) == set(RAW)
        for name, table in fetched.tables.items():
            assert_frame_equal(RAW[name].check(table, name), table)

    def test_delisted_stock_keeps_its_last_return_and_leaves_the_universe(self, fetched: Fetched) -> None:
        prices = fetched.tables["prices"].filter(pl.col("security_id") == LEAVER)
        assert prices["month"].max() == LEAVES_ON.replace(day=1)
        assert prices["total_return"].null_count() == 0
        members = fetched.tables["constituents"].filter(pl.col("security_id") == LEAVER)
        assert members["month"].max() == date(2015, 5, 1)

    def test_suspended_stock_has_no_row_and_no_return_across_the_gap(self, fetched: Fetched) -> None:
        rows = fetched.tables["prices"].filter(pl.col("security_id") == SUSPENDED)
        assert rows.filter(pl.col("month").is_between(date(2015, 3, 1), date(2015, 4, 1))).is_empty()
        after = rows.filter(pl.col("month") == date(2015, 5, 1))
        assert after["total_return"].to_list() == [None]
        assert after["volume"][0] > 0

    def test_stock_that_misses_the_last_session_keeps_its_last_close(self, fetched: Fetched, market: Market) -> None:
        rows = fetched.tables["prices"].filter(pl.col("security_id") == THIN, pl.col("month") == date(2014, 10, 1))
        day, close = last_close(market, THIN, Month.parse("2014-10")) or (None, None)
        assert day is not None
        assert day < date(2014, 10, 30)
        assert rows["close"].to_list() == [close]

    def test_a_share_count_of_a_silent_company_grows_too_old(self, whole_window: Fetched) -> None:
        rows = whole_window.tables["prices"].filter(pl.col("security_id") == THIN).sort("month")
        last = rows.filter(pl.col("shares_outstanding").is_not_null())["month"].max()
        # The last statement is of May 2016.
        assert last == date(2017, 11, 1)

    def test_constituents_are_common_stocks_of_the_segments(self, fetched: Fetched) -> None:
        members = set(fetched.tables["constituents"]["security_id"])
        assert PLAIN in members
        assert not {FUND, PREFERRED, SECOND_SECTION} & members
        # A stock of another segment has its history all the same.
        assert SECOND_SECTION in set(fetched.tables["prices"]["security_id"])
        assert not {FUND, PREFERRED} & set(fetched.tables["prices"]["security_id"])

    def test_market_return_is_the_indexs(self, fetched: Fetched, market: Market) -> None:
        rows = fetched.tables["market"].filter(pl.col("month") == FEBRUARY.first_day)
        before, after = (market.topix[last_session(month)] for month in (FEBRUARY + -1, FEBRUARY))
        assert rows["market_return"].to_list() == [pytest.approx(after / before - 1)]
        assert rows["risk_free_rate"].to_list() == [0.0]

    def test_without_dividends_returns_are_price_returns(self, fetched: Fetched) -> None:
        source = JQuantsSource(fetched.source.archive, JQuantsConfig(dividends=False))
        month = Month.parse("2014-09")
        without = source.fetch("prices", month, month).select("security_id", price_return="total_return")
        both = fetched.tables["prices"].filter(pl.col("month") == month.first_day).join(without, on="security_id")
        assert both.filter(pl.col("total_return") > pl.col("price_return") + 1e-6).height == 1

    def test_ready_when_the_last_session_is_there(self, fetched: Fetched, service: Service, tmp_path: Path) -> None:
        asked = len(fetched.asked)
        assert fetched.source.ready(FEBRUARY)
        assert len(fetched.asked) == asked
        today = [date(2015, 2, 26)]
        source = source_of(service, tmp_path, today=lambda: today[0])
        assert not source.ready(FEBRUARY)
        assert service.asked == []
        service.spoil = lambda _path, _rows: []
        today[0] = date(2015, 2, 27)
        assert not source.ready(FEBRUARY)
        service.spoil = lambda _path, rows: rows
        assert source.ready(FEBRUARY)


class TestOracles:
    def test_prices(self, fetched: Fetched, market: Market) -> None:
        for row in fetched.tables["prices"].iter_rows(named=True):
            code, month = row["security_id"], Month.containing(row["month"])
            assert row["close"] == (last_close(market, code, month) or (None, None))[1]
            assert row["total_return"] == close_to(slow_return(market, code, month)), (code, month)
            if code != SECOND_SECTION:
                assert row["shares_outstanding"] == close_to(slow_shares(market, code, month)), (code, month)
            for column, theirs in (("volume", "Vo"), ("traded_value", "Va")):
                assert row[column] == close_to(sum(each[theirs] or 0 for each in market.rows[code, month]))

    @pytest.mark.parametrize("which", ["fetched", "whole_window"])
    def test_accounts(self, request: pytest.FixtureRequest, market: Market, which: str) -> None:
        table = request.getfixturevalue(which).tables["fundamentals"]
        expected = slow_accounts(market)
        assert table.height > 50
        for row in table.iter_rows(named=True):
            key = row["security_id"], row["period_end"], row.pop("available_from")
            versions = expected[key[:2]]
            published = max(day for day in versions if day <= key[2])
            for name, value in versions[published].items():
                assert row[name] == close_to(value), (key, name)

    def test_accounts_are_all_there(self, whole_window: Fetched, market: Market) -> None:
        first, last = WINDOW.first_history.first_day, WINDOW.as_of.last_day
        found = set(whole_window.tables["fundamentals"].select("security_id", "period_end").rows())
        for key, versions in slow_accounts(market).items():
            # Ten days: what is published on the last day is known in the month after.
            if any((first < day) and (last - day).days > 10 for day in versions):
                assert key in found


class TestProperties:
    def test_a_month_does_not_depend_on_what_else_is_asked_for(self, fetched: Fetched) -> None:
        asked = len(fetched.asked)
        first, last = Month.parse("2014-09"), Month.parse("2014-12")
        for name in ("prices", "fundamentals"):
            by = "available_from" if name == "fundamentals" else "month"
            part = fetched.source.fetch(name, first, last)
            whole = fetched.tables[name].filter(pl.col(by).is_between(first.first_day, last.last_day))
            assert_frame_equal(part, whole)
        # Everything was there already, but the month after the last: only then its calendar was needed.
        assert len(fetched.asked) == asked

    def test_a_fetch_goes_on_where_it_was_stopped(self, whole_window: Fetched) -> None:
        requests = [(path, *query.items()) for path, query in whole_window.asked]
        assert whole_window.asked_before_the_stop == 2000
        assert len(requests) > 4000
        assert len(set(requests)) == len(requests)

    def test_the_window_becomes_a_panel(self, whole_window: Fetched) -> None:
        tables = {name: RAW[name].check(table, name) for name, table in whole_window.tables.items()}
        assert tables["prices"]["month"].n_unique() == tables["market"].height == len(WINDOW.history) == 133
        panel = build_panel(tables, WINDOW, UniverseConfig(), "XTKS")
        PANEL.check(panel, "panel")
        members = panel.filter("in_universe", pl.col("month") == date(2019, 5, 1))
        assert members.height >= 10
        for name in ("total_return", "market_value", "net_assets", "sales"):
            assert members[name].is_not_null().mean() > 0.7  # type: ignore[operator]

    def test_the_key_is_nowhere(self, fetched: Fetched) -> None:
        assert KEY not in repr(fetched.source) + repr(fetched.source.archive) + repr(fetched.source.config)
        for path in fetched.source.archive.folder.rglob("*"):
            assert path.is_dir() or KEY.encode() not in path.read_bytes()


class TestValidation:
    @pytest.fixture
    def source(self, service: Service, tmp_path: Path) -> JQuantsSource:
        """A source whose subscription begins shortly before, so that there is little to ask for."""
        service.covered_from = date(2015, 1, 5)
        return source_of(service, tmp_path)

    def test_unknown_table(self, source: JQuantsSource) -> None:
        with pytest.raises(SourceError, match="no signals, only prices"):
            source.fetch("signals", FIRST, LAST)

    def test_session_without_bars(self, source: JQuantsSource, service: Service) -> None:
        service.spoil = lambda path, rows: [] if path == "/equities/bars/daily" and _is(rows, "2015-02-10") else rows
        with pytest.raises(SourceError, match=r"/equities/bars/daily: there is nothing of 2015-02-10, a session"):
            source.fetch("prices", FEBRUARY, FEBRUARY)

    def test_answer_for_another_day(self, source: JQuantsSource, service: Service) -> None:
        service.spoil = lambda path, rows: [row | {"Date": "2008-05-07"} for row in rows] if "master" in path else rows
        with pytest.raises(SourceError, match="/equities/master: there is nothing of 2015-02-27"):
            source.fetch("constituents", FEBRUARY, FEBRUARY)

    def test_renamed_column(self, source: JQuantsSource, service: Service) -> None:
        service.rename = {("/indices/bars/daily/topix", "C"): "Close"}
        with pytest.raises(SourceError, match=r"topix .*\['C'\] are not there; there are \['Close', 'Date'"):
            source.fetch("market", FEBRUARY, FEBRUARY)

    def test_calendar_without_a_session(self, source: JQuantsSource, service: Service) -> None:
        service.spoil = lambda path, rows: [] if "calendar" in path else rows
        with pytest.raises(SourceError, match="/markets/calendar: no session from 2015-02 to 2015-02"):
            source.fetch("constituents", FEBRUARY, FEBRUARY)

    def test_calendars_that_disagree(self, source: JQuantsSource, service: Service) -> None:
        service.spoil = lambda path, rows: [row | {"HolDiv": "1"} for row in rows] if "calendar" in path else rows
        with pytest.raises(
            SourceError, match=r"the last session of 2015-02 is 2015-02-28, but 2015-02-27 in exchange_"
        ):
            source.fetch("constituents", FEBRUARY, FEBRUARY)

    def test_month_before_the_subscription(self, source: JQuantsSource, service: Service) -> None:
        service.covered_from = date(2015, 2, 2)
        source.fetch("market", Month.parse("2015-03"), Month.parse("2015-03"))
        with pytest.raises(OutsidePlan, match="covers 2015-02-02 to now: ask for months within"):
            source.fetch("market", FEBRUARY, FEBRUARY)
        with pytest.raises(OutsidePlan):
            source.ready(Month.parse("2014-12"))

    def test_dividends_that_the_plan_has_not(self, source: JQuantsSource, service: Service) -> None:
        service.without = {"/fins/dividend"}
        with pytest.raises(SourceError, match=r"plan does not have this.*set source\.jquants\.dividends to false"):
            source.fetch("prices", FEBRUARY, FEBRUARY)

    def test_no_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("JQUANTS_API_KEY", raising=False)
        with pytest.raises(ConfigurationError, match="environment variable JQUANTS_API_KEY.*jquants_default"):
            open_source(SourceConfig(kind="jquants"))

    def test_key_from_the_environment_or_given(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        config = JQuantsConfig(base_url=service.url, cache=str(tmp_path), requests_per_minute=1e9)
        monkeypatch.setenv("JQUANTS_API_KEY", KEY)
        with caplog.at_level(logging.DEBUG):
            source = open_source(SourceConfig(kind="jquants", jquants=config))
            assert source.fetch("market", FEBRUARY, FEBRUARY).height == 1
            monkeypatch.setenv("JQUANTS_API_KEY", "wrong")
            given = open_source(SourceConfig(kind="jquants", jquants=config), KEY)
            assert given.fetch("constituents", FEBRUARY, FEBRUARY).height > 1
        assert KEY not in caplog.text
        assert KEY not in repr(source)

    def test_the_shipped_configuration(self) -> None:
        config = load_config(Path(__file__).parents[3] / "include/config/jquants.yaml")
        assert config.source.kind == "jquants"
        assert config.source.jquants is not None
        assert config.source.jquants.dividends

    def test_where_and_how_fast_is_not_in_the_digest(self) -> None:
        config = load_config(Path(__file__).parents[3] / "include/config/jquants.yaml")

        def digest(**changes: Any) -> str:
            jquants = replace(config.source.jquants, **changes)
            return replace(config, source=replace(config.source, jquants=jquants)).digest()

        assert digest(cache="/elsewhere", requests_per_minute=1.0, base_url="https://proxy.example") == config.digest()
        assert digest(dividends=False) != config.digest()


def _is(rows: list[dict[str, Any]], day: str) -> bool:
    return bool(rows) and rows[0]["Date"] == day
