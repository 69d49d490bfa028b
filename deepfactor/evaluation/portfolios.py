"""What portfolios of the forecasts earned, month by month: the five quintiles, and the highest less the lowest."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.evaluation.missing import MISSING_RETURN, earned, known_months
from deepfactor.portfolio import QUINTILES, quintile_portfolios
from deepfactor.schemas import Table

# From the highest predictions to the lowest, then the one less the other.
QUINTILE_NAMES = quintile_portfolios(np.arange(1, QUINTILES + 1))[0][:QUINTILES]
TOP, BOTTOM, LONG_SHORT = QUINTILE_NAMES[0], QUINTILE_NAMES[-1], "long-short"

PORTFOLIO_RETURNS = Table(
    "portfolio_returns",
    ("month", "model", "portfolio"),
    {
        "month": pl.Date,  # the as-of month; the return is that of the month after
        "model": pl.String,
        "portfolio": pl.String,  # "top quintile", "quintile 4", …, "bottom quintile", "long-short"
        "portfolio_return": pl.Float64,  # a fraction, before costs
        "stocks": pl.Int64,  # of both legs, for long-short
        "without_return": pl.Int64,  # of these; they earn what ``missing`` says
    },
)


def ranked(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return predictions with rank and quintile by month and model, as ``portfolio.ranks`` and ``quintiles`` give them.

    Where all predictions of a month are equal, there is nothing to rank: both are null.

    Parameters
    ----------
    predictions
        ``month``, ``model``, ``security_id`` and ``prediction``, never null; other columns stay.
    """
    group = ("month", "model")
    places = pl.int_range(pl.len(), dtype=pl.Int64).over(group)
    stocks = pl.len().cast(pl.Int64).over(group)
    varies = (pl.col("prediction").min() < pl.col("prediction").max()).over(group)
    return predictions.sort(*group, "prediction", "security_id", descending=[False, False, True, False]).with_columns(
        pl.when(varies).then(places + 1).alias("rank"),
        pl.when(varies).then(QUINTILES - places * QUINTILES // stocks).alias("quintile"),
    )


def portfolio_returns(forecasts: pl.DataFrame, missing_return: float = MISSING_RETURN) -> pl.DataFrame:
    """Return what the equally weighted quintiles and the long-short portfolio earned, by month and model.

    A quintile's return is the mean over its stocks, that of the long-short portfolio the highest quintile's less the
    lowest's (section 5 of Nakagawa, Uchida, Aoshima 2018). A stock without a return counts with ``missing_return``
    (:mod:`deepfactor.evaluation.missing`). A quintile without stocks has no row, nor has a forecast without quintiles;
    a month that is not known yet is left out.

    Parameters
    ----------
    forecasts
        ``FORECASTS``.
    missing_return
        What a stock without a return earns, a fraction.

    Returns
    -------
    pl.DataFrame
        ``PORTFOLIO_RETURNS``.
    """
    held = known_months(forecasts).with_columns(earned(missing_return)).drop_nulls("quintile")
    place = (held.select(pl.struct("month", "model").rle_id()).to_series().to_numpy()).astype(np.int64)
    groups = int(place[-1]) + 1 if len(place) else 0
    # Column 0 is the highest quintile.
    cells = place * QUINTILES + (QUINTILES - held["quintile"].to_numpy())
    # Sums in the order of the rows, which is that of the key: the same forecasts give the same bits.
    stocks = _cell_sums(cells, None, groups)
    without = _cell_sums(cells, held["realised"].is_null().to_numpy().astype(np.float64), groups)
    returns = _cell_sums(cells, held["earned"].to_numpy(), groups) / np.where(stocks > 0, stocks, np.nan)
    keys = held.select("month", "model").unique(maintain_order=True)
    columns = {name: (returns[:, i], stocks[:, i], without[:, i]) for i, name in enumerate(QUINTILE_NAMES)}
    columns[LONG_SHORT] = (
        returns[:, 0] - returns[:, -1], stocks[:, 0] + stocks[:, -1], without[:, 0] + without[:, -1]
    )  # fmt: skip
    parts = [
        keys.with_columns(
            pl.lit(name).alias("portfolio"),
            pl.Series("portfolio_return", each[0]),
            pl.Series("stocks", each[1].astype(np.int64)),
            pl.Series("without_return", each[2].astype(np.int64)),
        ).filter(pl.col("portfolio_return").is_not_nan())
        for name, each in columns.items()
    ]
    return PORTFOLIO_RETURNS.check(pl.concat(parts), "the portfolios' returns")


def _cell_sums(cells: NDArray[np.int64], values: NDArray[np.float64] | None, groups: int) -> NDArray[np.float64]:
    sums = np.bincount(cells, values, minlength=groups * QUINTILES)
    return sums.astype(np.float64).reshape(groups, QUINTILES)
