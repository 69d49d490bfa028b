"""What the long-short portfolios have in common with the market and the five factors, and what is left."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl

from deepfactor.evaluating.comparisons import in_order
from deepfactor.evaluating.tables import EXPOSURES, MARKET_RETURNS
from deepfactor.evaluation.averages import YEAR
from deepfactor.evaluation.factors import FACTOR_RETURNS
from deepfactor.evaluation.performance import PERFORMANCE
from deepfactor.evaluation.significance import Estimate, regression
from deepfactor.schemas import FACTORS

ALPHA, MARKET, UNIVERSE = "alpha", "market", "universe"

# Of an estimate, those that are a return if the estimate is one.
_RETURNS = ("value", "standard_error", "lower", "upper")


def market_returns(forecasts: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Return the market's excess return where it is published, and the mean return of the universe.

    Parameters
    ----------
    forecasts
        ``forecasts.FORECASTS``.
    published
        ``month`` (the as-of month) and ``market_excess_return`` of the month after.

    Returns
    -------
    pl.DataFrame
        ``MARKET_RETURNS``, of the months that are known.
    """
    stocks = forecasts.select("month", "security_id", "realised").unique().drop_nulls("realised").sort("security_id")
    means = [
        {"month": month, "universe_return": float(each["realised"].to_numpy().mean())}
        for (month,), each in stocks.partition_by("month", as_dict=True).items()
    ]
    universe = pl.DataFrame(means, schema={"month": pl.Date, "universe_return": pl.Float64})
    joined = universe.join(published, on="month", how="left")
    return MARKET_RETURNS.check(joined.select(*MARKET_RETURNS.columns), "the market's returns")


def exposures(performance: pl.DataFrame, factors: pl.DataFrame, market: pl.DataFrame) -> pl.DataFrame:
    """Return each long-short portfolio's regression on the market and the five factors' own portfolios.

    It is :func:`deepfactor.evaluation.significance.regression`, with the errors of Newey and West; alpha is × 12. The
    market is its excess return if that is known of every month, else the universe's mean return, and the term is called
    so. The portfolios are of net zero, so that no risk-free rate is taken from theirs. The factors' returns are those
    of :func:`deepfactor.evaluation.factors.factor_returns`, which are not independent of each other: a single slope
    says less than alpha and the share that is explained.

    Parameters
    ----------
    performance
        ``performance.PERFORMANCE``.
    factors
        ``factors.FACTOR_RETURNS``.
    market
        ``MARKET_RETURNS``.

    Returns
    -------
    pl.DataFrame
        ``EXPOSURES``; of too few months there are no figures.
    """
    series = PERFORMANCE.check(performance, "the performance by month").drop_nulls("long_short")
    checked = MARKET_RETURNS.check(market, "the market's returns")
    published = not checked["market_excess_return"].has_nulls()
    name, column = (MARKET, "market_excess_return") if published else (UNIVERSE, "universe_return")
    explaining = (
        checked.select("month", pl.col(column).alias(name))
        .join(FACTOR_RETURNS.check(factors, "the factors' returns"), on="month", how="inner")
        .drop_nulls()
    )
    terms = (name, *FACTORS)
    rows: list[dict[str, Any]] = []
    by_model = {model: each for (model,), each in series.partition_by("model", as_dict=True).items()}
    for model in in_order(map(str, by_model)):
        joined = by_model[model].join(explaining, on="month", how="inner").sort("month")
        found = regression(joined["long_short"].to_numpy(), joined.select(terms).to_numpy())
        if found is None:
            rows += [{"model": model, "term": term, "months": joined.height} for term in (ALPHA, *terms)]
            continue
        whole = {name: getattr(found, name) for name in ("months", "lags", "r_squared", "adjusted_r_squared")}
        estimates = (_annual(found.alpha), *map(asdict, found.betas))
        rows += [
            {"model": model, "term": term, **whole, **estimate}
            for term, estimate in zip((ALPHA, *terms), estimates, strict=True)
        ]
    frame = pl.DataFrame(
        [{name: row.get(name) for name in EXPOSURES.columns} for row in rows], schema=dict(EXPOSURES.columns)
    )
    return EXPOSURES.check(frame, "the exposures")


def _annual(alpha: Estimate) -> dict[str, float]:
    return {name: value * (YEAR if name in _RETURNS else 1) for name, value in asdict(alpha).items()}
