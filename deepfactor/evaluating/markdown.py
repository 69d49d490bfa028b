"""An evaluation as Markdown: what a note or a review quotes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from deepfactor.evaluating.comparisons import in_order
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluating.exposures import ALPHA
from deepfactor.evaluating.plausibility import sentences
from deepfactor.reports.numbers import decimal, legible, percent
from deepfactor.schemas import FACTORS


def summary_markdown(evaluation: Evaluation) -> str:
    """Return Tables 4 and 5, the tests between models and the Newey-West figures; ± is a standard error."""
    months = evaluation.performance["month"].n_unique()
    parts = [
        f"# Evaluation {evaluation.first} … {evaluation.last}",
        f"{months} months scored · evaluation {evaluation.id} · code {evaluation.inputs['code_version']}",
        *_warnings(evaluation),
        *(legible(note) for note in evaluation.notes),
        "## Table 4",
        "MAE and RMSE are means over months; return, volatility and Sharpe ratio of the highest fifth less the lowest, "
        "a year, before costs. ± is one standard error: of Newey and West for means, of Mertens for Sharpe ratios.",
        _table_4(evaluation),
        "## Rank IC",
        _rank_ic(evaluation),
        "## After costs",
        f"{evaluation.inputs['parameters']['basis_points']:g} basis points a side; months with a turnover only.",
        _costs(evaluation),
        "## Exposure of the long-short portfolios",
        "Alpha a year; t of Newey and West in brackets.",
        _exposures(evaluation),
        "## Diebold-Mariano",
        "Differences of the mean loss, × 10⁶ for squared errors: negative where the first is better.",
        _losses(evaluation),
        "## Sharpe ratios",
        _sharpe(evaluation),
        "## Table 5",
        "Means over months; ± is the standard deviation over months.",
        _table_5(evaluation),
    ]
    return "\n\n".join(parts) + "\n"


def _warnings(evaluation: Evaluation) -> list[str]:
    return [f"**Too good to be true:** {legible(each)}" for each in sentences(evaluation.plausibility)]


def _table_4(evaluation: Evaluation) -> str:
    rows = [
        (
            row["model"],
            row["months"],
            _beside(percent, row, "mae", 3, signed=False),
            _beside(percent, row, "rmse", 3, signed=False),
            _beside(percent, row, "annual_return"),
            _beside(percent, row, "annual_volatility", signed=False),
            _beside(decimal, row, "sharpe_ratio"),
        )
        for row in evaluation.table_4.iter_rows(named=True)
    ]
    return _table(("model", "months", "MAE %", "RMSE %", "return %", "volatility %", "Sharpe"), rows)


def _rank_ic(evaluation: Evaluation) -> str:
    by_model = {row["model"]: row for row in evaluation.skill.iter_rows(named=True)}
    rows = [
        (
            model,
            row["months"],
            _beside(decimal, row, "rank_ic", 4),
            decimal(row["rank_ic_t"]),
            _beside(decimal, row, "annual_information_ratio"),
            percent(row["positive_rank_ic"], 0, signed=False),
            percent(row["stock_hit_rate"], 1, signed=False),
        )
        for model, row in ((model, by_model[model]) for model in in_order(by_model))
        if row["months"]
    ]
    return _table(("model", "months", "rank IC", "t", "information ratio", "months > 0 %", "hit rate %"), rows)


def _costs(evaluation: Evaluation) -> str:
    by_model = {row["model"]: row for row in evaluation.trading_summary.iter_rows(named=True)}
    rows = [
        (
            model,
            row["months"],
            percent(row["turnover_top"], 0, signed=False),
            percent(row["turnover_bottom"], 0, signed=False),
            _beside(percent, row, "annual_return"),
            _beside(decimal, row, "sharpe_ratio"),
            _beside(decimal, row, "break_even", 1, signed=False),
        )
        for model, row in ((model, by_model[model]) for model in in_order(by_model))
    ]
    heading = ("model", "months", "turnover top %", "bottom %", "return %", "Sharpe", "break-even, bp")
    return _table(heading, rows)


def _exposures(evaluation: Evaluation) -> str:
    frame = evaluation.exposures
    terms = [term for term in dict.fromkeys(frame["term"]) if term not in {ALPHA, *FACTORS}]
    columns = (ALPHA, *terms, *FACTORS)
    rows = []
    for model in in_order(frame["model"]):
        of = {row["term"]: row for row in frame.filter(model=model).iter_rows(named=True)}
        cells = [
            f"{percent(of[term]['value']) + ' %' if term == ALPHA else decimal(of[term]['value'])} "
            f"({decimal(of[term]['t'], 1)})"
            for term in columns
        ]
        rows.append((model, of[ALPHA]["months"], *cells, percent(of[ALPHA]["r_squared"], 0, signed=False)))
    return _table(("model", "months", *columns, "R² %"), rows)


def _losses(evaluation: Evaluation) -> str:
    rows = []
    for row in _pairs(evaluation.loss_comparisons):
        scale = 1e6 if row["loss"] == "squared error" else 1.0
        shown = [None if row[name] is None else row[name] * scale for name in ("difference", "standard_error")]
        digits = 2 if scale > 1 else 5
        rows.append(
            (
                row["loss"],
                f"{row['model']} − {row['other']}",
                row["months"],
                f"{decimal(shown[0], digits)} ± {decimal(shown[1], digits, signed=False)}",
                decimal(row["statistic"]),
                decimal(row["p_value"], 3, signed=False),
                decimal(row["newey_west_t"]),
            )
        )
    heading = ("loss", "models", "months", "difference", "Diebold-Mariano", "p", "t of Newey and West")
    return _table(heading, rows)


def _sharpe(evaluation: Evaluation) -> str:
    rows = [
        (
            model,
            row["portfolio"],
            row["months"],
            f"{decimal(row['ratio'])} ± {decimal(row['standard_error'], signed=False)}",
            percent(row["probability"], 1, signed=False),
            f"{percent(row['deflated_probability'], 1, signed=False)} ({row['trials'] or '–'})",
        )
        for model in in_order(evaluation.sharpe_ratios["model"])
        for row in evaluation.sharpe_ratios.filter(model=model).sort("portfolio").iter_rows(named=True)
    ]
    one = _table(("model", "portfolio", "months", "Sharpe", "above 0 %", "above the best by luck % (trials)"), rows)
    pairs = [
        (
            f"{row['model']} − {row['other']}",
            row["months"],
            f"{decimal(row['difference'])} ± {decimal(row['standard_error'], signed=False)}",
            f"{decimal(row['lower'])} … {decimal(row['upper'])}",
            decimal(row["p_value"], 3, signed=False),
        )
        for row in _pairs(evaluation.sharpe_comparisons)
    ]
    return f"{one}\n\n{_table(('models', 'months', 'difference', '95 % interval', 'p of the bootstrap'), pairs)}"


def _table_5(evaluation: Evaluation) -> str:
    rows = []
    for model in in_order(evaluation.table_5["model"]):
        of = {row["factor"]: row for row in evaluation.table_5.filter(model=model).iter_rows(named=True)}
        for factor in FACTORS:
            if factor in of:
                row = of[factor]
                share = _beside(percent, row, "share", 1, signed=False, error="sd")
                correlations = [_beside(decimal, row, name, 3, error="sd") for name in ("spearman", "kendall")]
                rows.append((model, factor, row["months"], *correlations, share))
    return _table(("model", "factor", "months", "Spearman", "Kendall", "share %"), rows)


def _pairs(frame: pl.DataFrame) -> list[dict[str, Any]]:
    order = {model: place for place, model in enumerate(in_order({*frame["model"], *frame["other"]}))}
    return sorted(
        frame.iter_rows(named=True), key=lambda row: (row.get("loss", ""), order[row["model"]], order[row["other"]])
    )


def _beside(
    shown: Any, row: dict[str, Any], name: str, digits: int = 2, *, signed: bool = True, error: str = "se"
) -> str:
    """Return a figure with its uncertainty."""
    if row[name] is None:
        return str(shown(None))
    return f"{shown(row[name], digits, signed)} ± {shown(row[f'{name}_{error}'], digits, signed=False)}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return legible(str(value)).replace("|", "\\|")
