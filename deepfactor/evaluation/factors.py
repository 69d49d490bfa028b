"""What the five factors themselves earned: portfolios of stocks ranked by a factor, to hold the models' against."""

from __future__ import annotations

import polars as pl

from deepfactor.errors import SchemaError
from deepfactor.evaluation.forecasts import with_realised
from deepfactor.evaluation.missing import MISSING_RETURN
from deepfactor.evaluation.portfolios import LONG_SHORT, portfolio_returns, ranked
from deepfactor.schemas import FACTORS, Table

DESCRIPTOR_RANKS = Table(
    "descriptor_ranks",
    ("month", "security_id", "descriptor"),
    {
        "month": pl.Date,
        "security_id": pl.String,
        "descriptor": pl.String,
        "factor": pl.String,
        "input": pl.Float32,  # rank within the month's universe, -½ to +½, as ``schemas.ATTRIBUTION`` has it at lag 0
    },
)
FACTOR_SCORES = Table(
    "factor_scores",
    ("month", "security_id", "factor"),
    {
        "month": pl.Date,
        "security_id": pl.String,
        "factor": pl.String,
        "score": pl.Float64,  # the higher, the more of the factor
    },
)
FACTOR_RETURNS = Table(
    "factor_returns",
    ("month",),
    {
        "month": pl.Date,  # the as-of month; the return is that of the month after
        **dict.fromkeys(FACTORS, pl.Float64),  # of the highest fifth less the lowest, a fraction; null: there is none
    },
)

TURNED = frozenset({"LEVERAGE", "ILLIQ"})
"""Descriptors that count the other way round, so that those of a factor do not cancel each other out.

A firm with much debt is of low quality, an illiquid stock is a small one.
"""


def factor_scores(descriptor_ranks: pl.DataFrame, turned: frozenset[str] = TURNED) -> pl.DataFrame:
    """Return each stock's score in each factor, the mean rank of the factor's descriptors.

    A descriptor that is not known has the rank 0, the median, as in the models' inputs.

    Parameters
    ----------
    descriptor_ranks
        ``DESCRIPTOR_RANKS``.
    turned
        Descriptors whose rank counts with the opposite sign.

    Returns
    -------
    pl.DataFrame
        ``FACTOR_SCORES``.
    """
    checked = DESCRIPTOR_RANKS.check(descriptor_ranks, "the descriptors' ranks")
    sign = pl.when(pl.col("descriptor").is_in(list(turned))).then(-1.0).otherwise(1.0)
    scores = (
        checked.group_by("month", "security_id", "factor", maintain_order=True)
        # Ranks are Float32: their sum is exact in Float64, whatever the order.
        .agg((pl.col("input").cast(pl.Float64) * sign).mean().alias("score"))
    )
    return FACTOR_SCORES.check(scores, "the factors' scores")


def factor_forecasts(scores: pl.DataFrame, returns: pl.DataFrame) -> pl.DataFrame:
    """Return the scores as if they were models' predictions, with quintiles and the returns that came.

    So whatever is computed of a model, such as turnover, can be computed of a factor.

    Parameters
    ----------
    scores
        ``FACTOR_SCORES``, of the stocks that models forecast.
    returns
        ``forecasts.RETURNS``.

    Returns
    -------
    pl.DataFrame
        ``forecasts.FORECASTS``; ``model`` is the factor, ``prediction`` its score, no return.

    Raises
    ------
    SchemaError
        If there is a factor that ``schemas.FACTORS`` does not name, or a score is no finite number.
    """
    checked = FACTOR_SCORES.check(scores, "the factors' scores")
    if unknown := sorted(set(checked["factor"]) - {*FACTORS}):
        raise SchemaError(
            f"the factors' scores: there is no {', '.join(unknown)}; the factors are {', '.join(FACTORS)}"
        )
    named = checked.rename({"factor": "model", "score": "prediction"}).with_columns(dispersion=pl.lit(0.0))
    return with_realised(ranked(named), returns)


def factor_returns(forecasts: pl.DataFrame, missing_return: float = MISSING_RETURN) -> pl.DataFrame:
    """Return what the highest fifth of each factor earned over the lowest, equally weighted, by month.

    Missing returns count as in the models' portfolios (:mod:`deepfactor.evaluation.missing`), whose exposures are to be
    estimated with these. The factors are not made independent of each other.

    Parameters
    ----------
    forecasts
        What ``factor_forecasts`` returns.
    missing_return
        What a stock without a return earns, a fraction.

    Returns
    -------
    pl.DataFrame
        ``FACTOR_RETURNS``.
    """
    earned = portfolio_returns(forecasts, missing_return).filter(portfolio=LONG_SHORT)
    table = earned.select("month").unique()
    for factor in FACTORS:
        of_factor = earned.filter(model=factor).select("month", pl.col("portfolio_return").alias(factor))
        table = table.join(of_factor, on="month", how="left")
    return FACTOR_RETURNS.check(table, "the factors' returns")
