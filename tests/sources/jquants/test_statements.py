"""Trailing figures from the pieces that are there, and from nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from deepfactor.schemas import FUNDAMENTALS
from deepfactor.sources.jquants.endpoints import STATEMENTS
from deepfactor.sources.jquants.statements import accounts

YEAR_2013 = ("2013-04-01", "2014-03-31")
YEAR_2014 = ("2014-04-01", "2015-03-31")
Q1, FY = "1QFinancialStatements_Consolidated_JP", "FYFinancialStatements_Consolidated_JP"


def _statement(kind: str, year: tuple[str, str], end: str, disclosed: str, **figures: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(STATEMENTS.columns, "")
    return row | {
        "Code": "86970",
        "DiscDate": disclosed,
        "DiscTime": "12:00:00",
        "DiscNo": disclosed,
        "DocType": kind,
        "CurPerSt": year[0],
        "CurPerEn": end,
        "CurFYSt": year[0],
        "CurFYEn": year[1],
        "TA": "1000",
        "Eq": "400",
        **{name: str(value) for name, value in figures.items()},
    }


def _accounts(rows: list[dict[str, Any]], *, carry_cash_flow: bool = False) -> list[dict[str, Any]]:
    frame = STATEMENTS.read(rows, "").with_columns(available_from=pl.col("DiscDate"))
    table = accounts(frame, carry_cash_flow=carry_cash_flow)
    assert dict(table.schema) == FUNDAMENTALS.columns
    return table.to_dicts()


LAST_QUARTER = _statement(Q1, YEAR_2013, "2013-06-30", "2013-08-09", NP=10, OP=20, Sales=100)
LAST_YEAR = _statement(FY, YEAR_2013, "2014-03-31", "2014-05-09", NP=50, OP=90, Sales=450, CFO=70)
THIS_QUARTER = _statement(Q1, YEAR_2014, "2014-06-30", "2014-08-08", NP=12, OP=25, Sales=110)
PIECES = [LAST_QUARTER, LAST_YEAR, THIS_QUARTER]


class TestRegression:
    def test_trailing_twelve_months(self) -> None:
        row = _accounts(PIECES)[-1]
        assert row == {
            "security_id": "86970",
            "period_end": date(2014, 6, 30),
            "available_from": date(2014, 8, 8),
            "net_income": 12 + 50 - 10,
            "operating_profit": 25 + 90 - 20,
            "sales": 110 + 450 - 100,
            "operating_cash_flow": None,
            "net_assets": 400,
            "total_assets": 1000,
            "total_liabilities": 600,
        }

    def test_a_full_year_is_taken_as_it_is(self) -> None:
        (row,) = _accounts([LAST_YEAR])
        assert (row["net_income"], row["operating_cash_flow"]) == (50, 70)

    @pytest.mark.parametrize("missing", [LAST_QUARTER, LAST_YEAR])
    def test_without_a_piece_there_is_none(self, missing: dict[str, Any]) -> None:
        row = _accounts([piece for piece in PIECES if piece is not missing])[-1]
        assert row["net_income"] is row["sales"] is row["operating_profit"] is None
        assert row["total_assets"] == 1000

    def test_pieces_that_are_published_later_are_not_known(self) -> None:
        late = LAST_YEAR | {"DiscDate": "2014-08-11", "DiscNo": "2014-08-11"}
        assert _accounts([LAST_QUARTER, late, THIS_QUARTER])[-1]["net_income"] is None

    def test_a_correction_is_a_row_of_its_own(self) -> None:
        again = THIS_QUARTER | {"DiscDate": "2014-09-01", "DiscNo": "2014-09-01", "NP": "6"}
        rows = [row for row in _accounts([*PIECES, again]) if row["period_end"] == date(2014, 6, 30)]
        assert [(row["available_from"], row["net_income"]) for row in rows] == [
            (date(2014, 8, 8), 52),
            (date(2014, 9, 1), 46),
        ]

    def test_of_two_on_one_day_the_later_counts(self) -> None:
        again = THIS_QUARTER | {"DiscTime": "14:00:00", "NP": "6"}
        for rows in ([*PIECES, again], [again, *PIECES]):
            assert [row["net_income"] for row in _accounts(rows)][-1] == 46
            assert len(_accounts(rows)) == 3

    def test_a_corrected_piece_is_used_when_it_is_known(self) -> None:
        corrected = LAST_YEAR | {"DiscDate": "2014-06-02", "DiscNo": "2014-06-02", "NP": "40"}
        assert _accounts([*PIECES, corrected])[-1]["net_income"] == 12 + 40 - 10

    def test_banks_have_ordinary_profit(self) -> None:
        rows = [piece | {"OdP": piece["OP"], "OP": ""} for piece in PIECES]
        assert _accounts(rows)[-1]["operating_profit"] == 95
        # Both: operating profit, even if only ordinary profit can be put together.
        mixed = [piece | {"OdP": piece["OP"]} for piece in PIECES]
        mixed[0] |= {"OP": ""}
        assert _accounts(mixed)[-1]["operating_profit"] is None

    def test_parent_only_companies(self) -> None:
        def parent(piece: dict[str, Any]) -> dict[str, Any]:
            kind = piece["DocType"].replace("Consolidated", "NonConsolidated")
            moved = {f"NC{name}": piece[name] for name in ("Sales", "OP", "NP", "TA", "Eq")}
            return piece | dict.fromkeys(("Sales", "OP", "NP", "TA", "Eq"), "") | moved | {"DocType": kind}

        assert _accounts([parent(piece) for piece in PIECES]) == _accounts(PIECES)
        # Parent-only pieces do not complete a consolidated figure.
        for pieces in ([parent(LAST_QUARTER), parent(LAST_YEAR)], [LAST_QUARTER, parent(LAST_YEAR)]):
            assert _accounts([*pieces, THIS_QUARTER])[-1]["net_income"] is None

    def test_another_accounting_standard(self) -> None:
        def ifrs(piece: dict[str, Any]) -> dict[str, Any]:
            return piece | {"DocType": piece["DocType"].replace("_JP", "_IFRS")}

        assert _accounts([LAST_QUARTER, LAST_YEAR, ifrs(THIS_QUARTER)])[-1]["net_income"] == 52
        assert _accounts([LAST_QUARTER, ifrs(LAST_YEAR), ifrs(THIS_QUARTER)])[-1]["net_income"] is None

    @pytest.mark.parametrize(
        ("carry", "age", "expected"),
        [(True, "2014-03-31", 70), (False, "2014-03-31", None), (True, "2013-12-20", None)],
    )
    def test_carried_cash_flow(self, carry: bool, age: str, expected: float | None) -> None:
        year = (YEAR_2013[0], age) if age != YEAR_2013[1] else YEAR_2013
        last = LAST_YEAR | {"CurPerEn": age, "CurFYEn": year[1], "CurPerSt": "2012-12-21", "CurFYSt": "2012-12-21"}
        last = LAST_YEAR if age == YEAR_2013[1] else last
        row = _accounts([LAST_QUARTER, last, THIS_QUARTER], carry_cash_flow=carry)[-1]
        assert row["period_end"] == date(2014, 6, 30)
        assert row["operating_cash_flow"] == expected

    @pytest.mark.parametrize("start", ["2013-07-01", "2013-01-01"])
    def test_a_last_year_of_another_length(self, start: str) -> None:
        year = LAST_YEAR | {"CurPerSt": start, "CurFYSt": start}
        quarter = LAST_QUARTER | {"CurPerSt": start, "CurFYSt": start}
        rows = _accounts([quarter, year, THIS_QUARTER])
        assert [row["net_income"] for row in rows] == [None, None, None]

    def test_a_year_that_is_cut_short(self) -> None:
        three = ("2013-04-01", "2013-12-31")
        part = _statement("3QFinancialStatements_Consolidated_JP", YEAR_2013, three[1], "2014-02-07", NP=33)
        short = _statement(FY, ("2014-04-01", "2014-12-31"), "2014-12-31", "2015-02-10", NP=36)
        assert _accounts([part, LAST_YEAR, short])[-1]["net_income"] == 36 + 50 - 33

    def test_what_is_no_statement_is_left_out_and_counted(self, caplog: pytest.LogCaptureFixture) -> None:
        others = [
            THIS_QUARTER | {"DocType": kind, "DiscNo": "9"}
            for kind in ("EarnForecastRevision", "DividendForecastRevision", "FYFinancialStatements_Consolidated_REIT")
        ]
        empty = THIS_QUARTER | dict.fromkeys(("Sales", "OP", "NP", "TA", "Eq"), "") | {"DiscNo": "99"}
        endless = THIS_QUARTER | {"CurPerEn": "", "DiscNo": "999"}
        with caplog.at_level("INFO"):
            assert _accounts([*others, empty, endless, *PIECES]) == _accounts(PIECES)
        assert "'EarnForecastRevision': 1" in caplog.text
        assert "left out 2 without a period or any figure" in caplog.text

    def test_nothing_is_an_empty_table(self) -> None:
        assert _accounts([]) == []
