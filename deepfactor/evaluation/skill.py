"""How regularly forecasts were right: rank correlation over its variation, and shares of months and stocks."""

from __future__ import annotations

from math import sqrt

import polars as pl

from deepfactor.evaluation.averages import YEAR, known, mean_with_error, ratio, share_of_months, t_statistic
from deepfactor.evaluation.performance import PERFORMANCE
from deepfactor.evaluation.sharpe import sharpe_ratio
from deepfactor.schemas import Table

SKILL = Table(
    "skill",
    ("model",),
    {
        "model": pl.String,
        "months": pl.Int64,  # with a rank correlation
        "rank_ic": pl.Float64,
        "rank_ic_se": pl.Float64,
        "rank_ic_t": pl.Float64,
        "information_ratio": pl.Float64,  # of a month
        "information_ratio_se": pl.Float64,
        "annual_information_ratio": pl.Float64,
        "annual_information_ratio_se": pl.Float64,
        "positive_rank_ic": pl.Float64,  # share of months, with the bounds of its 95 % interval
        "positive_rank_ic_lower": pl.Float64,
        "positive_rank_ic_upper": pl.Float64,
        "positive_long_short": pl.Float64,
        "positive_long_short_lower": pl.Float64,
        "positive_long_short_upper": pl.Float64,
        "stock_hit_rate": pl.Float64,  # mean over months of ``performance.PERFORMANCE``'s
        "stock_hit_rate_se": pl.Float64,
    },
)


def skill(performance: pl.DataFrame) -> pl.DataFrame:
    """Return how regularly each model was right.

    ``rank_ic`` is the mean over months of the rank correlation, its error and t those of Newey and West
    (:func:`deepfactor.evaluation.significance.mean_test`). ``information_ratio`` is the mean over the sample standard
    deviation of months (Grinold, Kahn 2000, of the information coefficient), × √12 for a year, which supposes that
    months do not depend on each other; its error is a Sharpe ratio's (Mertens 2002). A month counts as positive if the
    figure is above zero. What cannot be computed is none, as are errors and bounds of fewer than a dozen months.

    Parameters
    ----------
    performance
        ``performance.PERFORMANCE``.

    Returns
    -------
    pl.DataFrame
        ``SKILL``; a forecast that does not rank stocks has a row without figures.
    """
    checked = PERFORMANCE.check(performance, "the performance by month")
    rows = []
    for (model,), each in checked.partition_by("model", as_dict=True).items():
        rank_ic, long_short = known(each["rank_ic"]), known(each["long_short"])
        estimate = sharpe_ratio(rank_ic)
        error = None if estimate is None else estimate.standard_error
        rows.append(
            {
                "model": model,
                "months": len(rank_ic),
                **mean_with_error("rank_ic", rank_ic),
                "rank_ic_t": t_statistic(rank_ic),
                "information_ratio": ratio(rank_ic),
                "information_ratio_se": None if error is None else error / sqrt(YEAR),
                "annual_information_ratio": ratio(rank_ic, sqrt(YEAR)),
                "annual_information_ratio_se": error,
                **share_of_months("positive_rank_ic", rank_ic > 0),
                **share_of_months("positive_long_short", long_short > 0),
                **mean_with_error("stock_hit_rate", known(each["hit_rate"])),
            }
        )
    return SKILL.check(pl.DataFrame(rows, schema=dict(SKILL.columns)), "the models' skill")
