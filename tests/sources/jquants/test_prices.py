"""Month-end prices, returns and dividends, by hand and against a holder's account."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.months import Month
from deepfactor.schemas import PRICES
from deepfactor.sources.jquants.dividends import known_dividends
from deepfactor.sources.jquants.endpoints import BARS, DIVIDENDS
from deepfactor.sources.jquants.prices import month_prices

FEBRUARY, MARCH = Month.parse("2015-02"), Month.parse("2015-03")
Day = tuple[float | None, float, float]  # close, adjustment factor, dividend


def _bars(month: Month, days: list[Day]) -> pl.DataFrame:
    records = [
        {
            "Date": (month.first_day + timedelta(days=number)).isoformat(),
            "Code": "86970",
            "C": close,
            "Vo": close and 10.0,
            "Va": close and close * 10,
            "AdjFactor": factor,
        }
        for number, (close, factor, _) in enumerate(days)
    ]
    return BARS.read(records, "")


def _dividends(month: Month, days: list[Day]) -> pl.DataFrame:
    rows = [("86970", month.first_day + timedelta(days=number), amount) for number, (*_, amount) in enumerate(days)]
    schema = {"Code": pl.String, "ExDate": pl.Date, "amount": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").filter(pl.col("amount") > 0)


def _month(before: list[Day], days: list[Day]) -> list[dict[str, Any]]:
    dividends = pl.concat([_dividends(FEBRUARY, before), _dividends(MARCH, days)])
    frame = month_prices(MARCH, _bars(FEBRUARY, before), _bars(MARCH, days), dividends)
    assert frame.columns == [*PRICES.columns, "Code", "day"]
    return frame.to_dicts()


def slow_return(before: list[Day], days: list[Day]) -> float | None:
    """Follow one share from the last trade of the month before to the last one of the month."""
    start = max((number for number, day in enumerate(before) if day[0] is not None), default=None)
    end = max((number for number, day in enumerate(days) if day[0] is not None), default=None)
    if start is None or end is None:
        return None
    shares, cash = 1.0, 0.0
    for close, factor, dividend in before[start + 1 :] + days[: end + 1]:
        cash += shares * dividend
        shares /= factor
        if close is not None:
            shares, cash = shares + cash / close, 0.0
    return shares * (days[end][0] or 0.0) / (before[start][0] or 0.0) - 1


def _plain(*closes: float | None) -> list[Day]:
    return [(close, 1.0, 0.0) for close in closes]


class TestRegression:
    def test_a_month(self) -> None:
        (row,) = _month(_plain(90.0, 100.0), _plain(101.0, None, 120.0))
        assert row["security_id"] == "86970"
        assert row["month"] == MARCH.first_day
        assert row["day"] == date(2015, 3, 3)
        assert (row["close"], row["volume"], row["traded_value"]) == (120.0, 20.0, 2210.0)
        assert row["total_return"] == pytest.approx(0.2)
        assert row["total_return_price"] is row["market_value"] is row["shares_outstanding"] is None

    def test_a_split_is_no_return(self) -> None:
        (row,) = _month(_plain(100.0), [(50.0, 0.5, 0.0)])
        assert row["total_return"] == pytest.approx(0.0)
        assert row["close"] == 50.0

    def test_a_dividend_is_one(self) -> None:
        (row,) = _month(_plain(100.0), [(98.0, 1.0, 2.0), (98.0, 1.0, 0.0)])
        assert row["total_return"] == pytest.approx(0.0)

    def test_a_dividend_and_a_split_on_one_day(self) -> None:
        # 2 yen on each old share, of which there are two after the split at 49 yen.
        (row,) = _month(_plain(100.0), [(49.0, 0.5, 2.0)])
        assert row["total_return"] == pytest.approx(0.0)

    def test_a_split_after_the_last_trade_counts_in_the_next_month(self) -> None:
        days: list[Day] = [(100.0, 1.0, 0.0), (None, 0.5, 0.0)]
        (row,) = _month(_plain(100.0), days)
        assert (row["close"], row["total_return"]) == (100.0, pytest.approx(0.0))
        (row,) = _month(days, _plain(50.0))
        assert row["total_return"] == pytest.approx(0.0)

    def test_no_trade_no_row(self) -> None:
        assert _month(_plain(100.0), _plain(None, None)) == []
        (row,) = _month(_plain(None), _plain(100.0))
        assert row["total_return"] is None


prices = st.none() | st.floats(1.0, 1e4)
days = st.lists(
    st.tuples(prices, st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.2, 10.0]), st.sampled_from([0.0, 0.0, 1.5, 20.0])),
    min_size=1,
    max_size=8,
)


class TestProperties:
    @settings(max_examples=60)
    @given(days, days)
    def test_agrees_with_a_holder_who_reinvests(self, before: list[Day], month: list[Day]) -> None:
        rows = _month(before, month)
        expected = slow_return(before, month)
        if expected is None:
            assert not rows or rows[0]["total_return"] is None
        else:
            assert rows[0]["total_return"] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def _notice(number: int, published: str, **values: Any) -> dict[str, Any]:
    usual = {"Code": "86970", "PubDate": published, "PubTime": "12:00", "RefNo": str(number), "CARefNo": str(number)}
    return usual | {"StatCode": "1", "DivRate": 10.0, "ExDate": "2015-03-27"} | values


class TestDividends:
    @pytest.mark.parametrize(
        ("notices", "amounts"),
        [
            ([], [10.0]),
            ([_notice(2, "2015-03-02", StatCode="2", CARefNo="1", DivRate=12.0)], [12.0]),
            ([_notice(2, "2015-03-02", StatCode="3", CARefNo="1")], []),
            # The decision, whether it names the forecast or not, is no second dividend.
            ([_notice(2, "2015-03-20", DivRate="11")], [11.0]),
            # A revision may move the ex-date.
            ([_notice(2, "2015-03-02", StatCode="2", CARefNo="1", ExDate="2015-03-30")], [10.0]),
            ([_notice(2, "2015-03-02", StatCode="2", CARefNo="1", DivRate="-")], []),
            ([_notice(2, "2015-03-02", ExDate="2015-06-26", DivRate=3.0)], [10.0, 3.0]),
            # Of two for one day the newest, be it a revision of the older one.
            (
                [
                    _notice(2, "2015-02-20", DivRate=11.0),
                    _notice(3, "2015-03-05", StatCode="2", CARefNo="1", DivRate=13.0),
                ],
                [13.0],
            ),
            # Deleted, and announced anew.
            ([_notice(2, "2015-03-02", StatCode="3", CARefNo="1"), _notice(3, "2015-03-03", DivRate=9.0)], [9.0]),
        ],
    )
    def test_what_notices_add_up_to(self, notices: list[dict[str, Any]], amounts: list[float]) -> None:
        records = [_notice(1, "2015-02-02"), *notices]
        for order in (records, records[::-1]):
            known = known_dividends(DIVIDENDS.read(order, ""))
            assert known.sort("ExDate")["amount"].to_list() == amounts
