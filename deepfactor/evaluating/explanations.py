"""Table 5 and Figure 3 of the paper over months, and how steady what they say is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.evaluating.tables import (
    FIGURE_3,
    MONTHLY_CORRELATIONS,
    MONTHLY_SHARES,
    SHARE_STABILITY,
    TABLE_5,
)
from deepfactor.evaluation.averages import known, mean, mean_with_error
from deepfactor.months import Month
from deepfactor.ranks import rank_correlation
from deepfactor.schemas import FACTORS


def table_5(correlations: pl.DataFrame) -> pl.DataFrame:
    """Return Table 5 of Nakagawa, Uchida, Aoshima (2018): rank correlations in the top quintile, beside the shares.

    Parameters
    ----------
    correlations
        ``MONTHLY_CORRELATIONS``; a month in which a correlation is null is left out of its mean.

    Returns
    -------
    pl.DataFrame
        ``TABLE_5``.
    """
    checked = MONTHLY_CORRELATIONS.check(correlations, "the correlations by month")
    rows = [
        {
            "model": model,
            "factor": factor,
            "months": each.height,
            **_mean_and_deviation("spearman", each),
            **_mean_and_deviation("kendall", each),
            **_mean_and_deviation("share", each),
        }
        for (model, factor), each in checked.partition_by("model", "factor", as_dict=True).items()
    ]
    return TABLE_5.check(pl.DataFrame(rows, schema=dict(TABLE_5.columns)), "Table 5")


def figure_3(shares: pl.DataFrame) -> pl.DataFrame:
    """Return Figure 3 of Nakagawa, Uchida, Aoshima (2018), the factors' shares, as means over months.

    Parameters
    ----------
    shares
        ``MONTHLY_SHARES``.

    Returns
    -------
    pl.DataFrame
        ``FIGURE_3``.
    """
    checked = MONTHLY_SHARES.check(shares, "the shares by month")
    rows = [
        {
            "model": model,
            "group": group,
            "factor": factor,
            "months": each.height,
            **_mean_and_deviation("share", each),
            "dispersion": mean(known(each["dispersion"])),
            "disputed": mean(known(each["disputed"].cast(pl.Float64))),
        }
        for (model, group, factor), each in checked.partition_by("model", "group", "factor", as_dict=True).items()
    ]
    return FIGURE_3.check(pl.DataFrame(rows, schema=dict(FIGURE_3.columns)), "Figure 3")


def share_stability(shares: pl.DataFrame) -> pl.DataFrame:
    """Return how much the factors' shares move from a month to the next.

    ``moved`` is the total variation distance ½ Σ |share − share before|, the part of the relevance that went from one
    factor to another; its error is that of Newey and West (:func:`deepfactor.evaluation.significance.mean_test`). Both
    months are explained by models that were trained anew: a small ``moved`` means that two trainings agree.

    Parameters
    ----------
    shares
        ``MONTHLY_SHARES``; a month whose calendar month before is not there has no pair.

    Returns
    -------
    pl.DataFrame
        ``SHARE_STABILITY``.
    """
    checked = MONTHLY_SHARES.check(shares, "the shares by month")
    rows = []
    for (model, group), each in checked.partition_by("model", "group", as_dict=True).items():
        by_month = {
            Month.containing(month): _by_factor(part)
            for (month,), part in each.partition_by("month", as_dict=True).items()
        }
        pairs = [
            (by_month[one], by_month[other])
            for one, other in pairwise(sorted(by_month))
            if other - one == 1 and by_month[one].shape == by_month[other].shape
        ]
        moved = np.array([float(np.abs(after - before).sum()) / 2 for before, after in pairs])
        same = np.array([float(before.argmax() == after.argmax()) for before, after in pairs])
        orders = [rank_correlation(before, after) for before, after in pairs]
        rows.append(
            {
                "model": model,
                "group": group,
                "pairs": len(pairs),
                **mean_with_error("moved", moved),
                "same_largest": mean(same),
                "same_order": mean(np.array([order for order in orders if order is not None])),
            }
        )
    frame = pl.DataFrame(rows, schema=dict(SHARE_STABILITY.columns))
    return SHARE_STABILITY.check(frame, "the stability of the shares")


def _by_factor(shares: pl.DataFrame) -> NDArray[np.float64]:
    of_factor = dict(shares.select("factor", "share").iter_rows())
    return np.array([of_factor[factor] for factor in FACTORS if factor in of_factor])


def _mean_and_deviation(name: str, frame: pl.DataFrame) -> dict[str, float | None]:
    """Return the mean over months and their sample standard deviation, which a single month does not have."""
    values = known(frame[name])
    return {name: mean(values), f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else None}
