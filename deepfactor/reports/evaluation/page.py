"""The page of an evaluation: a single file that needs no network, published beside the evaluation's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepfactor.evaluating.coverage import NOT_KNOWN, NOT_PUBLISHED, SCORED
from deepfactor.evaluating.evaluation import TABLES, Evaluation
from deepfactor.evaluating.plausibility import sentences
from deepfactor.evaluation.naive import NAIVE
from deepfactor.reports.evaluation import pictures
from deepfactor.reports.evaluation.findings import findings
from deepfactor.reports.evaluation.paper import TABLE_4, PaperRow
from deepfactor.reports.evaluation.views import FOLLOWED, shares_view, views, wealth_view
from deepfactor.reports.pages import render_page

NAME = "report.html"
"""Of the page, in the store."""


def render_evaluation(evaluation: Evaluation, paper: Sequence[PaperRow] = TABLE_4) -> bytes:
    """Return an evaluation as one HTML page in UTF-8; the same evaluation gives the same bytes.

    Every figure of a table carries the exact value of the published table it is from. The page's content security
    policy forbids everything but its own style. Links lead to the tables that are published beside it.

    Parameters
    ----------
    evaluation
        What is shown.
    paper
        Table 4 of the paper.
    """
    quintile_wealth = pictures.quintile_wealth(evaluation)
    followed = pictures.followed_shares(evaluation)
    return render_page(
        "evaluation.html.j2",
        ("month.css", "evaluation.css"),
        None,
        evaluation=evaluation,
        paper=paper,
        naive=NAIVE,
        findings=findings(evaluation),
        views=views(evaluation),
        **_months(evaluation),
        warnings=sentences(evaluation.plausibility),
        plausible=evaluation.plausibility.drop_nulls("suspicious").height > 0,
        long_short=pictures.long_short_wealth(evaluation),
        drawdowns=pictures.drawdowns(evaluation),
        quintile_wealth=quintile_wealth,
        wealth={model: wealth_view(evaluation, model) for model in quintile_wealth},
        rank_ics=pictures.rank_ics(evaluation),
        rolling=pictures.ROLLING,
        calibrations=pictures.calibrations(evaluation),
        quintile_returns=pictures.quintile_returns(evaluation),
        turnovers=pictures.turnovers(evaluation),
        panels=pictures.figure_3(evaluation),
        group=FOLLOWED,
        followed=followed,
        shares={model: shares_view(evaluation, model) for model in followed},
        counts=pictures.counts_by_month(evaluation),
        files=("summary.md", "summary.json", "inputs.json", *(f"{name}.parquet" for name in TABLES)),
    )


def _months(evaluation: Evaluation) -> dict[str, Any]:
    states = evaluation.coverage["state"]
    counted = {name: int((states == name).sum()) for name in (SCORED, NOT_KNOWN, NOT_PUBLISHED)}
    return {"scored": counted[SCORED], "not_known": counted[NOT_KNOWN], "not_published": counted[NOT_PUBLISHED]}
