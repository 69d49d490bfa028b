"""Which month a file is of, and what is missing from it."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from deepfactor.months import Month
from deepfactor.schemas import PRICES
from deepfactor.validation.deliveries import odd_codes, repetition, turnover

MONTH = Month.parse("2016-02")


def _members(*codes: list[str]) -> pl.DataFrame:
    """Lists of codes for consecutive months up to ``MONTH``."""
    rows = [
        {"month": (MONTH + (n + 1 - len(codes))).first_day, "security_id": code}
        for n, each in enumerate(codes)
        for code in each
    ]
    return pl.DataFrame(rows, schema={"month": pl.Date, "security_id": pl.String})


def _prices(rows: list[tuple[int, str, float | None, float | None]]) -> pl.DataFrame:
    content = [
        {"month": (MONTH + ahead).first_day, "security_id": code, "close": close, "volume": volume}
        for ahead, code, close, volume in rows
    ]
    return pl.DataFrame(content, schema=dict(PRICES.columns))


CODES = [f"{1300 + n}" for n in range(20)]


def test_turnover() -> None:
    facts = turnover(_members(CODES, [*CODES[:10], *CODES[13:], "9999"]))
    assert facts.row(0, named=True) == {
        "month": date(2016, 1, 1),
        "stocks": 20,
        "gone_share": None,
        "stocks_ratio": None,
        "new_share": None,
        "longest_gap": None,
    }
    newest = facts.row(1, named=True)
    assert (newest["stocks"], newest["gone_share"], newest["longest_gap"]) == (18, 0.15, 0.15)
    assert newest["new_share"] == pytest.approx(1 / 18)


def test_neighbours_are_told_from_strays() -> None:
    strays = turnover(_members(CODES, [code for n, code in enumerate(CODES) if n % 5]))
    assert strays["gone_share"][1] == 0.2
    assert strays["longest_gap"][1] == 0.05


@pytest.mark.parametrize("older", [1, 12, 40])
def test_an_older_file_is_found_under_the_new_date(older: int) -> None:
    old = [(-older, code, float(n), 100.0 + n) for n, code in enumerate(CODES)]
    again = [(0, code, close, volume) for _, code, close, volume in old]
    facts = repetition(_prices([*old, *again, (-2, "1300", 1e9, 1.0)]), MONTH)
    assert facts["repeated_share"].item() == 1.0
    assert facts["repeated_month"].item() == (MONTH + -older).first_day


def test_what_does_not_trade_repeats_rightly() -> None:
    facts = repetition(_prices([(-1, "1300", 10.0, 0.0), (0, "1300", 10.0, 0.0), (0, "1301", 5.0, 7.0)]), MONTH)
    assert facts.row(0)[1:] == (0.0, None)


def test_no_prices_at_all() -> None:
    assert repetition(PRICES.empty(), MONTH)["repeated_share"].to_list() == [None]


def test_codes_of_another_form() -> None:
    facts = odd_codes(_members(["1301", "130A"], ["1302", "201B", "301", "130a"], ["302", "1303"]))
    assert facts["odd_codes"].to_list() == [None, 2, 0]
