"""The tables of an evaluation that no module of ``deepfactor.evaluation`` defines.

A month is always the as-of month, a return that of the month after, as a fraction. What cannot be said of so few months
is null.
"""

from __future__ import annotations

import polars as pl

from deepfactor.schemas import CORRELATIONS, SHARES, Table

DECILES = Table(
    "deciles",
    ("model", "decile"),
    {
        "model": pl.String,
        "decile": pl.Int64,  # 10: the highest tenth of a month's predictions, 1: the lowest
        "months": pl.Int64,
        "stocks": pl.Float64,  # with a return, mean over months
        "prediction": pl.Float64,  # mean over months of the mean over stocks, a fraction a month
        "realised": pl.Float64,  # the same of the returns that came
        "realised_se": pl.Float64,
    },
)
MARKET_RETURNS = Table(
    "market_returns",
    ("month",),
    {
        "month": pl.Date,
        "market_excess_return": pl.Float64,  # less the risk-free rate; null: no run publishes it
        "universe_return": pl.Float64,  # mean over the stocks that models forecast and that have a return
    },
)
EXPOSURES = Table(
    "exposures",
    ("model", "term"),
    {
        "model": pl.String,
        "term": pl.String,  # "alpha", "market" or "universe", and the five factors
        "months": pl.Int64,  # that all series have
        "lags": pl.Int64,  # of Newey and West
        "value": pl.Float64,  # of alpha a year, as a fraction; else the slope
        "standard_error": pl.Float64,
        "t": pl.Float64,
        "p_value": pl.Float64,
        "lower": pl.Float64,  # bounds of the 95 % interval
        "upper": pl.Float64,
        "r_squared": pl.Float64,  # of the whole regression, as is the next
        "adjusted_r_squared": pl.Float64,
    },
)
LOSS_COMPARISONS = Table(
    "loss_comparisons",
    ("loss", "model", "other"),
    {
        "loss": pl.String,  # "absolute error" (a fraction a month) or "squared error" (its square)
        "model": pl.String,
        "other": pl.String,
        "months": pl.Int64,  # that both have
        "difference": pl.Float64,  # mean loss of the model less that of the other: negative where the model is better
        "standard_error": pl.Float64,
        "statistic": pl.Float64,  # Diebold and Mariano's, corrected for small samples
        "p_value": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
        "newey_west_se": pl.Float64,  # of the same difference, if months may resemble those before them
        "newey_west_t": pl.Float64,
    },
)
SHARPE_COMPARISONS = Table(
    "sharpe_comparisons",
    ("model", "other"),
    {
        "model": pl.String,
        "other": pl.String,
        "months": pl.Int64,  # that both have
        "block": pl.Int64,  # months in a block of the bootstrap
        "resamples": pl.Int64,
        "difference": pl.Float64,  # of the annual Sharpe ratios of long-short before costs
        "standard_error": pl.Float64,
        "p_value": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
    },
)
SHARPE_RATIOS = Table(
    "sharpe_ratios",
    ("model", "portfolio"),
    {
        "model": pl.String,
        "portfolio": pl.String,  # "long-short" or "long-short after costs"
        "months": pl.Int64,
        "ratio": pl.Float64,  # a year
        "standard_error": pl.Float64,
        "lower": pl.Float64,
        "upper": pl.Float64,
        "skewness": pl.Float64,  # of the months' returns
        "kurtosis": pl.Float64,  # 3 for normal ones
        "probability": pl.Float64,  # confidence that the true ratio exceeds 0
        "trials": pl.Int64,
        "threshold": pl.Float64,  # what the best of so many trials is expected to reach by luck, a year
        "deflated_probability": pl.Float64,  # confidence that the true ratio exceeds it; null for a naive forecast
    },
)
TABLE_5 = Table(
    "table_5",
    ("model", "factor"),
    {
        "model": pl.String,
        "factor": pl.String,
        "months": pl.Int64,
        "spearman": pl.Float64,  # mean over months of ``schemas.CORRELATIONS``'s, as are the next
        "spearman_sd": pl.Float64,  # standard deviation over months
        "kendall": pl.Float64,
        "kendall_sd": pl.Float64,
        "share": pl.Float64,  # of absolute relevance in the top quintile
        "share_sd": pl.Float64,
    },
)
FIGURE_3 = Table(
    "figure_3",
    ("model", "group", "factor"),
    {
        "model": pl.String,
        "group": pl.String,  # "highest prediction", "top quintile", "bottom quintile" or "long-short"
        "factor": pl.String,
        "months": pl.Int64,
        "share": pl.Float64,  # of absolute relevance, mean over months
        "share_sd": pl.Float64,  # standard deviation between months
        "dispersion": pl.Float64,  # mean over months of the standard deviation between members
        "disputed": pl.Float64,  # part of the months in which members disagree on the sign
    },
)
SHARE_STABILITY = Table(
    "share_stability",
    ("model", "group"),
    {
        "model": pl.String,
        "group": pl.String,
        "pairs": pl.Int64,  # of a month and its calendar month before
        "moved": pl.Float64,  # mean of half the sum of absolute changes of the shares: 0 nothing, 1 everything
        "moved_se": pl.Float64,
        "same_largest": pl.Float64,  # part of the pairs in which the same factor has the largest share
        "same_order": pl.Float64,  # mean over pairs of Spearman's correlation of the five shares
    },
)
MONTHLY_SHARES = Table("monthly_shares", ("month", "model", "group", "factor"), SHARES.columns)
MONTHLY_CORRELATIONS = Table("monthly_correlations", ("month", "model", "factor"), CORRELATIONS.columns)
COVERAGE = Table(
    "coverage",
    ("month",),
    {
        "month": pl.Date,  # every month of the span
        "state": pl.String,  # "scored", "not known yet" or "not published"
        "run_id": pl.String,
        "signal_model": pl.String,
        "universe": pl.Int64,  # stocks
        "scored": pl.Int64,  # of these, with a prediction
        "coverage": pl.Float64,  # the one over the other
        "rows_quarantined": pl.Int64,  # of the raw tables of the run's whole window
        "training_rows": pl.Int64,
    },
)
EXCLUSIONS = Table(
    "exclusions",
    ("month", "reason"),
    {
        "month": pl.Date,
        "reason": pl.String,  # as the run names it
        "number": pl.Int64,  # of stocks that were not scored, or of rows that were not trained on
    },
)
PLAUSIBILITY = Table(
    "plausibility",
    ("model", "check"),
    {
        "model": pl.String,
        "check": pl.String,
        "months": pl.Int64,
        "value": pl.Float64,  # null: too few months, or rank ICs that are all the same
        "threshold": pl.Float64,
        "suspicious": pl.Boolean,  # null where the value is
    },
)
