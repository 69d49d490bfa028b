import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.descriptors import NAMES, REGISTRY
from deepfactor.errors import SchemaError
from deepfactor.months import LAGS
from deepfactor.reports.month import MonthReport
from deepfactor.reports.numbers import percent
from deepfactor.reports.stock_details import LARGEST, stock_details
from deepfactor.schemas import ATTRIBUTION, FACTORS


def details(report: MonthReport, attribution: pl.DataFrame | None = None) -> dict[str, Any]:
    frame = report.attribution if attribution is None else attribution
    found: dict[str, Any] = json.loads(stock_details(report.stocks(), ATTRIBUTION.check(frame, "test")))
    return found


def written(basis_points: int, signed: bool = True) -> str:
    return percent(basis_points / 10_000, signed=signed)


@pytest.fixture(scope="module")
def report(make_report: Any) -> MonthReport:
    made: MonthReport = make_report(stocks=60, names=["</script>", "日本電産"])
    return made


class TestRegression:
    def test_a_stock(self, make_report: Any) -> None:
        found = details(make_report(stocks=24))
        assert found["lags"] == [0, 3, 6, 9, 12]
        assert found["descriptors"][11] == ["PER", "net income / market value"]
        assert {name: found[name][0] for name in ("unknown", "largest", "above", "dispersions", "others")} == {
            "unknown": [9, 25, 41, 57, 73],
            "largest": [13, 64, 4, 48, 32, 16, 8, 10, 3, 19],
            "above": [91, 100, 0, 100, 100, 100, 95, 82, 60, 60],
            "dispersions": [6, 4, 4, 4, 4, 4, 3, 3, 3, 3],
            "others": 169,
        }
        assert found["contributions"][0][:16] == [21, 15, -4, -25, 44, 7, 2, 11, 31, 0, 27, -1, -17, 58, -6, 9]


class TestProperties:
    def test_each_figure_is_the_frames(self, report: MonthReport) -> None:
        """The slow twin: each stock's inputs are looked up by their names."""
        found = details(report)
        inputs = [(name, lag) for lag in found["lags"] for name, _ in found["descriptors"]]
        assert [each for each, _ in found["descriptors"]] == list(NAMES)
        for place, security in enumerate(report.stocks()["security_id"]):
            rows = {
                (row["descriptor"], row["lag"]): row
                for row in report.attribution.filter(security_id=security).iter_rows(named=True)
            }
            assert list(map(written, found["contributions"][place])) == [
                percent(rows[each]["relevance"]) for each in inputs
            ]
            assert found["unknown"][place] == [number for number, each in enumerate(inputs) if not rows[each]["known"]]
            sizes = [abs(rows[each]["relevance"]) for each in inputs]
            largest = sorted(range(80), key=lambda number: -sizes[number])
            assert found["largest"][place] == largest[:LARGEST]
            for number, above, dispersion in zip(
                largest, found["above"][place], found["dispersions"][place], strict=False
            ):
                row = rows[inputs[number]]
                assert above <= 100 * (row["input"] + 0.5) + 1e-3 < above + 1
                assert written(dispersion, signed=False) == percent(row["dispersion"], signed=False)
            others = sum(rows[inputs[number]]["relevance"] for number in largest[LARGEST:])
            assert abs(found["others"][place] / 10_000 - others) <= 0.5e-4 + 1e-12

    def test_what_is_listed_adds_up_to_the_prediction(self, report: MonthReport) -> None:
        found = details(report)
        for place, row in enumerate(report.stocks().iter_rows(named=True)):
            listed = [found["contributions"][place][each] for each in found["largest"][place]]
            total = (sum(listed) + found["others"][place]) / 10_000 + row["bias"] + row["level"] + row["leak"]
            # Eleven figures, each rounded by itself.
            assert total == pytest.approx(row["prediction"], abs=11 * 0.5e-4 + 1e-12)
            factors = sum(row[factor] for factor in FACTORS)
            assert sum(found["contributions"][place]) / 10_000 == pytest.approx(factors, abs=80 * 0.5e-4)

    def test_order_of_rows_does_not_matter(self, report: MonthReport) -> None:
        assert details(report, report.attribution.sample(fraction=1, shuffle=True, seed=1)) == details(report)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(-0.5, 0.5).map(lambda value: value or 0.0), min_size=80, max_size=80))
    def test_rounding_is_that_of_the_page(self, make_report: Any, values: list[float]) -> None:
        one = make_report(stocks=1, models=("linear",))
        changed = one.attribution.sort("lag", "descriptor").with_columns(relevance=pl.Series(values))
        found = details(one, changed)
        shown = {(row["descriptor"], row["lag"]): percent(row["relevance"]) for row in changed.iter_rows(named=True)}
        expected = [shown[name, lag] for lag in LAGS for name in NAMES]
        assert list(map(written, found["contributions"][0])) == expected

    def test_no_text_of_the_data_is_in_it(self, report: MonthReport) -> None:
        text = stock_details(report.stocks(), ATTRIBUTION.check(report.attribution, "test"))
        assert "<" not in text
        assert "日本電産" not in text
        assert {each for pair in json.loads(text)["descriptors"] for each in pair} == {
            each for row in REGISTRY for each in (row.name, row.formula)
        }


class TestValidation:
    def test_a_stock_without_all_inputs_is_named(self, report: MonthReport) -> None:
        fewer = report.attribution.filter((pl.col("security_id") != "1384") | (pl.col("lag") > 0))
        with pytest.raises(SchemaError, match="not 80 inputs of each of 60 stocks .* such as '1384'"):
            details(report, fewer)

    def test_a_stock_without_any_is_named(self, report: MonthReport) -> None:
        with pytest.raises(SchemaError, match="such as '1384'"):
            details(report, report.attribution.filter(pl.col("security_id") != "1384"))

    def test_a_stock_without_a_signal_is_named(self, report: MonthReport) -> None:
        other = report.attribution.filter(security_id="1384").with_columns(security_id=pl.lit("AAAA"))
        with pytest.raises(SchemaError, match="such as 'AAAA'"):
            details(report, pl.concat([report.attribution, other]))
