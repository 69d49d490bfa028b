"""What happens to a forecast whose stock has no return in the month after: the rule, written once, and the count.

A month in which no stock has a return is not known yet. It is left out of everything, and counted as not known.

In a month that is known, a stock may have no return: it was delisted, or suspended, or its price is wrong.

Errors, rank correlations and hit rates leave it out. There is nothing to hold the forecast against.

Portfolios keep it. To leave it out would need to know, when the weights are set, who will be delisted. Its weight
earns ``missing_return``: by default 0, the last price is paid back, and the money waits for the next month's weights.
That is about right for a merger at the market price, too good for a bankruptcy, too bad for a takeover with a premium.
Stocks of NYSE and AMEX that were delisted for bad performance lost 30 % on average (Shumway 1997, The Delisting Bias in
CRSP Data); a ``missing_return`` of -0.3 supposes that of every missing return, suspensions included, and so bounds what
the default hides. What a suspended stock gains or loses until it trades again is in no month's return, and so nowhere.
"""

from __future__ import annotations

from math import isfinite

import polars as pl

from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.forecasts import checked_forecasts
from deepfactor.portfolio import QUINTILES
from deepfactor.schemas import Table

MISSING_RETURN = 0.0

MISSING = Table(
    "missing_returns",
    ("month", "model"),
    {
        "month": pl.Date,  # the as-of month; the return is that of the month after
        "model": pl.String,
        "known": pl.Boolean,  # false: no stock has a return, the month is not over
        "stocks": pl.Int64,  # with a forecast
        "without_return": pl.Int64,  # of these
        "top_without_return": pl.Int64,  # of these, in the top quintile
        "bottom_without_return": pl.Int64,
    },
)


def missing_returns(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Count the forecasts without a return, by month and model.

    Parameters
    ----------
    forecasts
        ``FORECASTS``.

    Returns
    -------
    pl.DataFrame
        ``MISSING``.
    """
    missing, quintile = pl.col("realised").is_null(), pl.col("quintile")
    counted = (
        checked_forecasts(forecasts)
        .with_columns(_is_known().alias("known"))
        .group_by("month", "model")
        .agg(
            pl.col("known").first(),
            pl.len().cast(pl.Int64).alias("stocks"),
            missing.sum().cast(pl.Int64).alias("without_return"),
            (missing & (quintile == QUINTILES)).sum().cast(pl.Int64).alias("top_without_return"),
            (missing & (quintile == 1)).sum().cast(pl.Int64).alias("bottom_without_return"),
        )
    )
    return MISSING.check(counted, "the count of missing returns")


def known_months(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return ``FORECASTS`` without the months in which no stock has a return, sorted by its key."""
    return checked_forecasts(forecasts).filter(_is_known())


def earned(missing_return: float) -> pl.Expr:
    """Return what a weight on a stock earns in the month after, of ``FORECASTS``.

    Parameters
    ----------
    missing_return
        What it earns if the stock has no return, a fraction.

    Raises
    ------
    ConfigurationError
        If that is not finite or below -1.
    """
    if not (isfinite(missing_return) and missing_return >= -1):
        raise ConfigurationError(
            f"missing_return {missing_return}: give what a stock without a return earns, as a fraction of at least -1"
        )
    return pl.col("realised").fill_null(missing_return).alias("earned")


def _is_known() -> pl.Expr:
    return pl.col("realised").is_not_null().any().over("month")
