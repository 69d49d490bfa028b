"""Which of the evaluation's tables the page shows, and how their columns are written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl

from deepfactor.evaluating.comparisons import ABSOLUTE_ERROR, SQUARED_ERROR, in_order
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluating.exposures import ALPHA
from deepfactor.evaluation.naive import NAIVE, ZERO
from deepfactor.evaluation.portfolios import LONG_SHORT
from deepfactor.evaluation.trading import AFTER_COSTS
from deepfactor.reports.evaluation.tables import Column, View, counts, crossed, listed, months, p_value, percents, words
from deepfactor.reports.numbers import decimal, percent

# The group of Figure 3 that is followed month by month.
FOLLOWED = "top quintile"

_MODEL = {"model": "Model"}
_PAIR = {"model": "Model", "other": "Less"}
_PORTFOLIO = {"model": "Model", "portfolio": "Portfolio"}
_MONTHS = counts("months", "Months")
_P = Column("p_value", "p", p_value, 3, signed=False)
_RETURN_A_YEAR = (
    percents("annual_return", "Return, %", error="annual_return_se"),
    percents("annual_volatility", "Volatility, %", signed=False, error="annual_volatility_se"),
    Column("sharpe_ratio", "Sharpe", error="sharpe_ratio_se"),
)
_TABLE_4 = (
    _MONTHS,
    percents("mae", "MAE, %", 3, signed=False, error="mae_se"),
    percents("rmse", "RMSE, %", 3, signed=False, error="rmse_se"),
    *_RETURN_A_YEAR,
    Column("rank_ic", "Rank IC", decimal, 3, error="rank_ic_se"),
)
_SKILL = (
    _MONTHS,
    Column("rank_ic", "Rank IC", decimal, 4, error="rank_ic_se"),
    Column("rank_ic_t", "t"),
    Column("annual_information_ratio", "Information ratio", error="annual_information_ratio_se"),
    percents("positive_rank_ic", "Months above 0, %", 0, signed=False),
    percents("positive_rank_ic_lower", "from", 0, signed=False),
    percents("positive_rank_ic_upper", "to", 0, signed=False),
    percents("stock_hit_rate", "Stocks on the right side, %", signed=False, error="stock_hit_rate_se"),
)
_PORTFOLIOS = (
    _MONTHS,
    percents("mean_return", "Return a month, %", 2, error="mean_return_se"),
    Column("mean_return_t", "t"),
    *_RETURN_A_YEAR,
)
_MONOTONICITY = (
    _MONTHS,
    counts("steps_in_order", "Steps upwards of 4"),
    Column("rank_correlation", "Rank correlation of the means"),
    percents("smallest_step", "Smallest step, % a month", 2, error="smallest_step_se"),
    Column("monthly_rank_correlation", "Rank correlation, mean of months", error="monthly_rank_correlation_se"),
)
_DECILES = (
    _MONTHS,
    Column("stocks", "Stocks", decimal, 0, signed=False),
    percents("prediction", "Predicted, %", 2),
    percents("realised", "Realised, %", 2, error="realised_se"),
)
_DRAWDOWNS = (
    _MONTHS,
    percents("depth", "Deepest, %"),
    months("start", "From"),
    months("trough", "Trough"),
    months("end", "Recovered"),
    counts("length", "Lasted, months"),
    counts("longest", "The longest, months"),
    percents("depth_resampled", "Months in random order, %"),
    percents("depth_resampled_worst", "One in twenty, %"),
)
_TRADING = (
    _MONTHS,
    percents("turnover_top", "Turnover top, %", 0, signed=False, error="turnover_top_se"),
    percents("turnover_bottom", "bottom, %", 0, signed=False, error="turnover_bottom_se"),
    percents("annual_return_before_costs", "Before costs, %", error="annual_return_before_costs_se"),
    percents("annual_cost", "Costs, %", signed=False, error="annual_cost_se"),
    percents("annual_return", "After costs, %", error="annual_return_se"),
    Column("sharpe_ratio", "Sharpe", error="sharpe_ratio_se"),
    Column("break_even", "Break-even, bp", decimal, 1, signed=False, error="break_even_se"),
)
_ALPHA = (
    _MONTHS,
    percents("value", "Alpha a year, %", error="standard_error"),
    Column("t", "t"),
    _P,
    percents("lower", "95 % from", 1),
    percents("upper", "to", 1),
    percents("r_squared", "R², %", 0, signed=False),
    percents("adjusted_r_squared", "adjusted, %", 0, signed=False),
)
_SHARPE_RATIOS = (
    _MONTHS,
    Column("ratio", "Sharpe", error="standard_error"),
    Column("lower", "95 % from"),
    Column("upper", "to"),
    percents("probability", "Above 0, %", signed=False),
    counts("trials", "Tried"),
    Column("threshold", "Best by luck", signed=False),
    percents("deflated_probability", "Above it, %", signed=False),
)
_SHARPE_COMPARISONS = (
    _MONTHS,
    Column("difference", "Difference", error="standard_error"),
    Column("lower", "95 % from"),
    Column("upper", "to"),
    _P,
)
_TABLE_5 = (
    Column("spearman", "ρ", decimal, 2, error="spearman_sd"),
    Column("kendall", "τ", decimal, 2, error="kendall_sd"),
    percents("share", "Share, %", signed=False, error="share_sd"),
)
_FIGURE_3 = (
    _MONTHS,
    percents("share", "Share, %", signed=False, error="share_sd"),
    percents("dispersion", "± members, %", signed=False),
    percents("disputed", "Months disputed, %", 0, signed=False),
)
_STABILITY = (
    counts("pairs", "Pairs of months"),
    percents("moved", "Moved, %", signed=False, error="moved_se"),
    percents("same_largest", "Same largest, %", 0, signed=False),
    Column("same_order", "Rank correlation"),
)
_COVERAGE = (
    words("state", "State"),
    counts("universe", "Universe"),
    counts("scored", "Scored"),
    percents("coverage", "Coverage, %", signed=False),
    counts("rows_quarantined", "Rows quarantined"),
    counts("training_rows", "Training rows"),
    words("signal_model", "Signal model"),
    words("run_id", "Run"),
)
_PLAUSIBILITY = (
    _MONTHS,
    Column("value", "Value", decimal, 3),
    Column("threshold", "Not above", decimal, 1, signed=False),
    words("suspicious", "Too good"),
)


_TURNOVERS = (
    percents("turnover_top", "top, %", 0, signed=False),
    percents("turnover_bottom", "bottom, %", 0, signed=False),
)


def views(evaluation: Evaluation) -> dict[str, View]:
    """Return the page's tables by name, but for those of single models."""
    return _of_models(evaluation) | _of_pairs(evaluation) | _of_explanations(evaluation) | _of_months(evaluation)


