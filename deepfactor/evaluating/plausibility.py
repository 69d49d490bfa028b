"""Forecasts that are too good to be true: a signal that strong has seen what it should predict."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from deepfactor.evaluating.tables import PLAUSIBILITY
from deepfactor.evaluation.averages import known, mean, ratio, t_statistic
from deepfactor.evaluation.naive import ZERO
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T, PERFORMANCE
from deepfactor.reports.numbers import decimal

CAUSE = "Look for an input that holds what it should predict."


@dataclass(frozen=True)
class Check:
    """A figure that no honest signal reaches.

    Attributes
    ----------
    name
        As in the tables.
    threshold
        What it must not exceed.
    reason
        Why.
    """

    name: str
    threshold: float
    reason: str


RANK_IC = Check(
    "mean rank IC",
    0.2,
    "monthly rank ICs of real signals on a broad market are below 0.1; a signal of 0.2 a month does not stay unnoticed",
)
REGULARITY = Check(
    "rank IC over its variation",
    1.5,
    "real signals are wrong in a quarter of the months or more, the premia of a simulated market in one of eight; one "
    "whose mean is 1.5 times its own variation from month to month, with a t above 10, is wrong in one of fifteen",
)
EXPLAINED = Check(
    "explained part of squared returns",
    0.1,
    "the best forecasts of monthly stock returns explain about 0.4 % (Gu, Kelly, Xiu 2020)",
)
CHECKS = (RANK_IC, REGULARITY, EXPLAINED)

_HIGHEST_T = 10.0


def sentences(table: pl.DataFrame) -> list[str]:
    """Return what is too good to be true in words, given ``PLAUSIBILITY``."""
    reasons = {check.name: check.reason for check in CHECKS}
    return [
        f"the {row['check']} of {row['model']} is {decimal(row['value'])}, above {row['threshold']:g}: "
        f"{reasons[row['check']]}. {CAUSE}"
        for row in table.filter("suspicious").iter_rows(named=True)
    ]


def plausibility(performance: pl.DataFrame) -> pl.DataFrame:
    """Return whether a model's forecasts are too good to be true, by ``CHECKS``.

    The usual cause is a leak: an input that holds what it should predict, such as a return that is a month late, an
    account that is known before it was announced, or a list of stocks that survived. The explained part is 1 − Σ MSE /
    Σ MSE of always forecasting zero, over the same months. A t alone would not do: that of a good signal grows with the
    root of the months.

    Parameters
    ----------
    performance
        ``performance.PERFORMANCE``, the forecast of zero among the models.

    Returns
    -------
    pl.DataFrame
        ``PLAUSIBILITY``, of all forecasts but zero; null of fewer than a dozen months.
    """
    checked = PERFORMANCE.check(performance, "the performance by month")
    squares = pl.col("rmse") ** 2
    zero = checked.filter(model=ZERO).select("month", squares.alias("zero"))
    rows = []
    for (model,), each in checked.filter(pl.col("model") != ZERO).partition_by("model", as_dict=True).items():
        rank_ic = known(each["rank_ic"])
        both = each.select("month", squares.alias("own")).join(zero, on="month", how="inner").drop_nulls().sort("month")
        unexplained = float(both["zero"].to_numpy().sum())
        explained = 1 - float(both["own"].to_numpy().sum()) / unexplained if unexplained > 0 else None
        t = t_statistic(rank_ic)
        for check, value, months, possible in (
            (RANK_IC, mean(rank_ic), len(rank_ic), True),
            (REGULARITY, ratio(rank_ic), len(rank_ic), t is not None and t > _HIGHEST_T),
            (EXPLAINED, explained, both.height, True),
        ):
            known_value = value if months >= FEWEST_MONTHS_FOR_T else None
            rows.append(
                {
                    "model": model,
                    "check": check.name,
                    "months": months,
                    "value": known_value,
                    "threshold": check.threshold,
                    "suspicious": None if known_value is None else bool(possible and known_value > check.threshold),
                }
            )
    return PLAUSIBILITY.check(pl.DataFrame(rows, schema=dict(PLAUSIBILITY.columns)), "the plausibility")
