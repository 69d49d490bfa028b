"""An evaluation as JSON."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from deepfactor.evaluating.coverage import NOT_KNOWN, NOT_PUBLISHED, SCORED
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluating.plausibility import CHECKS
from deepfactor.months import Month

# The tables that have a row for a model or a pair, not for a month.
SUMMARISED = (
    "table_4",
    "skill",
    "portfolio_summary",
    "monotonicity",
    "trading_summary",
    "drawdowns",
    "sharpe_ratios",
    "exposures",
    "loss_comparisons",
    "sharpe_comparisons",
    "table_5",
    "figure_3",
    "share_stability",
)


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON can hold it; figures have all their digits, returns are fractions.

    =====================  =============================================================================================
    key                    value
    =====================  =============================================================================================
    evaluation             its id; the tables lie in ``evaluations/<id>/<table>.parquet``
    from, to               as-of months of the span, ``YYYY-MM``
    months                 ``scored``, ``not_known_yet`` and ``not_published``, as-of months each
    parameters             ``missing_return``, ``basis_points`` and ``trials``
    code_version           of what computed it
    notes                  sentences that belong beside the figures
    suspicious             forecasts that are too good to be true: ``model``, ``check``, ``value``, ``threshold``,
                           ``months`` and ``reason``; null if there are too few months to tell
    ``table_4``, …         the rows of each table of ``SUMMARISED``, with the columns of its definition in
                           ``evaluation.TABLES``; null is not known, or not told of so few months
    =====================  =============================================================================================
    """
    state = evaluation.coverage.select("month", "state")
    months = {
        name.replace(" ", "_"): [_text(month) for month in state.filter(state=name)["month"]]
        for name in (SCORED, NOT_KNOWN, NOT_PUBLISHED)
    }
    content: dict[str, Any] = {
        "evaluation": evaluation.id,
        "from": evaluation.inputs["from"],
        "to": evaluation.inputs["to"],
        "months": months,
        "parameters": evaluation.inputs["parameters"],
        "code_version": evaluation.inputs["code_version"],
        "notes": list(evaluation.notes),
        "suspicious": _suspicious(evaluation),
    }
    return content | {name: _rows(getattr(evaluation, name)) for name in SUMMARISED}


def _suspicious(evaluation: Evaluation) -> list[dict[str, Any]] | None:
    if not evaluation.plausibility.drop_nulls("suspicious").height:
        return None
    reasons = {check.name: check.reason for check in CHECKS}
    return [row | {"reason": reasons[row["check"]]} for row in evaluation.suspicious.drop("suspicious").to_dicts()]


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: _text(value) if isinstance(value, date) else value for name, value in row.items()}
        for row in frame.iter_rows(named=True)
    ]


def _text(month: date) -> str:
    return str(Month.containing(month))
