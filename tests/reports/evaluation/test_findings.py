from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluation.significance import critical_t
from deepfactor.reports.evaluation.findings import NOT_SHOWN, SHOWN, TOO_FEW, Finding, findings
from tests.evaluating.made_evaluation import made_evaluation

ZERO_QUESTION = "Are the forecasts closer to the returns than always forecasting zero?"


def answers(evaluation: Evaluation) -> dict[str, Finding]:
    return {each.question: each for each in findings(evaluation)}


def with_losses(evaluation: Evaluation, difference: float, p_value: float) -> Evaluation:
    """Every pair's absolute errors differ by as much, with that p."""
    changed = evaluation.loss_comparisons.with_columns(
        difference=pl.lit(difference), p_value=pl.lit(p_value), standard_error=pl.lit(0.0001)
    )
    return replace(evaluation, loss_comparisons=changed)


class TestRegression:
    def test_frozen(self, made: Evaluation) -> None:
        found = findings(made)
        assert [each.outcome for each in found] == [NOT_SHOWN, SHOWN, SHOWN, NOT_SHOWN, NOT_SHOWN, SHOWN]
        assert found[0].answer == (
            "Of no model. The best: dfm1 0.014 ± 0.031 percentage points a month smaller, p 0.662. "
            "The opposite: forest 0.474 ± 0.084 percentage points a month larger, p < 0.001."
        )
        assert found[3].answer == (
            "Of no model. The best: dfm1 Sharpe ratio +2.35 ± 0.75, above the best of 5 by luck with 94.0 % confidence."
        )

    def test_of_one_month_nothing_is_said(self, single: Evaluation) -> None:
        assert {each.outcome for each in findings(single)} == {TOO_FEW}
        assert {each.answer for each in findings(single)} == {"Nothing can be told of so few."}


class TestProperties:
    @pytest.mark.parametrize(
        ("difference", "p_value", "outcome", "begin"),
        [
            (-0.001, 0.049, SHOWN, "Yes: dfm1 0.100 ± 0.010 percentage points a month smaller, p 0.049; dfm2"),
            (-0.001, 0.051, NOT_SHOWN, "Of no model. The best: dfm1 0.100 ± 0.010 percentage points a month smaller"),
            (-0.001, 0.0001, SHOWN, "Yes: dfm1 0.100 ± 0.010 percentage points a month smaller, p < 0.001; dfm2"),
            (0.001, 0.001, NOT_SHOWN, "Of no model. The best: dfm1 0.100 ± 0.010 percentage points a month larger, p"),
        ],
    )
    def test_a_difference_counts_if_chance_seldom_gives_it(
        self, made: Evaluation, difference: float, p_value: float, outcome: str, begin: str
    ) -> None:
        found = answers(with_losses(made, difference, p_value))[ZERO_QUESTION]
        assert found.outcome == outcome
        assert found.answer.startswith(begin)
        assert ("The opposite" in found.answer) == (difference > 0 and p_value < 0.05)

    @pytest.mark.parametrize(("beyond", "outcome"), [(1.001, SHOWN), (0.999, NOT_SHOWN)])
    def test_a_rank_ic_counts_if_its_t_exceeds_what_chance_gives(
        self, made: Evaluation, beyond: float, outcome: str
    ) -> None:
        t = critical_t(28) * beyond
        skill = made.skill.with_columns(rank_ic_t=pl.lit(t), months=pl.lit(28, dtype=pl.Int64))
        found = answers(replace(made, skill=skill))["Do they rank stocks better than chance?"]
        assert found.outcome == outcome

    def test_naive_forecasts_are_no_models(self, made: Evaluation) -> None:
        for each in findings(made):
            assert "mean +" not in each.answer
            assert "own trailing" not in each.answer
            assert "zero " not in each.answer

    def test_every_figure_told_is_one_of_the_tables(self, made: Evaluation) -> None:
        row = made.trading_summary.filter(model="dfm1").row(0, named=True)
        found = answers(made)["Does the long-short portfolio earn anything after costs?"].answer
        figures = f"dfm1 +{row['annual_return'] * 100:.1f} ± {row['annual_return_se'] * 100:.1f} % a year after costs"
        assert f"{figures}, nothing left at {row['break_even']:.0f} basis points a side" in found

    def test_without_a_linear_model_no_deep_one_is_held_against_it(self) -> None:
        assert len(findings(made_evaluation(2, ("dfm1", "svr")))) == 5


def test_names_are_legible(made: Evaluation) -> None:
    evil = "dfm\N{RIGHT-TO-LEFT OVERRIDE}1"
    frames: dict[str, Any] = {
        name: frame.with_columns(pl.col("model").replace("dfm1", evil))
        for name, frame in made.frames().items()
        if "model" in frame.columns
    }
    assert not any("\N{RIGHT-TO-LEFT OVERRIDE}" in each.answer for each in findings(replace(made, **frames)))
