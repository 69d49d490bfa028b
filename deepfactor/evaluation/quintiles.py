"""What each quintile earned over all months, and whether a higher one earned more."""

from __future__ import annotations

import numpy as np
import polars as pl

from deepfactor.evaluation.averages import annualised, known, mean_with_error, t_statistic
from deepfactor.evaluation.portfolios import PORTFOLIO_RETURNS, QUINTILE_NAMES
from deepfactor.portfolio import QUINTILES
from deepfactor.ranks import rank_correlation
from deepfactor.schemas import Table

PORTFOLIO_SUMMARY = Table(
    "portfolio_summary",
    ("model", "portfolio"),
    {
        "model": pl.String,
        "portfolio": pl.String,
        "months": pl.Int64,
        "stocks": pl.Float64,  # mean over months
        "without_return": pl.Int64,  # over all months
        "mean_return": pl.Float64,  # a month, as a fraction, as is its error
        "mean_return_se": pl.Float64,
        "mean_return_t": pl.Float64,
        "annual_return": pl.Float64,
        "annual_return_se": pl.Float64,
        "annual_volatility": pl.Float64,
        "annual_volatility_se": pl.Float64,
        "sharpe_ratio": pl.Float64,
        "sharpe_ratio_se": pl.Float64,
    },
)
MONOTONICITY = Table(
    "monotonicity",
    ("model",),
    {
        "model": pl.String,
        "months": pl.Int64,  # in which all five quintiles have stocks
        "rank_correlation": pl.Float64,  # of the quintile's number with its mean return, over the five
        "steps_in_order": pl.Int64,  # of the four from one quintile to the next, those with a higher mean return
        "smallest_step": pl.Float64,  # smallest of the four differences of mean returns, a month
        "smallest_step_se": pl.Float64,
        "monthly_rank_correlation": pl.Float64,  # the same correlation in each month, its mean
        "monthly_rank_correlation_se": pl.Float64,
    },
)


def portfolio_summary(returns: pl.DataFrame) -> pl.DataFrame:
    """Return every portfolio's mean return, and a year's return, volatility and Sharpe ratio, with their errors.

    The formulas are those of :mod:`deepfactor.evaluation.averages`.

    Parameters
    ----------
    returns
        ``portfolios.PORTFOLIO_RETURNS``.

    Returns
    -------
    pl.DataFrame
        ``PORTFOLIO_SUMMARY``.
    """
    checked = PORTFOLIO_RETURNS.check(returns, "the portfolios' returns")
    rows = []
    for (model, portfolio), each in checked.partition_by("model", "portfolio", as_dict=True).items():
        values = known(each["portfolio_return"])
        rows.append(
            {
                "model": model,
                "portfolio": portfolio,
                "months": len(values),
                "stocks": float(each["stocks"].to_numpy().mean()),
                "without_return": int(each["without_return"].sum()),
                **mean_with_error("mean_return", values),
                "mean_return_t": t_statistic(values),
                **annualised(values),
            }
        )
    frame = pl.DataFrame(rows, schema=dict(PORTFOLIO_SUMMARY.columns))
    return PORTFOLIO_SUMMARY.check(frame, "the portfolios' summary")


def monotonicity(returns: pl.DataFrame) -> pl.DataFrame:
    """Return whether returns rise from quintile to quintile.

    ``rank_correlation`` is Spearman's of the numbers 1 to 5 with the mean returns: 1 if all are in order. Of five
    quintiles without any difference, each of the 120 orders is as likely: one in 120 gives 1. ``smallest_step`` is what
    Patton and Timmermann (2010) test for being positive; their bootstrap is not done here, the error beside it is that
    of this one step, and does not allow for its having been chosen as the smallest. ``monthly_rank_correlation`` has an
    error of its own, from months, and is the figure to judge by.

    Parameters
    ----------
    returns
        ``portfolios.PORTFOLIO_RETURNS``.

    Returns
    -------
    pl.DataFrame
        ``MONOTONICITY``, of the models with a month that has all quintiles.
    """
    checked = PORTFOLIO_RETURNS.check(returns, "the portfolios' returns").sort("month")
    numbers = np.arange(1.0, QUINTILES + 1)
    rows = []
    for (model,), each in checked.partition_by("model", as_dict=True).items():
        # Shape (months, 5), the lowest quintile first.
        quintiles = [
            each.filter(portfolio=name).select("month", pl.col("portfolio_return").alias(name))
            for name in reversed(QUINTILE_NAMES)
        ]
        joined = quintiles[0]
        for other in quintiles[1:]:
            joined = joined.join(other, on="month")
        if joined.is_empty():
            continue
        values = joined.sort("month").drop("month").to_numpy()
        means = values.mean(axis=0)
        steps = np.diff(means)
        smallest = int(steps.argmin())
        step = mean_with_error("smallest_step", np.diff(values, axis=1)[:, smallest])
        monthly = [rank_correlation(numbers, month) for month in values]
        rows.append(
            {
                "model": model,
                "months": len(values),
                "rank_correlation": rank_correlation(numbers, means),
                "steps_in_order": int((steps > 0).sum()),
                **step,
                **mean_with_error(
                    "monthly_rank_correlation", np.array([value for value in monthly if value is not None])
                ),
            }
        )
    frame = pl.DataFrame(rows, schema=dict(MONOTONICITY.columns))
    return MONOTONICITY.check(frame, "the quintiles' order")
