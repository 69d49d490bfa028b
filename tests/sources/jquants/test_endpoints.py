"""Reading the service's values."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import SourceError
from deepfactor.sources.jquants.endpoints import (
    BARS,
    CALENDAR,
    DIVIDENDS,
    MASTER,
    STATEMENTS,
    TOPIX,
    Endpoint,
)

BAR = {"Date": "2015-02-27", "Code": "86970", "C": 1.5, "Vo": 100.0, "Va": 150.0, "AdjFactor": 1.0}


class TestRegression:
    def test_records_become_a_frame(self) -> None:
        frame = BARS.read([BAR | {"O": 1.0}, BAR | {"Code": "130A0", "C": None, "Vo": None, "Va": ""}], "")
        assert dict(frame.schema) == BARS.columns
        assert frame.rows() == [
            (date(2015, 2, 27), "86970", 1.5, 100.0, 150.0, 1.0),
            (date(2015, 2, 27), "130A0", None, None, None, 1.0),
        ]

    @pytest.mark.parametrize("endpoint", [BARS, CALENDAR, DIVIDENDS, MASTER, STATEMENTS, TOPIX])
    def test_no_records_are_an_empty_frame(self, endpoint: Endpoint) -> None:
        assert dict(endpoint.read([], "").schema) == endpoint.columns

    @pytest.mark.parametrize("written", ["", "-", None])
    def test_what_is_not_decided_is_missing(self, written: str | None) -> None:
        notice = dict.fromkeys(DIVIDENDS.columns, "1") | {
            "PubDate": "2015-02-02",
            "DivRate": written,
            "ExDate": written,
        }
        assert DIVIDENDS.read([notice], "").select("DivRate", "ExDate").row(0) == (None, None)


class TestProperties:
    @given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
    def test_a_number_is_the_same_as_text(self, number: float) -> None:
        frame = TOPIX.read([{"Date": "2015-02-27", "C": number}, {"Date": "2015-02-27", "C": str(number)}], "")
        assert frame["C"].to_list() == [float(number)] * 2


class TestValidation:
    def test_renamed_column(self) -> None:
        renamed = {("Close" if name == "C" else name): value for name, value in BAR.items()}
        message = (
            r"/equities/bars/daily \(date=2015-02-27\): the columns \['C'\] are not there; there are \['AdjFactor', 'Cl"
        )
        with pytest.raises(SourceError, match=message):
            BARS.read([BAR, renamed], "date=2015-02-27")

    @pytest.mark.parametrize(
        ("column", "value", "kind"),
        [
            ("C", "1,5", "Float64"),
            ("C", float("nan"), "Float64"),
            ("C", "inf", "Float64"),
            ("C", True, "Float64"),
            ("C", [1.5], "Float64"),
            ("Date", "27/02/2015", "Date"),
            ("Date", 20150227, "Date"),
            ("Code", 86970, "String"),
        ],
    )
    def test_value_of_another_kind(self, column: str, value: Any, kind: str) -> None:
        with pytest.raises(SourceError, match=rf"{column} is .* for code .*, which cannot be read as {kind}"):
            BARS.read([BAR | {column: value}], "")

    def test_columns_are_those_of_the_client(self) -> None:
        from jquantsapi import constants

        for endpoint, known in (
            (BARS, constants.EQ_BARS_DAILY_COLUMNS_V2),
            (MASTER, constants.EQ_MASTER_COLUMNS_V2),
            (STATEMENTS, constants.FIN_SUMMARY_COLUMNS_V2),
            (DIVIDENDS, constants.FINS_DIVIDEND_COLUMNS_V2),
            (TOPIX, constants.INDICES_TOPIX_COLUMNS_V2),
            (CALENDAR, constants.MARKETS_TRADING_CALENDAR_COLUMNS_V2),
        ):
            assert set(endpoint.columns) <= set(known)
            assert set(endpoint.columns.values()) <= {pl.Float64, pl.Date, pl.String}


class TestWhatNobodyDocuments:
    @pytest.mark.parametrize("record", [5, "x" * 9_000, None, ["Date"]])
    def test_what_is_no_record(self, record: Any) -> None:
        with pytest.raises(SourceError, match=r"J-Quants .* stands where a record belongs. The service has") as caught:
            BARS.read([record], "date=2016-02-29")
        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize("value", [10**400, [], {}, True, "x" * 9_000])
    def test_what_is_no_number(self, value: Any) -> None:
        with pytest.raises(SourceError, match=r"J-Quants .*: C is .*, which cannot be read as Float64") as caught:
            BARS.read([BAR | {"C": value}], "date=2016-02-29")
        assert len(str(caught.value)) < 500

    def test_half_of_a_character(self) -> None:
        with pytest.raises(SourceError, match=r"J-Quants .*: Code is '\\ud800' .*, which cannot be read as String"):
            BARS.read([BAR | {"Code": "\ud800"}], "date=2016-02-29")
