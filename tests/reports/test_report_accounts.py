from typing import Any

import numpy as np
import polars as pl
import pytest

from deepfactor.descriptors import NAMES
from deepfactor.reports.accounts import beeswarms, long_short_waterfalls, stock_waterfalls
from deepfactor.reports.numbers import percent
from deepfactor.reports.waterfall import Waterfall
from deepfactor.schemas import FACTORS

MODEL = pl.col("model") == "dfm2"


def _labels(drawn: Waterfall) -> list[str]:
    return [fall.label for fall in drawn.falls]


def _tables(report: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    return report.portfolios.filter(MODEL), report.shares.filter(MODEL)


class TestStocks:
    def test_first_and_last_by_factor(self, make_report: Any) -> None:
        report = make_report(stocks=40)
        stocks = report.stocks()
        highest, lowest = stock_waterfalls(stocks, report.shares.filter(MODEL))
        for explained, row in ((highest, stocks.row(0, named=True)), (lowest, stocks.row(-1, named=True))):
            assert row["security_id"] in explained.title
            assert _labels(explained.drawn) == ["level", "bias", *FACTORS, "prediction"]
            texts = [fall.text for fall in explained.drawn.falls]
            assert texts[:-1] == [percent(row[name]) for name in ("level", "bias", *FACTORS)]
            assert texts[-1] == f"{percent(row['prediction'])} ± {percent(row['dispersion'], signed=False)}"

    def test_only_of_the_highest_is_known_what_is_disputed(self, make_report: Any) -> None:
        report = make_report(stocks=40)
        shares = report.shares.filter(MODEL).with_columns(disputed=pl.col("factor").is_in(["Risk", "Size"]))
        highest, lowest = stock_waterfalls(report.stocks(), shares)
        assert [fall.label for fall in highest.drawn.falls if fall.disputed] == ["Risk", "Size"]
        assert not any(fall.disputed for fall in lowest.drawn.falls)

    def test_a_single_stock_is_explained_once(self, make_report: Any) -> None:
        report = make_report(stocks=1)
        assert len(stock_waterfalls(report.stocks(), report.shares)) == 1


class TestLongShort:
    def test_by_factor_and_by_descriptor(self, make_report: Any) -> None:
        report = make_report(stocks=60)
        portfolios, shares = _tables(report)
        by_factor, by_descriptor = (each.drawn for each in long_short_waterfalls(portfolios, shares))
        rows = {
            (row["account"], row["name"]): row["contribution"]
            for row in portfolios.filter(portfolio="long-short").iter_rows(named=True)
        }
        assert _labels(by_factor) == ["level", "bias", *FACTORS, "prediction"]
        assert [fall.text.split(" ±")[0] for fall in by_factor.falls[2:-1]] == [
            percent(rows["factor", factor]) for factor in FACTORS
        ]
        order = sorted(NAMES, key=lambda name: -abs(rows["descriptor", name]))
        assert _labels(by_descriptor) == ["level", "bias", *order[:8], "8 others", "prediction"]
        others = sum(rows["descriptor", name] for name in order[8:])
        assert by_descriptor.falls[-2].text == percent(others)
        assert by_factor.falls[0].text == "0.00", "the level cancels out"
        assert by_factor.falls[-1].text == by_descriptor.falls[-1].text

    def test_disputed_factors_are_marked(self, make_report: Any) -> None:
        report = make_report(stocks=60)
        portfolios, shares = _tables(report)
        disputed = shares.filter(pl.col("disputed"), group="long-short")["factor"].to_list()
        by_factor, by_descriptor = (each.drawn for each in long_short_waterfalls(portfolios, shares))
        assert {fall.label for fall in by_factor.falls if fall.disputed} == set(disputed) != set()
        assert not any(fall.disputed for fall in by_descriptor.falls)

    def test_a_leak_stands_last(self, make_report: Any) -> None:
        report = make_report(stocks=60)
        portfolios, shares = _tables(report)
        leaking = portfolios.with_columns(
            contribution=pl.col("contribution")
            + pl.when(pl.col("name").is_in(["leak", "prediction"])).then(0.001).otherwise(0)
        )
        for each in long_short_waterfalls(leaking, shares):
            assert _labels(each.drawn)[-2:] == ["leak", "prediction"]
            assert each.drawn.falls[-2].text.startswith("+0.10")

    def test_a_market_without_fifths_has_none(self, make_report: Any) -> None:
        report = make_report(stocks=3)
        assert long_short_waterfalls(*_tables(report)) == []


class TestBeeswarms:
    def test_contributions_are_summed_over_lags(self, make_report: Any) -> None:
        attribution = make_report(stocks=30).attribution
        doubled = attribution.with_columns(relevance=pl.when(pl.col("lag") == 12).then(0.02).otherwise(-0.001))
        (drawn,) = beeswarms(doubled.sort("security_id", "lag", "descriptor"), 1)
        # Four lags take 0.1 percent each, one adds 2 percent: all stocks lie on one height.
        assert drawn.description.count("+1.60") == 5

    def test_all_on_one_scale(self, make_report: Any) -> None:
        attribution = make_report(stocks=60).attribution.sort("security_id", "lag", "descriptor")
        drawn = beeswarms(attribution, 6)
        assert len({each.ticks for each in drawn}) == 1
        heights = [np.cumsum([int(part) for part in _downs(each.dots)]) for each in drawn]
        assert min(map(np.min, heights)) < 15, "the scale reaches no further than the dots"
        assert max(map(np.max, heights)) > 285

    def test_without_rows_nothing_is_drawn(self, make_report: Any) -> None:
        assert beeswarms(make_report(stocks=3).attribution.clear(), 6) == []

    @pytest.mark.parametrize("count", [1, 16])
    def test_as_many_as_asked(self, make_report: Any, count: int) -> None:
        attribution = make_report(stocks=30).attribution.sort("security_id", "lag", "descriptor")
        assert len({each.descriptor for each in beeswarms(attribution, count)}) == count


def _downs(dots: str) -> list[str]:
    return [part.replace("-", " -").split()[-1] for part in dots.lower().replace("h0", "").split("m")[1:]]
