from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.reports.evaluation.tables import Column, counts, crossed, listed, months, p_value, percents, words


@pytest.mark.parametrize(
    ("value", "text"), [(0.0009, "< 0.001"), (0.001, "0.001"), (0.0, "< 0.001"), (0.5, "0.500"), (None, "–")]
)
def test_a_p_is_never_nothing(value: float | None, text: str) -> None:
    assert p_value(value) == text


class TestListed:
    def test_a_figure_knows_its_cell(self, made: Evaluation) -> None:
        columns = (percents("share", "Share, %", error="share_sd"), counts("months", "Months"))
        names = {"model": "Model", "factor": "Factor"}
        view = listed(made, "figure_3", "Figure 3", names, columns, pl.col("group") == "long-short")
        row = made.figure_3.filter(group="long-short", model="dfm1", factor="Risk").row(0, named=True)
        first = view.rows[0]
        assert first.names == ("dfm1", "Risk")
        share, counted = first.cells
        assert (share.value, share.of) == (row["share"], "share|dfm1|long-short|Risk")
        assert share.text == f"+{row['share'] * 100:.1f}"
        assert share.beside is not None
        assert (share.beside.value, share.beside.of) == (row["share_sd"], "share_sd|dfm1|long-short|Risk")
        assert (counted.text, counted.value, counted.beside) == ("29", 29, None)

    def test_rows_are_in_reading_order(self, made: Evaluation) -> None:
        shuffled = replace(made, portfolio_summary=made.portfolio_summary.reverse(), deciles=made.deciles.reverse())
        names = {"model": "Model", "portfolio": "Portfolio"}
        rows = listed(shuffled, "portfolio_summary", "Portfolios", names, ()).rows
        assert [row.names[1] for row in rows[:6]] == [
            "top quintile", "quintile 4", "quintile 3", "quintile 2", "bottom quintile", "long-short"
        ]  # fmt: skip
        assert [row.names[0] for row in rows[::6]] == ["dfm1", "dfm2", "linear", "svr", "forest", "own trailing mean"]
        tenths = listed(shuffled, "deciles", "Deciles", {"decile": "Decile"}, (), pl.col("model") == "svr").rows
        assert [row.names for row in tenths] == [(str(number),) for number in range(1, 11)]

    def test_what_is_not_known_is_a_dash(self, single: Evaluation) -> None:
        columns = (Column("sharpe_ratio", "Sharpe", error="sharpe_ratio_se"), percents("mae", "MAE", error="mae_se"))
        ratio, error = listed(single, "table_4", "Table 4", {"model": "Model"}, columns).rows[0].cells
        assert (ratio.text, ratio.value, ratio.beside) == ("–", None, None)
        assert error.beside is not None
        assert (error.beside.text, error.beside.value) == ("± –", None)

    def test_text_begins_at_the_left_and_months_are_months(self, made: Evaluation) -> None:
        columns = (words("state", "State"), months("month", "Month"))
        view = listed(made, "coverage", "Coverage", {"month": "Month"}, columns)
        assert [column.text for column in view.columns] == [True, False]
        assert [cell.text for cell in view.rows[9].cells] == ["not published", "2006-12"]


class TestCrossed:
    def test_a_row_for_each_month_and_columns_for_each_model(self, made: Evaluation) -> None:
        view = crossed(made, "performance", "", ("month", "Month"), "model", lambda model: [Column("rank_ic", model)])
        assert [column.heading for column in view.columns][:3] == ["dfm1", "dfm2", "linear"]
        assert view.groups == ()
        assert [row.names[0] for row in view.rows][8:10] == ["2006-11", "2007-01"]

    def test_several_columns_are_grouped(self, made: Evaluation) -> None:
        pair = [counts("stocks", "Stocks"), counts("without_return", "Without")]
        view = crossed(made, "performance", "", ("month", "Month"), "model", lambda _model: pair)
        assert view.groups[0] == ("dfm1", 2)
        assert sum(number for _, number in view.groups) == len(view.columns) == len(view.rows[0].cells) == 16

    def test_a_pair_that_is_not_there_has_an_empty_cell(self, made: Evaluation) -> None:
        lacking = made.performance.filter(~((pl.col("model") == "svr") & (pl.col("month") == pl.date(2006, 3, 1))))
        view = crossed(
            replace(made, performance=lacking),
            "performance",
            "",
            ("month", "Month"),
            "model",
            lambda model: [Column("rank_ic", model)],
        )
        assert (view.rows[0].cells[3].text, view.rows[0].cells[3].of) == ("", "")
        assert view.rows[1].cells[3].of == "rank_ic|2006-04-01|svr"
