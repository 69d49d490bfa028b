from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.config import UniverseConfig
from deepfactor.errors import HistoryError, SchemaError
from deepfactor.months import Month, Window, last_session
from deepfactor.panel import build_panel
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

    def test_a_delivered_return_needs_the_month_before(self) -> None:
        returns = {
            (month, name): dict(row) | {"total_return": 0.5} for (month, name), row in _steady("gap", "whole").items()
        }
        del returns["2015-12", "gap"]
        panel = _panel(prices(returns))
        assert panel.filter(security_id="whole")["total_return"].to_list() == [None, 0.5, 0.5, 0.5]
        assert panel.filter(security_id="gap")["total_return"].to_list() == [None, None, None, 0.5]

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
        for size in (None, 1):
            panel = _panel(prices(_steady("a", "b")), universe=UniverseConfig(size=size), constituents=members)
            assert panel.filter("in_universe")["security_id"].to_list() == ["b"]

    def test_of_delivered_constituents_the_largest_by_market_value(self) -> None:
        """Each month its own; one that is not valued is none of them, nor is a larger stock that is no constituent."""
        rows = _steady("large", "middle", "small", "unvalued", "no member")
        for month in map(str, MONTHS):
            rows[month, "small"]["market_value"] = 1e8
            rows[month, "unvalued"] = {"total_return_price": 100.0}
            rows[month, "no member"]["market_value"] = 1e12
        rows["2016-02", "small"]["market_value"] = 1e10
        names = ["large", "middle", "small", "unvalued"]
        members = pl.DataFrame(
            [{"month": month.first_day, "security_id": name} for month in MONTHS[2:] for name in names]
        )
        panel = _panel(prices(rows), universe=UniverseConfig(size=2), constituents=members)
        found = panel.filter("in_universe").select(pl.col("month").dt.strftime("%Y-%m"), "security_id")
        assert set(found.rows()) == {
            ("2016-01", "large"),
            ("2016-01", "middle"),
            ("2016-02", "small"),
            ("2016-02", "large"),
        }

    def test_the_constituents_of_that_month(self) -> None:
        """Each month has its own; one without a price that month is none, one that is not valued is."""
        rows = _steady("a", "b", "gone")
        del rows["2016-02", "gone"]
        rows["2016-02", "b"] = {"total_return_price": 103.0}
        members = [("2015-12", "a"), ("2016-01", "gone"), ("2016-02", "b"), ("2016-02", "gone"), ("2016-02", "unknown")]
        table = pl.DataFrame(
            {
                "month": [Month.parse(month).first_day for month, _ in members],
                "security_id": [who for _, who in members],
            }
        )
        panel = _panel(prices(rows), constituents=table)
        found = panel.filter("in_universe").select(pl.col("month").dt.strftime("%Y-%m"), "security_id")
        assert set(found.rows()) == {("2015-12", "a"), ("2016-01", "gone"), ("2016-02", "b")}

    def test_a_delisted_stock_stays_with_its_last_return(self) -> None:
        rows = _steady("stays", "goes")
        del rows["2016-02", "goes"]
        rows["2016-01", "goes"] = {"total_return": -0.9, "market_value": 1e8}
        panel = _panel(prices(rows))
        assert _value(panel, "total_return", "2016-01", "goes") == -0.9
        assert _value(panel, "in_universe", "2016-01", "goes") is True
        assert panel.filter(security_id="goes").height == 3


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

    def test_18_months_end_with_the_month(self) -> None:
        """What ended on 31 August 2014 is used to the end of February 2016, what ended on the 28th is not."""
        ends = {"last": date(2014, 8, 31), "earlier": date(2014, 8, 28)}
        accounts = fundamentals([(name, end, date(2014, 10, 1), {"sales": 1.0}) for name, end in ends.items()])
        panel = _panel(prices(_steady(*ends)), accounts)
        assert _value(panel, "sales", "2016-02", "last") == 1.0
        assert _value(panel, "sales", "2016-02", "earlier") is None

    def test_periods_are_not_mixed(self) -> None:
        accounts = fundamentals(
            [
                ("a", date(2014, 12, 31), date(2015, 2, 10), {"sales": 1.0, "operating_profit": 2.0}),
                ("a", date(2015, 12, 31), date(2016, 2, 10), {"sales": 3.0}),
            ]
        )
        panel = _panel(prices(_steady("a")), accounts)
        assert panel["sales"].to_list() == [1.0, 1.0, 1.0, 3.0]
        assert panel["operating_profit"].to_list() == [2.0, 2.0, 2.0, None]

    def test_a_record_without_figures_is_none(self) -> None:
        accounts = fundamentals(
            [
                ("a", date(2014, 12, 31), date(2015, 2, 10), {"sales": 1.0}),
                ("a", date(2015, 12, 31), date(2016, 1, 10), {}),
            ]
        )
        assert _panel(prices(_steady("a")), accounts)["sales"].to_list() == [1.0] * 4

    def test_known_before_the_first_price(self) -> None:
        rows = {key: values for key, values in _steady("a", "new").items() if key != ("2015-11", "new")}
        accounts = fundamentals([("new", date(2015, 3, 31), date(2015, 5, 10), {"sales": 1.0})])
        panel = _panel(prices(rows), accounts)
        assert panel.filter(security_id="new")["sales"].to_list() == [1.0] * 3