def wealth_view(evaluation: Evaluation, model: str) -> View:
    """Return what one unit in each of a model's portfolios has become at each close, and how far below its high."""

    def columns(portfolio: str) -> list[Column]:
        wealth = Column("wealth", portfolio, decimal, 3, signed=False)
        falls = portfolio in {LONG_SHORT, AFTER_COSTS}
        return [wealth, percents("drawdown", "below its high, %")] if falls else [wealth]

    where = pl.col("model") == model
    return crossed(evaluation, "cumulated", f"Wealth, {model}", ("close", "Close"), "portfolio", columns, where)


def shares_view(evaluation: Evaluation, model: str) -> View:
    """Return a model's factor shares in its top quintile, month by month."""
    return crossed(
        evaluation,
        "monthly_shares",
        f"Factor shares, {model}",
        ("month", "Month"),
        "factor",
        lambda factor: [percents("share", f"{factor}, %", signed=False, error="dispersion")],
        (pl.col("model") == model) & (pl.col("group") == FOLLOWED),
    )


def _of_models(evaluation: Evaluation) -> dict[str, View]:
    show = partial(listed, evaluation)
    both = pl.col("portfolio").is_in([LONG_SHORT, AFTER_COSTS])
    is_alpha = pl.col("term") == ALPHA
    slopes = partial(crossed, name=("model", "Model"), over="term", where=~is_alpha)
    return {
        "table_4": show("table_4", "Table 4", _MODEL, _TABLE_4),
        "skill": show("skill", "Skill", _MODEL, _SKILL, pl.col("months") > 0),
        "portfolios": show("portfolio_summary", "Portfolios", _PORTFOLIO, _PORTFOLIOS),
        "monotonicity": show("monotonicity", "Order of the quintiles", _MODEL, _MONOTONICITY),
        "deciles": show("deciles", "Deciles", {"model": "Model", "decile": "Decile"}, _DECILES),
        "drawdowns": show("drawdowns", "Drawdowns", _PORTFOLIO, _DRAWDOWNS, both),
        "trading": show("trading_summary", "Trading and costs", _MODEL, _TRADING),
        "alpha": show("exposures", "Alpha", _MODEL, _ALPHA, is_alpha),
        "slopes": slopes(evaluation, "exposures", "Slopes", columns=lambda term: [Column("value", term, t="t")]),
        "sharpe_ratios": show("sharpe_ratios", "Sharpe ratios", _PORTFOLIO, _SHARPE_RATIOS),
        "plausibility": show("plausibility", "Plausibility", {"model": "Model", "check": "Check"}, _PLAUSIBILITY),
    }


