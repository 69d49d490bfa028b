"""Every model against every other and the naive forecasts: losses, Sharpe ratios, and what luck alone would give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.evaluating.parameters import Parameters
from deepfactor.evaluating.tables import LOSS_COMPARISONS, SHARPE_COMPARISONS, SHARPE_RATIOS
from deepfactor.evaluation.averages import known, ratio
from deepfactor.evaluation.bootstrap import sharpe_difference
from deepfactor.evaluation.comparison import diebold_mariano
from deepfactor.evaluation.drawdown import SERIES
from deepfactor.evaluation.naive import NAIVE
from deepfactor.evaluation.performance import PERFORMANCE
from deepfactor.evaluation.sharpe import deflated_sharpe_ratio, sharpe_ratio
from deepfactor.evaluation.significance import mean_test
from deepfactor.models.names import MODELS

_F64 = NDArray[np.float64]

ABSOLUTE_ERROR, SQUARED_ERROR = "absolute error", "squared error"

_ANNUAL = float(np.sqrt(12))


def in_order(names: Iterable[str]) -> list[str]:
    """Return models in the order of the paper's table, then others by name, then the naive forecasts."""
    there = set(names)
    return [name for name in dict.fromkeys((*MODELS, *sorted(there - set(NAIVE)), *NAIVE)) if name in there]


def loss_comparisons(performance: pl.DataFrame) -> pl.DataFrame:
    """Return the Diebold-Mariano test of every pair of forecasts, on absolute and on squared errors.

    A month's loss is the mean over stocks of the absolute or squared error. The test, with its small-sample correction,
    is that of :func:`deepfactor.evaluation.comparison.diebold_mariano`; beside it stands the t of Newey and West of the
    same differences, for months that resemble those before them.

    Parameters
    ----------
    performance
        ``performance.PERFORMANCE``, naive forecasts among the models.

    Returns
    -------
    pl.DataFrame
        ``LOSS_COMPARISONS``; of fewer than a dozen months there are no figures.
    """
    checked = PERFORMANCE.check(performance, "the performance by month")
    losses = {ABSOLUTE_ERROR: pl.col("mae"), SQUARED_ERROR: pl.col("rmse") ** 2}
    rows: list[dict[str, Any]] = []
    for loss, expression in losses.items():
        wide = _wide(checked.select("month", "model", expression.alias("value")))
        for model, other in combinations(in_order(wide), 2):
            one, two = _common(wide[model], wide[other])
            test, newey_west = diebold_mariano(one, two), mean_test(one - two)
            row: dict[str, Any] = {"loss": loss, "model": model, "other": other, "months": len(one)}
            rows.append(row if test is None else row | asdict(test))
            # Two forecasts that lose the same but for rounding have no t.
            if newey_west is not None and test is not None and test.statistic is not None:
                rows[-1] |= {"newey_west_se": newey_west.mean.standard_error, "newey_west_t": newey_west.mean.t}
    return LOSS_COMPARISONS.check(_frame(rows, LOSS_COMPARISONS.columns), "the comparison of losses")


def sharpe_comparisons(performance: pl.DataFrame) -> pl.DataFrame:
    """Return the difference of the Sharpe ratios of every pair of long-short portfolios, before costs.

    The test is the bootstrap of :func:`deepfactor.evaluation.bootstrap.sharpe_difference`.

    Parameters
    ----------
    performance
        ``performance.PERFORMANCE``.

    Returns
    -------
    pl.DataFrame
        ``SHARPE_COMPARISONS``; of too few months there are no figures.
    """
    checked = PERFORMANCE.check(performance, "the performance by month")
    wide = _wide(checked.select("month", "model", pl.col("long_short").alias("value")))
    rows: list[dict[str, Any]] = []
    for model, other in combinations(in_order(wide), 2):
        one, two = _common(wide[model], wide[other])
        test = sharpe_difference(one, two)
        row: dict[str, Any] = {"model": model, "other": other, "months": len(one)}
        rows.append(row if test is None else row | asdict(test))
    return SHARPE_COMPARISONS.check(_frame(rows, SHARPE_COMPARISONS.columns), "the comparison of Sharpe ratios")


def sharpe_ratios(series: pl.DataFrame, parameters: Parameters) -> pl.DataFrame:
    """Return every portfolio's Sharpe ratio with its uncertainty, and held against the best of the models by luck.

    Parameters
    ----------
    series
        ``drawdown.SERIES`` of long-short portfolios, before and after costs.
    parameters
        How many portfolios were tried.

    Returns
    -------
    pl.DataFrame
        ``SHARPE_RATIOS``.

    Raises
    ------
    ConfigurationError
        If fewer were tried than there are models, or several and there is only one model.
    """
    checked = SERIES.check(series, "the long-short portfolios")
    rows: list[dict[str, Any]] = []
    for (portfolio,), of_portfolio in checked.partition_by("portfolio", as_dict=True).items():
        returns = {
            str(model): known(each["portfolio_return"])
            for (model,), each in of_portfolio.partition_by("model", as_dict=True).items()
        }
        tried = {model: ratio(each, _ANNUAL) for model, each in returns.items() if model not in NAIVE}
        ratios = [each for each in tried.values() if each is not None]
        trials = parameters.number_of_trials(len(ratios))
        for model, each in returns.items():
            estimate = sharpe_ratio(each)
            row: dict[str, Any] = {"model": model, "portfolio": portfolio, "months": len(each)}
            row |= {} if estimate is None else asdict(estimate)
            if model in tried and ratios:
                deflated = deflated_sharpe_ratio(each, ratios, trials)
                row |= {"trials": trials}
                if deflated is not None:
                    row |= {"threshold": deflated.threshold, "deflated_probability": deflated.probability}
            rows.append(row)
    return SHARPE_RATIOS.check(_frame(rows, SHARPE_RATIOS.columns), "the Sharpe ratios")


def _wide(values: pl.DataFrame) -> dict[str, dict[Any, float]]:
    """Return the value of each month by model, of models and months that have one."""
    found: dict[str, dict[Any, float]] = {}
    for month, model, value in values.drop_nulls("value").sort("month", "model").iter_rows():
        found.setdefault(model, {})[month] = value
    return found


def _common(one: dict[Any, float], other: dict[Any, float]) -> tuple[_F64, _F64]:
    """Return the values of the months that both have, in their order."""
    months = [month for month in one if month in other]
    return np.array([one[month] for month in months]), np.array([other[month] for month in months])


def _frame(rows: list[dict[str, Any]], columns: Any) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=dict(columns))