WIDE = Window(Month.parse("2016-02"), training_months=30, lags=(0,), rolling_months=0)
SECURITIES = ("a", "b", "c")


@st.composite
def spans(draw: st.DrawFn) -> dict[str, tuple[int, ...]]:
    """Draw in which months of the window each stock has a price; the first has one in all."""
    count = len(WIDE.history)
    chosen = {name: draw(st.sets(st.integers(0, count - 1), max_size=count)) for name in SECURITIES[1:]}
    return {SECURITIES[0]: tuple(range(count))} | {name: tuple(sorted(each)) for name, each in chosen.items()}


days = st.integers(0, 1500).map(lambda each: date(2012, 3, 1) + timedelta(days=each))
month_ends = st.integers(0, 50).map(lambda each: (Month.parse("2012-01") + each).last_day)
announcements = st.lists(
    st.tuples(
        st.sampled_from((*SECURITIES, "unknown")),
        st.one_of(month_ends, days),
        st.one_of(days, st.sampled_from([last_session(month) for month in WIDE.history])),
        st.fixed_dictionaries({}, optional={"sales": st.floats(1, 9), "net_income": st.floats(-9, 9)}),
    ),
    max_size=25,
    unique_by=lambda each: each[:3],
)


def _as_of(records: list[tuple[str, date, date, dict[str, float]]], security: str, month: Month) -> dict[str, float]:
    """The definition: of what is known at the session, the newest period, and of that the newest announcement."""
    session = last_session(month)
    known = [each for each in records if each[0] == security and each[2] <= session and each[3]]
    if not known:
        return {}
    _, end, _, figures = max(known, key=lambda each: each[1:3])
    expires = Month.containing(end) + 18
    last = min(expires.first_day + timedelta(days=end.day - 1), expires.last_day)
    return figures if session <= last else {}


class TestOracle:
    @settings(max_examples=120, deadline=None)
    @given(spans(), announcements)
    def test_every_cell_from_its_definition(
        self, listed: dict[str, tuple[int, ...]], records: list[tuple[str, date, date, dict[str, float]]]
    ) -> None:
        rows = {
            (str(WIDE.history[index]), name): {"total_return_price": 100.0 + index**2, "market_value": 1e9 + index}
            for name, indices in listed.items()
            for index in indices
        }
        tables = {"prices": prices(rows), "fundamentals": fundamentals(records), "market": market(list(WIDE.history))}
        panel = build_panel(tables, WIDE, UniverseConfig(size=2), "XTKS")
        expected = []
        for name, indices in listed.items():
            for index in range(min(indices, default=0), max(indices, default=-1) + 1):
                month = WIDE.history[index]
                there, before = index in indices, index - 1 in indices
                change = (100.0 + index**2) / (100.0 + (index - 1) ** 2) - 1 if there and before else None
                sales, income = map(_as_of(records, name, month).get, ("sales", "net_income"))
                members = [each for each in SECURITIES if index in listed[each]][:2]
                member = there and name in members
                expected.append((month.first_day, name, there, change, sales, income, member))
        columns = ("month", "security_id", "listed", "total_return", "sales", "net_income", "in_universe")
        assert panel.select(columns).rows() == expected


class TestValidation:
    def test_too_little_history_says_what_is_needed_and_what_is_there(self) -> None:
        rows = prices(_steady("a")).filter(pl.col("month") > date(2015, 12, 1))
        with pytest.raises(
            HistoryError,
            match=r"from 2015-11 to 2016-02 .*2 are missing \(2015-11, 2015-12\), there are 2: from 2016-01",
        ):
            _panel(rows)

    def test_two_prices_of_one_month(self) -> None:
        rows = prices(_steady("a", "b"))
        with pytest.raises(
            SchemaError, match=r"the prices given to build_panel: 2 rows of prices share their key .*'b'"
        ):
            _panel(pl.concat([rows, rows.filter(security_id="b").tail(1)]))

    def test_a_price_without_a_security(self) -> None:
        rows = prices(_steady("a"))
        nobody = rows.tail(1).with_columns(security_id=pl.lit(None, pl.String))
        with pytest.raises(SchemaError, match="lack the security of some rows: validate them first"):
            _panel(pl.concat([rows, nobody]))

    def test_figures_announced_twice_on_a_day(self) -> None:
        twice = [("a", date(2015, 9, 30), date(2015, 11, 10), {"sales": sales}) for sales in (1.0, 2.0)]
        with pytest.raises(SchemaError, match=r"the fundamentals given to build_panel: 2 rows .* share their key"):
            _panel(prices(_steady("a")), fundamentals(twice))
