"""An evaluation: every table of it, and the words that belong beside the figures."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from deepfactor.evaluating import tables
from deepfactor.evaluating.comparisons import loss_comparisons, sharpe_comparisons, sharpe_ratios
from deepfactor.evaluating.deciles import deciles
from deepfactor.evaluating.explanations import figure_3, share_stability, table_5
from deepfactor.evaluating.exposures import exposures, market_returns
from deepfactor.evaluating.materials import Materials
from deepfactor.evaluating.notes import notes
from deepfactor.evaluating.parameters import USUAL, Parameters, evaluation_version
from deepfactor.evaluating.plausibility import plausibility
from deepfactor.evaluation import drawdown, factors, forecasts, missing, performance, portfolios, quintiles, skill
from deepfactor.evaluation import table_4 as paper
from deepfactor.evaluation import trading as costs
from deepfactor.months import Month
from deepfactor.objects import json_to_bytes
from deepfactor.schemas import Table

TABLES: dict[str, Table] = {
    "table_4": paper.TABLE_4,
    "performance": performance.PERFORMANCE,
    "skill": skill.SKILL,
    "missing_returns": missing.MISSING,
    "portfolio_returns": portfolios.PORTFOLIO_RETURNS,
    "portfolio_summary": quintiles.PORTFOLIO_SUMMARY,
    "monotonicity": quintiles.MONOTONICITY,
    "deciles": tables.DECILES,
    "trading": costs.TRADING,
    "trading_summary": costs.TRADING_SUMMARY,
    "cumulated": drawdown.CUMULATED,
    "drawdowns": drawdown.DRAWDOWNS,
    "market_returns": tables.MARKET_RETURNS,
    "factor_returns": factors.FACTOR_RETURNS,
    "exposures": tables.EXPOSURES,
    "loss_comparisons": tables.LOSS_COMPARISONS,
    "sharpe_comparisons": tables.SHARPE_COMPARISONS,
    "sharpe_ratios": tables.SHARPE_RATIOS,
    "plausibility": tables.PLAUSIBILITY,
    "table_5": tables.TABLE_5,
    "figure_3": tables.FIGURE_3,
    "share_stability": tables.SHARE_STABILITY,
    "monthly_shares": tables.MONTHLY_SHARES,
    "monthly_correlations": tables.MONTHLY_CORRELATIONS,
    "coverage": tables.COVERAGE,
    "exclusions": tables.EXCLUSIONS,
    "forecasts": forecasts.FORECASTS,
}
"""Every table by its name here and in the store; columns with their units stand where the table is defined."""


@dataclass(frozen=True)
class Evaluation:
    """What the published months of a span were worth; each frame is the table of its name in ``TABLES``.

    Attributes
    ----------
    inputs
        Every run that was read, the parameters, and the code: what decides everything else.
    notes
        What has to be said beside the figures: months that are missing, and why figures are.
    """

    inputs: dict[str, Any]
    notes: tuple[str, ...]
    table_4: pl.DataFrame
    performance: pl.DataFrame
    skill: pl.DataFrame
    missing_returns: pl.DataFrame
    portfolio_returns: pl.DataFrame
    portfolio_summary: pl.DataFrame
    monotonicity: pl.DataFrame
    deciles: pl.DataFrame
    trading: pl.DataFrame
    trading_summary: pl.DataFrame
    cumulated: pl.DataFrame
    drawdowns: pl.DataFrame
    market_returns: pl.DataFrame
    factor_returns: pl.DataFrame
    exposures: pl.DataFrame
    loss_comparisons: pl.DataFrame
    sharpe_comparisons: pl.DataFrame
    sharpe_ratios: pl.DataFrame
    plausibility: pl.DataFrame
    table_5: pl.DataFrame
    figure_3: pl.DataFrame
    share_stability: pl.DataFrame
    monthly_shares: pl.DataFrame
    monthly_correlations: pl.DataFrame
    coverage: pl.DataFrame
    exclusions: pl.DataFrame
    forecasts: pl.DataFrame

    @property
    def id(self) -> str:
        """Hash of ``inputs``: the same months, parameters and code have the same one."""
        return hashlib.sha256(json_to_bytes(self.inputs)).hexdigest()[:16]

    @property
    def first(self) -> Month:
        """First as-of month of the span."""
        return Month.parse(self.inputs["from"])

    @property
    def last(self) -> Month:
        """Last as-of month of the span."""
        return Month.parse(self.inputs["to"])

    @property
    def suspicious(self) -> pl.DataFrame:
        """The rows of ``plausibility`` that are too good to be true."""
        return self.plausibility.filter("suspicious")

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return every table by its name."""
        return {name: getattr(self, name) for name in TABLES}


def evaluated(materials: Materials, parameters: Parameters = USUAL) -> Evaluation:
    """Evaluate what published months say; the same materials and parameters give the same bytes.

    Parameters
    ----------
    materials
        What :func:`deepfactor.evaluating.materials.read_materials` has read.
    parameters
        What is supposed.

    Raises
    ------
    ConfigurationError
        If a parameter is not what it should be.
    """
    missing_return = parameters.missing_return
    by_month = performance.monthly_performance(materials.forecasts, missing_return)
    earned = portfolios.portfolio_returns(materials.forecasts, missing_return)
    traded = costs.trading(materials.forecasts, missing_return, parameters.basis_points)
    series = pl.concat([earned.select(*drawdown.SERIES.columns), costs.after_costs(traded)])
    own = factors.factor_returns(factors.factor_forecasts(materials.scores, materials.returns), missing_return)
    market = market_returns(materials.forecasts, materials.market)
    long_short = series.filter(pl.col("portfolio").is_in([portfolios.LONG_SHORT, costs.AFTER_COSTS]))
    frames = {
        "table_4": paper.table_4(by_month),
        "performance": by_month,
        "skill": skill.skill(by_month),
        "missing_returns": missing.missing_returns(materials.forecasts),
        "portfolio_returns": earned,
        "portfolio_summary": quintiles.portfolio_summary(earned),
        "monotonicity": quintiles.monotonicity(earned),
        "deciles": deciles(materials.forecasts),
        "trading": traded,
        "trading_summary": costs.trading_summary(traded),
        "cumulated": drawdown.cumulated(series),
        "drawdowns": drawdown.drawdowns(series),
        "market_returns": market,
        "factor_returns": own,
        "exposures": exposures(by_month, own, market),
        "loss_comparisons": loss_comparisons(by_month),
        "sharpe_comparisons": sharpe_comparisons(by_month),
        "sharpe_ratios": sharpe_ratios(long_short, parameters),
        "plausibility": plausibility(by_month),
        "table_5": table_5(materials.monthly_correlations),
        "figure_3": figure_3(materials.monthly_shares),
        "share_stability": share_stability(materials.monthly_shares),
        "monthly_shares": materials.monthly_shares,
        "monthly_correlations": materials.monthly_correlations,
        "coverage": materials.coverage,
        "exclusions": materials.exclusions,
        "forecasts": materials.forecasts,
    }
    inputs = materials.inputs() | {"parameters": asdict(parameters), "code_version": evaluation_version()}
    return Evaluation(inputs=inputs, notes=notes(inputs, frames), **frames)
