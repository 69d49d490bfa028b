"""Predictions beside the returns that came, by tenths of the predictions."""

from __future__ import annotations

import numpy as np
import polars as pl

from deepfactor.evaluating.tables import DECILES
from deepfactor.evaluation.averages import mean, mean_with_error
from deepfactor.evaluation.missing import known_months

_DECILES = 10


def deciles(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the mean prediction and the mean return of each tenth of the predictions, as means over months.

    A calibrated model's lie on a line of slope 1. Tenths are cut like ``portfolio.quintiles``; stocks without a return
    are left out of both means, as is a tenth of a month in which none has one.

    Parameters
    ----------
    forecasts
        ``forecasts.FORECASTS``.

    Returns
    -------
    pl.DataFrame
        ``DECILES``, of the forecasts that rank stocks.
    """
    ranked = known_months(forecasts).drop_nulls("rank")
    tenth = _DECILES - (pl.col("rank") - 1) * _DECILES // pl.len().over("month", "model")
    there = ranked.with_columns(tenth.cast(pl.Int64).alias("decile")).drop_nulls("realised")
    rows = []
    for (model,), each in there.partition_by("model", as_dict=True).items():
        months = each["month"].rle_id().to_numpy().astype(np.int64)
        cells = months * _DECILES + each["decile"].to_numpy() - 1
        size = (int(months[-1]) + 1, _DECILES)
        # Sums in the order of the rows, which is that of the key: the same forecasts give the same bits.
        stocks, predicted, realised = (
            np.bincount(cells, weights, minlength=size[0] * size[1]).astype(np.float64).reshape(size)
            for weights in (None, each["prediction"].to_numpy(), each["realised"].to_numpy())
        )
        for place in np.flatnonzero(stocks.sum(axis=0)):
            number = stocks[:, place]
            held = number > 0
            rows.append(
                {
                    "model": model,
                    "decile": int(place) + 1,
                    "months": int(held.sum()),
                    "stocks": mean(number[held]),
                    "prediction": mean(predicted[held, place] / number[held]),
                    **mean_with_error("realised", realised[held, place] / number[held]),
                }
            )
    return DECILES.check(pl.DataFrame(rows, schema=dict(DECILES.columns)), "the deciles")
