"""Table 4 of the paper: every model beside the forecasts that need none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from deepfactor.evaluation.averages import annualised, known, mean_with_error, t_statistic
from deepfactor.evaluation.naive import NAIVE
from deepfactor.evaluation.performance import PERFORMANCE
from deepfactor.models.names import MODELS
from deepfactor.schemas import Table

TABLE_4 = Table(
    "table_4",
    ("place",),
    {
        "place": pl.Int64,  # 1 the first row
        "model": pl.String,
        "months": pl.Int64,  # with a known return
        "months_of_portfolio": pl.Int64,  # of these, with a long-short return
        "stocks": pl.Int64,  # forecasts with a return, over all months
        "without_return": pl.Int64,  # forecasts without one, over all months
        "mae": pl.Float64,  # mean over months, a fraction a month
        "mae_se": pl.Float64,
        "rmse": pl.Float64,  # mean over months of the month's
        "rmse_se": pl.Float64,
        "annual_return": pl.Float64,  # of the long-short portfolio, before costs
        "annual_return_se": pl.Float64,
        "annual_volatility": pl.Float64,
        "annual_volatility_se": pl.Float64,
        "sharpe_ratio": pl.Float64,
        "sharpe_ratio_se": pl.Float64,
        "rank_ic": pl.Float64,
        "rank_ic_se": pl.Float64,
        "rank_ic_t": pl.Float64,
    },
)


def table_4(performance: pl.DataFrame, order: Sequence[str] = MODELS) -> pl.DataFrame:
    """Return Table 4 of Nakagawa, Uchida, Aoshima (2018), with naive forecasts, rank IC and standard errors.

    ``mae`` and ``rmse`` are means over months, as in the paper; return, volatility and Sharpe ratio are those of
    :func:`deepfactor.evaluation.averages.annualised`, of the highest fifth less the lowest. ``rank_ic_t`` is the mean
    over the standard error of Newey and West (:func:`deepfactor.evaluation.significance.mean_test`), as are all errors
    of means. Those of MAE and RMSE are mostly due to quiet and wild months, which all models share: they do not say
    whether one model is better than another, which a Diebold-Mariano test of their difference does. What cannot be
    computed is none, as are errors and t of fewer than a dozen months.

    Parameters
    ----------
    performance
        ``performance.PERFORMANCE``, naive forecasts among the models.
    order
        Names of the models in the order of the rows, by default the paper's; others follow by name, and then the naive
        ones.

    Returns
    -------
    pl.DataFrame
        ``TABLE_4``.
    """
    checked = PERFORMANCE.check(performance, "the performance by month")
    by_model = {model: each for (model,), each in checked.partition_by("model", as_dict=True).items()}
    names = dict.fromkeys((*order, *sorted(by_model.keys() - {*NAIVE}), *NAIVE))
    rows: list[dict[str, Any]] = []
    for model in (name for name in names if name in by_model):
        each = by_model[model]
        long_short, rank_ic = known(each["long_short"]), known(each["rank_ic"])
        rows.append(
            {
                "place": len(rows) + 1,
                "model": model,
                "months": each.height,
                "months_of_portfolio": len(long_short),
                "stocks": int(each["stocks"].sum()),
                "without_return": int(each["without_return"].sum()),
                **mean_with_error("mae", known(each["mae"])),
                **mean_with_error("rmse", known(each["rmse"])),
                **annualised(long_short),
                **mean_with_error("rank_ic", rank_ic),
                "rank_ic_t": t_statistic(rank_ic),
            }
        )
    return TABLE_4.check(pl.DataFrame(rows, schema=dict(TABLE_4.columns)), "Table 4")
