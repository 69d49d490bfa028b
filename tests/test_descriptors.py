"""The 16 descriptors against a slow oracle written from Table 1 of the paper."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.descriptors import DESCRIPTORS, FACTOR_OF, NAMES, REGISTRY, describe, documentation
from deepfactor.months import Month, Window
from deepfactor.schemas import PANEL

WINDOW = Window(Month.parse("2016-02"), training_months=1, lags=(0,), rolling_months=70)
MONTHS = list(WINDOW.history)

Row = dict[str, float | None]
Number = float | None


def _rows_of(rows: Sequence[Row], count: int, column: str) -> list[float]:
    """The last ``count`` months' known values of a column."""
    return [value for row in rows[-count:] if (value := row[column]) is not None]


def _compounded(returns: list[float], needed: int) -> Number:
    return math.prod(1 + each for each in returns) - 1 if len(returns) >= needed else None


def _over(numerator: Number, denominator: Number) -> Number:
    if numerator is None or denominator is None or denominator <= 0:
        return None
    return numerator / denominator


def _skewness(returns: list[float]) -> Number:
    if len(returns) < 36 or statistics.stdev(returns) <= 1e-9:
        return None
    n, mean = len(returns), statistics.fmean(returns)
    second = math.fsum((each - mean) ** 2 for each in returns) / n
    third = math.fsum((each - mean) ** 3 for each in returns) / n
    return math.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5


def _beta(rows: Sequence[Row]) -> Number:
    pairs = [
        (market, stock)
        for row in rows[-60:]
        if (market := row["market_excess_return"]) is not None and (stock := row["excess_return"]) is not None
    ]
    if len(pairs) < 36 or statistics.pvariance([market for market, _ in pairs]) <= 1e-12:
        return None
    return statistics.linear_regression(*zip(*pairs, strict=True)).slope


def _illiquidity(rows: Sequence[Row]) -> Number:
    known = [
        abs(change) / value
        for row in rows[-12:]
        if (change := row["total_return"]) is not None and (value := row["traded_value"]) is not None and value > 0
    ]
    return statistics.fmean(known) if len(known) >= 9 else None


def oracle(rows: Sequence[Row]) -> dict[str, Number]:
    """Compute Table 1 for the last of one stock's months."""
    now = rows[-1]
    five_years = _rows_of(rows, 60, "total_return")
    operating, cash = now["operating_profit"], now["operating_cash_flow"]
    size = now["market_value"]
    return {
        "60VOL": statistics.stdev(five_years) if len(five_years) >= 36 else None,
        "BETA": _beta(rows),
        "SKEW": _skewness(five_years),
        "ROE": _over(now["net_income"], now["net_assets"]),
        "ROA": _over(operating, now["total_assets"]),
        "ACCRUALS": None if operating is None or cash is None else cash - operating,
        "LEVERAGE": _over(now["total_liabilities"], now["total_assets"]),
        "12-1MOM": _compounded(_rows_of(rows[:-1], 11, "total_return"), 9),
        "1MOM": now["total_return"],
        "60MOM": _compounded(five_years, 36),
        "PSR": _over(now["sales"], size),
        "PER": _over(now["net_income"], size),
        "PBR": _over(now["net_assets"], size),
        "PCFR": _over(cash, size),
        "CAP": math.log(size) if size is not None and size > 0 else None,
        "ILLIQ": _illiquidity(rows),
    }


def _panel(stocks: dict[str, list[Row]]) -> pl.DataFrame:
    records = [
        {"security_id": security, "month": month.first_day, "listed": True, "in_universe": True, **row}
        for security, rows in stocks.items()
        for month, row in zip(MONTHS[-len(rows) :], rows, strict=True)
    ]
    return pl.DataFrame(records, schema=dict(PANEL.columns))


amounts = st.one_of(st.none(), st.just(0.0), st.floats(-1e6, -1.0), st.floats(1.0, 1e6))
returns = st.one_of(st.none(), st.just(0.0), st.floats(-0.6, 1.5).map(lambda each: round(each, 3)))


@st.composite
def stock_rows(draw: st.DrawFn) -> list[Row]:
    """Draw one stock's months: gaps, constant returns, zero and negative denominators."""
    count = draw(st.integers(1, len(MONTHS)))
    constant = draw(st.booleans())
    same = draw(returns)
    series = [same if constant else each for each in draw(st.lists(returns, min_size=count, max_size=count))]
    market = draw(st.lists(returns, min_size=count, max_size=count))
    accounts = {name: draw(amounts) for name in PANEL.columns if name.endswith(("income", "assets", "profit", "flow"))}
    fixed = accounts | {"total_liabilities": draw(amounts), "sales": draw(amounts)}
    return [
        fixed
        | {"total_return": own, "excess_return": own, "market_excess_return": of_market}
        | {"traded_value": draw(amounts), "market_value": draw(amounts)}
        for own, of_market in zip(series, market, strict=True)
    ]


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
    @settings(max_examples=60, deadline=None)
    @given(st.lists(stock_rows(), min_size=1, max_size=3))
    def test_all_sixteen(self, stocks: list[list[Row]]) -> None:
        by_name = {f"s{number}": rows for number, rows in enumerate(stocks)}
        frame = describe(_panel(by_name), WINDOW)
        for security, rows in by_name.items():
            found = frame.filter(pl.col("security_id") == security, pl.col("month") == MONTHS[-1].first_day).row(
                0, named=True
            )
            for name, expected in oracle(rows).items():
                if expected is None:
                    assert found[name] is None, name
                else:
                    # Rolling sums carry the rounding of what has left the window: 1e-9 of a wild month's size.
                    assert found[name] == pytest.approx(expected, rel=1e-7, abs=1e-9), name

    def test_the_registry_is_table_1(self) -> None:
        assert len(REGISTRY) == len(set(NAMES)) == 16
        assert set(oracle([dict.fromkeys(PANEL.columns)])) == set(NAMES)
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
        moves = [math.sin(number) / 10 for number in range(len(MONTHS))]
        rows: list[Row] = [
            {
                "total_return": move,
                "excess_return": move - 0.001,
                "market_excess_return": math.cos(number / 2) / 20,
                "traded_value": 1e6 + 1e4 * number,
                "market_value": 5e9,
                "net_income": 3e8,
                "net_assets": 4e9,
                "operating_profit": 5e8,
                "total_assets": 9e9,
                "total_liabilities": 5e9,
                "operating_cash_flow": 6e8,
                "sales": 1.2e10,
            }
            for number, move in enumerate(moves)
        ]
        found = describe(_panel({"a": rows}), WINDOW).row(-1, named=True)
        assert {name: found[name] for name in NAMES} == pytest.approx(FROZEN, rel=1e-10)


class TestProperties:
    def test_null_never_nan_or_infinite(self, described: pl.DataFrame) -> None:
        values = described.select(NAMES)
        assert values.select(pl.all().is_finite().all()).row(0) == (True,) * 16
        assert described.columns == list(DESCRIPTORS.columns)

    def test_a_stock_does_not_depend_on_the_others(self, panel: pl.DataFrame) -> None:
        window = Window(Month.parse("2016-02"))
        some = panel["security_id"].unique().sort().head(3).to_list()
        alone = describe(panel.filter(pl.col("security_id").is_in(some)), window)
        among = describe(panel, window).filter(pl.col("security_id").is_in(some))
        assert alone.equals(among)
