"""The 16 descriptors against a slow oracle written from Table 1 of the paper."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor import descriptors
from deepfactor.descriptors import DESCRIPTORS, FACTOR_OF, NAMES, REGISTRY, describe, documentation
from deepfactor.errors import SchemaError
from deepfactor.months import Month, Window
from deepfactor.schemas import PANEL
from tests.descriptor_oracle import Row, table_1

WINDOW = Window(Month.parse("2016-02"), training_months=130, lags=(0,), rolling_months=0)
MONTHS = list(WINDOW.history)


def _panel(stocks: dict[str, list[Row]], skipped: frozenset[int] = frozenset()) -> pl.DataFrame:
    """Return the panel of stocks that end with the window; in ``skipped`` months (by row) they are not listed."""
    records = [
        {"security_id": security, "month": month.first_day, "listed": number not in skipped, "in_universe": True, **row}
        for security, rows in stocks.items()
        for number, (month, row) in enumerate(zip(MONTHS[-len(rows) :], rows, strict=True))
    ]
    return pl.DataFrame(records, schema=dict(PANEL.columns))


# Zero and negative denominators, and amounts of tiny and of huge stocks.
AMOUNTS = (None, 0.0, -0.0, -1.0, -1e9, 1e-3, 1.0, 7.0, 1e6, 3e9, 2.5e13)
# Constants, gaps, ties, total losses, what cannot be, and returns next to which all others vanish.
ODD_RETURNS = (None, None, 0.0, 0.05, 0.1, 0.1, -1.0, -1.5, 1000.0, 1e-12, -0.999, 1e6)


@st.composite
def stock_rows(draw: st.DrawFn) -> list[Row]:
    """Draw one stock's months: noise or a constant, and some odd months among them."""
    count = draw(st.one_of(st.integers(1, len(MONTHS)), st.integers(60, len(MONTHS))))
    size = draw(st.sampled_from((0.0, 1e-6, 1e-3, 0.1, 0.1)))
    mean = draw(st.sampled_from((0.0, 0.0, 0.01, 0.3)))
    noise = random.Random(draw(st.integers(0, 2**32)))  # hypothesis would take seconds to draw so many numbers
    odd = st.dictionaries(st.integers(0, count - 1), st.sampled_from(ODD_RETURNS), max_size=12)
    own = dict(enumerate(mean + size * noise.gauss() for _ in range(count))) | draw(odd)
    of_market = dict(enumerate(0.05 * noise.gauss() for _ in range(count))) | draw(odd)
    if draw(st.booleans()):
        of_market = dict.fromkeys(of_market, draw(st.sampled_from(ODD_RETURNS)))
    accounts = [name for name in PANEL.columns if name not in ("month", "security_id", "listed", "in_universe")][5:]
    amounts = {name: draw(st.sampled_from(AMOUNTS)) for name in accounts}
    rate = draw(st.sampled_from((0.0, 0.001)))
    traded = draw(st.sampled_from(((1e3, 1e6, 1e9), AMOUNTS)))
    return [
        amounts
        | {"total_return": own[row], "excess_return": None if own[row] is None else own[row] - rate}
        | {"market_excess_return": of_market[row], "traded_value": noise.choice(traded)}
        | {"market_value": noise.choice(AMOUNTS)}
        for row in range(count)
    ]


def _row(own: float | None, of_market: float = 0.01, traded: float = 1e6) -> Row:
    return {
        "total_return": own,
        "excess_return": None if own is None else own - 0.001,
        "market_excess_return": of_market,
        "traded_value": traded,
        "market_value": 5e9,
        "net_income": 3e8,
        "net_assets": 4e9,
        "operating_profit": 5e8,
        "total_assets": 9e9,
        "total_liabilities": 5e9,
        "operating_cash_flow": 6e8,
        "sales": 1.2e10,
    }


# From the oracle.
FROZEN = {
    "60VOL": 0.07132954681332523,
    "BETA": 0.059627845763114716,
    "SKEW": -0.03588625603787152,
    "ROE": 0.075,
    "ROA": 0.05555555555555555,
    "ACCRUALS": 100000000.0,
    "LEVERAGE": 0.5555555555555556,
    "12-1MOM": -0.13798178729387756,
    "1MOM": 0.09510546532543747,
    "60MOM": -0.02387467405894106,
    "PSR": 2.4,
    "PER": 0.06,
    "PBR": 0.8,
    "PCFR": 0.12,
    "CAP": 22.33270374938051,
    "ILLIQ": 3.794767610538042e-08,
}


