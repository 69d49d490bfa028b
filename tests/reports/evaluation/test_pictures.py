from __future__ import annotations

from dataclasses import replace

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluation.trading import AFTER_COSTS
from deepfactor.reports.evaluation import pictures
from deepfactor.reports.numbers import decimal

RANKING = ["dfm1", "dfm2", "linear", "svr", "forest", "own trailing mean"]


@given(st.dictionaries(st.integers(0, 40), st.integers(-3, 3).map(float)), st.integers(1, 5))
def test_a_rolling_mean_needs_all_its_months(values: dict[int, float], months: int) -> None:
    found = pictures.rolling_mean(values, months)
    for ordinal in range(45):
        window = range(ordinal - months + 1, ordinal + 1)
        if all(each in values for each in window):
            assert abs(found[ordinal] - sum(values[each] for each in window) / months) < 1e-12
        else:
            assert ordinal not in found


def test_every_model_that_ranks_has_its_pictures(made: Evaluation) -> None:
    for columns in (pictures.rank_ics(made), pictures.drawdowns(made), pictures.turnovers(made)):
        assert [strip.name for column in columns for strip in column.strips] == RANKING
    for drawn in (pictures.quintile_wealth(made), pictures.quintile_returns(made), pictures.calibrations(made)):
        assert list(drawn) == RANKING
    assert list(pictures.followed_shares(made)) == RANKING[:3]
    assert [panel.group for panel in pictures.figure_3(made)] == [
        "highest prediction", "top quintile", "bottom quintile", "long-short"
    ]  # fmt: skip


def test_a_line_ends_at_the_last_wealth(made: Evaluation) -> None:
    for portfolio, chart in pictures.long_short_wealth(made).items():
        assert chart is not None
        names = [line.name.label for line in chart.lines]
        for model, name in zip(RANKING, names, strict=True):
            wealth = made.cumulated.filter(model=model, portfolio=portfolio).sort("close")["wealth"][-1]
            assert name == f"{model} {decimal(wealth, 2, False)}"
        assert [line.kind for line in chart.lines] == [f"m{place}" for place in range(6)]


def test_a_model_keeps_its_line_where_another_has_none(made: Evaluation) -> None:
    lacking = made.cumulated.filter(~((pl.col("model") == "dfm1") & (pl.col("portfolio") == AFTER_COSTS)))
    chart = pictures.long_short_wealth(replace(made, cumulated=lacking))[AFTER_COSTS]
    assert chart is not None
    assert [line.kind for line in chart.lines] == [f"m{place}" for place in range(1, 6)]


def test_bars_of_a_missing_month_are_missing(made: Evaluation) -> None:
    (first, _) = pictures.rank_ics(made)
    kind, path = first.strips[0].marks[0]
    assert kind == "bars"
    assert path.count("Z") == made.performance.filter(model="dfm1").height == 28


def test_counts_are_those_of_the_tables(made: Evaluation) -> None:
    told = {strip.name: strip.summary for column in pictures.counts_by_month(made) for strip in column.strips}
    assert told["Rows quarantined"] == "0 to 4 a month"
    assert told["scoring: too few descriptors"] == "4 to 6 a month"
    assert told["Without a return in the month after"] == "0 to 1 a month"
    assert told["Stocks scored, of the universe"] == "90.9 to 93.8 %"
    for column in pictures.counts_by_month(made):
        for strip in column.strips:
            labels = [tick.label for tick in strip.ticks]
            assert len(labels) == len(set(labels)) > 1


def test_one_month_has_pictures(single: Evaluation) -> None:
    (first, _) = pictures.rank_ics(single)
    assert [tick.label for tick in first.months] == ["2006-03"]
    assert pictures.turnovers(single) == ()
    assert pictures.long_short_wealth(single)[AFTER_COSTS] is None
