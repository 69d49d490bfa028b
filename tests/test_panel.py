from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfactor.config import UniverseConfig
from deepfactor.descriptors import DESCRIPTORS, describe
from deepfactor.errors import HistoryError
from deepfactor.months import Month, Window
from deepfactor.panel import build_panel
from tests.conftest import AS_OF
from tests.panels import fundamentals, market, prices

WINDOW = Window(Month.parse("2016-02"), training_months=1, lags=(0,), rolling_months=2)
MONTHS = list(WINDOW.history)  # 2015-11 … 2016-02


def _panel(
    price_rows: pl.DataFrame,
    accounts: pl.DataFrame | None = None,
    universe: UniverseConfig | None = None,
    **more: pl.DataFrame,
) -> pl.DataFrame:
    tables = {
        "prices": price_rows,
        "fundamentals": fundamentals([]) if accounts is None else accounts,
        "market": market(MONTHS),
        **more,
    }
    return build_panel(tables, WINDOW, universe or UniverseConfig(), "XTKS")


def _value(panel: pl.DataFrame, column: str, month: str, security: str) -> object:
    row = panel.filter(pl.col("month") == Month.parse(month).first_day, pl.col("security_id") == security)
    return row[column].item()


def _steady(*securities: str) -> dict[tuple[str, str], dict[str, float | None]]:
    return {
        (str(month), security): {"total_return_price": 100.0 + number, "market_value": 1e9}
        for security in securities
        for number, month in enumerate(MONTHS)
    }


class TestReturns:
    def test_a_return_is_taken_from_the_calendar_month_before(self) -> None:
        rows = _steady("gap", "whole")
        del rows["2015-12", "gap"]
        panel = _panel(prices(rows))
        assert _value(panel, "total_return", "2016-01", "whole") == pytest.approx(102 / 101 - 1)
        assert _value(panel, "total_return", "2016-01", "gap") is None  # not 102 / 100 - 1
        assert _value(panel, "total_return", "2016-02", "gap") == pytest.approx(103 / 102 - 1)
        assert _value(panel, "listed", "2015-12", "gap") is False

    def test_a_delivered_return_wins_over_the_price(self) -> None:
        rows = _steady("a")
        rows["2016-02", "a"] = {"total_return_price": 200.0, "total_return": -0.5, "market_value": 1e9}
        assert _value(_panel(prices(rows)), "total_return", "2016-02", "a") == -0.5

    def test_excess_returns(self) -> None:
        panel = _panel(prices(_steady("a")))
        assert _value(panel, "excess_return", "2016-02", "a") == pytest.approx(103 / 102 - 1 - 0.001)
        assert _value(panel, "market_excess_return", "2016-02", "a") == pytest.approx(0.009)


class TestUniverse:
    def test_the_largest_by_market_value_ties_by_name(self) -> None:
        rows = _steady("c", "b", "a", "tiny")
        rows["2016-02", "tiny"] = {"total_return_price": 1.0, "close": 10.0, "shares_outstanding": 5.0}
        panel = _panel(prices(rows), universe=UniverseConfig(size=2))
        members = panel.filter("in_universe", pl.col("month") == date(2016, 2, 1))["security_id"]
        assert members.to_list() == ["a", "b"]
        assert _value(panel, "market_value", "2016-02", "tiny") == 50.0

    def test_delivered_constituents_win(self) -> None:
        members = pl.DataFrame({"month": [date(2016, 2, 1)], "security_id": ["b"]})
        panel = _panel(prices(_steady("a", "b")), universe=UniverseConfig(size=1), constituents=members)
        assert panel.filter("in_universe")["security_id"].to_list() == ["b"]


class TestFigures:
    def test_known_from_the_last_session_on(self) -> None:
        """2016-01 closes on Friday the 29th; what is announced on Saturday is not known that month."""
        accounts = fundamentals(
            [
                ("friday", date(2015, 12, 31), date(2016, 1, 29), {"sales": 1.0}),
                ("saturday", date(2015, 12, 31), date(2016, 1, 30), {"sales": 1.0}),
            ]
        )
        panel = _panel(prices(_steady("friday", "saturday")), accounts)
        assert _value(panel, "sales", "2016-01", "friday") == 1.0
        assert _value(panel, "sales", "2016-01", "saturday") is None
        assert _value(panel, "sales", "2016-02", "saturday") == 1.0

    def test_a_restatement_changes_no_earlier_month(self) -> None:
        accounts = fundamentals(
            [
                ("a", date(2015, 9, 30), date(2015, 11, 10), {"sales": 1.0}),
                ("a", date(2015, 9, 30), date(2016, 1, 10), {"sales": 2.0}),
            ]
        )
        panel = _panel(prices(_steady("a")), accounts)
        assert panel["sales"].to_list() == [1.0, 1.0, 2.0, 2.0]

    def test_an_old_period_restated_late_does_not_displace_a_newer_one(self) -> None:
        accounts = fundamentals(
            [
                ("a", date(2015, 9, 30), date(2015, 11, 10), {"sales": 1.0}),
                ("a", date(2014, 9, 30), date(2016, 1, 10), {"sales": 9.0}),
            ]
        )
        assert _panel(prices(_steady("a")), accounts)["sales"].to_list() == [1.0] * 4

    def test_figures_older_than_18_months_are_too_old(self) -> None:
        accounts = fundamentals([("a", date(2014, 7, 31), date(2014, 9, 10), {"sales": 1.0})])
        assert _panel(prices(_steady("a")), accounts)["sales"].to_list() == [1.0, 1.0, 1.0, None]


class TestNothingLaterIsSeen:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(factor=st.floats(0.01, 100), shift=st.integers(1, 12))
    def test_what_happens_after_the_month_changes_nothing(
        self, raw_tables: dict[str, pl.DataFrame], factor: float, shift: int
    ) -> None:
        window = Window(AS_OF)
        later = raw_tables["prices"].filter(pl.col("month") == AS_OF.first_day)
        later = later.with_columns(month=pl.lit((AS_OF + shift).first_day), close=pl.col("close") * factor)
        news = raw_tables["fundamentals"].with_columns(
            available_from=pl.lit(date(2016, 3, shift)), sales=pl.col("sales") * factor
        )
        disturbed = {
            **raw_tables,
            "prices": pl.concat([raw_tables["prices"], later]),
            "fundamentals": pl.concat([raw_tables["fundamentals"], news]),
            "market": pl.concat([raw_tables["market"], market([AS_OF + shift])]),
        }
        described = [
            describe(build_panel(tables, window, UniverseConfig(), "XTKS"), window)
            for tables in (raw_tables, disturbed)
        ]
        assert described[0].equals(described[1])
        assert described[0].columns == list(DESCRIPTORS.columns)


class TestValidation:
    def test_too_little_history_says_what_is_needed_and_what_is_there(self) -> None:
        rows = prices(_steady("a")).filter(pl.col("month") > date(2015, 12, 1))
        with pytest.raises(
            HistoryError,
            match=r"from 2015-11 to 2016-02 .*2 are missing \(2015-11, 2015-12\), there are 2: from 2016-01",
        ):
            _panel(rows)