class TestOracle:
    @settings(max_examples=100, deadline=None)
    @given(st.data(), st.lists(stock_rows(), min_size=1, max_size=3))
    def test_all_sixteen(self, data: st.DataObject, stocks: list[list[Row]]) -> None:
        by_name = {f"s{number}": rows for number, rows in enumerate(stocks)}
        frame = describe(_panel(by_name), WINDOW)
        for security, rows in by_name.items():
            described = frame.filter(security_id=security)
            for count in {len(rows), data.draw(st.integers(1, len(rows)))}:
                found = described.row(count - 1, named=True)
                assert found["month"] == MONTHS[-len(rows) :][count - 1].first_day
                for name, expected in table_1(rows[:count]).items():
                    agrees = found[name] is None if expected is None else expected.agrees(found[name])
                    assert agrees, f"{name} of month {count}: {found[name]}, not {expected}"

    def test_a_wild_return_is_forgotten_when_it_leaves_the_window(self) -> None:
        quiet = [_row(math.sin(number) / 1e4) for number in range(len(MONTHS))]
        wild = list(quiet)
        wild[10] = _row(1000.0)
        names = ("60VOL", "SKEW", "BETA", "60MOM", "12-1MOM", "ILLIQ")
        without, after = (describe(_panel({"a": rows}), WINDOW).select(names)[71:] for rows in (quiet, wild))
        assert after.equals(without)

    def test_months_that_a_stock_skips_are_months(self) -> None:
        rows = [_row(None if 30 <= number < 40 else math.sin(number) / 10) for number in range(len(MONTHS))]
        found = describe(_panel({"a": rows}, skipped=frozenset(range(30, 40))), WINDOW)
        assert found.height == len(MONTHS) - 10
        assert all(
            expected.agrees(found.row(-1, named=True)[name])
            for name, expected in table_1(rows).items()
            if expected is not None
        )

    def test_the_registry_is_table_1(self) -> None:
        assert len(REGISTRY) == len(set(NAMES)) == 16
        assert set(table_1([dict.fromkeys(PANEL.columns)])) == set(NAMES)
        assert {factor: list(FACTOR_OF.values()).count(factor) for factor in FACTOR_OF.values()} == {
            "Risk": 3,
            "Quality": 4,
            "Momentum": 3,
            "Value": 4,
            "Size": 2,
        }
        assert all(f"| {each.name} |" in documentation() for each in REGISTRY)


class TestRegression:
    def test_frozen_numbers(self) -> None:
        """One stock whose every number follows from its position in time."""
        moves = [math.sin(number) / 10 for number in range(72)]
        rows = [_row(move, math.cos(number / 2) / 20, 1e6 + 1e4 * number) for number, move in enumerate(moves)]
        found = describe(_panel({"a": rows}), WINDOW).row(-1, named=True)
        assert {name: found[name] for name in NAMES} == pytest.approx(FROZEN, rel=1e-10)


class TestProperties:
    def test_null_never_nan_or_infinite(self, described: pl.DataFrame) -> None:
        values = described.select(NAMES)
        assert values.select(pl.all().is_finite().all()).row(0) == (True,) * 16
        assert described.columns == list(DESCRIPTORS.columns)

    def test_sorted_by_its_key(self, described: pl.DataFrame) -> None:
        assert DESCRIPTORS.check(described, "descriptors").equals(described)

    def test_a_stock_does_not_depend_on_the_others(self, panel: pl.DataFrame) -> None:
        window = Window(Month.parse("2016-02"))
        some = panel["security_id"].unique().sort().head(3).to_list()
        alone = describe(panel.filter(pl.col("security_id").is_in(some)), window)
        among = describe(panel, window).filter(pl.col("security_id").is_in(some))
        assert alone.equals(among)

    def test_blocks_of_stocks_change_nothing(self, panel: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
        window = Window(Month.parse("2016-02"))
        whole = describe(panel, window)
        monkeypatch.setattr(descriptors, "_BLOCK_ROWS", 300)
        assert describe(panel, window).equals(whole)

    def test_no_rows(self) -> None:
        empty = describe(pl.DataFrame(schema=dict(PANEL.columns)), WINDOW)
        assert empty.equals(DESCRIPTORS.empty())


class TestValidation:
    @pytest.mark.parametrize("fault", ["hole", "twice", "unsorted", "stocks unsorted"])
    def test_a_row_that_is_not_the_next_month(self, fault: str) -> None:
        panel = _panel({"a": [_row(0.1)] * 5, "b": [_row(0.1)] * 5})
        rows = {
            "hole": [0, 1, 3, 4],
            "twice": [0, 1, 1, 2],
            "unsorted": [0, 2, 1, 3],
            "stocks unsorted": [5, 6, 0, 1],
        }[fault]
        with pytest.raises(
            SchemaError, match=r"the row of a in 201\d-\d\d does not follow .* build it with build_panel"
        ):
            describe(panel[rows], WINDOW)