def _of_pairs(evaluation: Evaluation) -> dict[str, View]:
    pairs = partial(listed, evaluation, "loss_comparisons", names=_PAIR)
    absolute, squared = (pl.col("loss") == loss for loss in (ABSOLUTE_ERROR, SQUARED_ERROR))
    models = [model for model in in_order(evaluation.performance["model"]) if model not in NAIVE]
    shown = pl.col("model").is_in(models) & pl.col("other").is_in([*models, ZERO])
    of_errors, of_squares = _losses("% a month", percent, 4), _losses("%²", _square_percent, 3)
    sharpe = listed(evaluation, "sharpe_comparisons", "Differences of Sharpe ratios", _PAIR, _SHARPE_COMPARISONS)
    return {
        "losses": pairs("Absolute errors", columns=of_errors, where=absolute & shown),
        "absolute": pairs("Absolute errors, all pairs", columns=of_errors, where=absolute),
        "squared": pairs("Squared errors, all pairs", columns=of_squares, where=squared),
        "sharpe_comparisons": sharpe,
    }


def _of_explanations(evaluation: Evaluation) -> dict[str, View]:
    show = partial(listed, evaluation)
    by_factor = {"group": "Group", "model": "Model", "factor": "Factor"}
    return {
        "table_5": crossed(evaluation, "table_5", "Table 5", ("factor", "Factor"), "model", lambda _model: _TABLE_5),
        "figure_3": show("figure_3", "Figure 3", by_factor, _FIGURE_3),
        "stability": show("share_stability", "Stability", {"group": "Group", "model": "Model"}, _STABILITY),
    }


def _of_months(evaluation: Evaluation) -> dict[str, View]:
    month = ("month", "Month")
    by_model = partial(crossed, evaluation, name=month, over="model")
    reasons = partial(crossed, name=month, over="reason", columns=lambda reason: [counts("number", reason)])
    return {
        "rank_ics": by_model("performance", "Rank ICs", columns=lambda model: [Column("rank_ic", model, decimal, 3)]),
        "turnovers": by_model("trading", "Turnover", columns=lambda _model: _TURNOVERS),
        "without_return": by_model(
            "missing_returns", "Without a return", columns=lambda model: [counts("without_return", model)]
        ),
        "coverage": listed(evaluation, "coverage", "Coverage", {"month": "Month"}, _COVERAGE),
        "exclusions": reasons(evaluation, "exclusions", "Left out"),
    }


def _losses(unit: str, shown: Callable[[Any, int, bool], str], digits: int) -> tuple[Column, ...]:
    return (
        _MONTHS,
        Column("difference", f"Difference, {unit}", shown, digits, error="standard_error"),
        Column("statistic", "Diebold-Mariano"),
        _P,
        Column("lower", "95 % from", shown, digits),
        Column("upper", "to", shown, digits),
        Column("newey_west_t", "t of Newey and West"),
    )


def _square_percent(value: float | None, digits: int, signed: bool) -> str:
    return decimal(None if value is None else value * 1e4, digits, signed)
