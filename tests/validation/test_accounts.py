"""Accounts beside the same firm's others: which record is at another scale, repeated, or does not add up."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from deepfactor.months import Month
from deepfactor.schemas import FUNDAMENTALS
from deepfactor.validation.accounts import account_facts, account_months


def _firm(sizes: list[float], code: str = "1301", first: int = 2008, **changes: float) -> pl.DataFrame:
    """A record a year, announced in May; assets as given."""
    rows = [
        {
            "security_id": code,
            "period_end": date(first + n, 3, 31),
            "available_from": date(first + n, 5, 10),
            "total_assets": size,
            "total_liabilities": 0.6 * size,
            "net_assets": 0.4 * size,
            "sales": 0.9 * size,
            "net_income": 0.05 * size,
            **changes,
        }
        for n, size in enumerate(sizes)
    ]
    return pl.DataFrame(rows, schema=dict(FUNDAMENTALS.columns))


def _off(table: pl.DataFrame) -> list[int]:
    return account_facts(table).with_row_index().filter(pl.col("scale_gap") > 300)["index"].to_list()


@pytest.mark.parametrize(
    ("sizes", "wrong"),
    [
        ([100.0, 110.0, 120.0, 125_000.0], [3]),  # the newest × 1,000
        ([100.0, 0.11, 120.0, 125.0], [1]),  # one in between / 1,000
        ([100.0, 0.1, 0.11, 120.0, 125.0, 130.0], [1, 2]),  # two years of it
        ([100.0, 100_000.0], [1]),  # of two, the older one is right
        ([1.0, 4.0, 15.0, 60.0, 200.0], []),  # grows and grows
        ([100.0], []),
    ],
)
def test_which_records_are_at_another_scale(sizes: list[float], wrong: list[int]) -> None:
    assert _off(_firm(sizes)) == wrong


def test_one_figure_alone_is_no_scale() -> None:
    table = _firm([100.0, 110.0, 120.0]).with_columns(sales=pl.Series([90.0, 95.0, 0.01]))
    assert account_facts(table)["scale_gap"].max() < 2  # type: ignore[operator]


def test_a_figure_that_is_not_known_or_not_positive_leaves_the_scale_unknown() -> None:
    table = _firm([100.0, 110.0, 120.0], net_assets=-5.0)
    assert account_facts(table)["scale_gap"].to_list() == [None] * 3


def test_the_order_of_rows_does_not_matter() -> None:
    table = _firm([100.0, 110.0, 120_000.0]).vstack(_firm([7.0, 8.0, 9.0], "1302"))
    order = [3, 2, 5, 0, 4, 1]
    assert account_facts(table)[order].equals(account_facts(table[order]))


def test_repeated_figures_are_those_of_another_period() -> None:
    table = _firm([100.0, 110.0, 110.0])
    restated = table.vstack(table[1].with_columns(available_from=pl.lit(date(2009, 8, 1))))
    assert account_facts(restated)["repeated"].to_list() == [False, False, True, False]


def test_balance() -> None:
    assert account_facts(_firm([100.0], total_liabilities=80.0))["balance_gap"].item() == pytest.approx(0.2)
    assert account_facts(_firm([0.0]))["balance_gap"].item() is None


def test_first_records_where_the_vendor_begins_are_not_new_firms() -> None:
    table = _firm([1.0, 1.0, 1.0]).vstack(_firm([1.0], "1302", first=2010))
    assert account_facts(table)["first"].to_list() == [None, None, False, True]


def test_as_many_as_in_the_years_before() -> None:
    firms = pl.concat([_firm([100.0] * 4, str(1300 + n)) for n in range(20)])
    may = Month.parse("2011-05")
    fewer = firms.filter((pl.col("period_end").dt.year() < 2011) | (pl.col("security_id") < "1305"))
    none = firms.filter(pl.col("period_end").dt.year() < 2011)
    for table, ratio in ((firms, 1.0), (fewer, 0.25), (none, 0.0)):
        months = account_months(table, account_facts(table), may)
        assert months.filter(month=may.first_day)["accounts_ratio"].item() == ratio


def test_of_few_accounts_nothing_is_said() -> None:
    table = pl.concat([_firm([100.0] * 4, str(1300 + n)) for n in range(9)])
    months = account_months(table, account_facts(table), Month.parse("2011-05"))
    assert months.tail(1).select("accounts_ratio", "scale_change", "repeated_share").row(0) == (None, None, None)
