"""The 16 descriptors of Table 1 (Nakagawa, Uchida, Aoshima 2018), as a table of guarded expressions.

Every expression is evaluated on one stock's rows of the panel, one row per calendar month, so a rolling window of 60
rows is one of 60 months. Where a guard fails the value is null: never NaN, infinity or zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from deepfactor.months import ROLLING_MONTHS, Window
from deepfactor.schemas import Table

_SOURCE = "Nakagawa, Uchida, Aoshima 2018, Table 1"

# A statistic over five years needs three of them, one over a year three quarters of it.
_MINIMUM_OF_60 = 36
_MINIMUM_OF_12 = 9


@dataclass(frozen=True)
class Descriptor:
    """One row of Table 1.

    Attributes
    ----------
    name
        The paper's name.
    factor
        Risk, Quality, Momentum, Value or Size.
    formula
        The definition for people, at month t.
    expression
        The definition on one stock's rows of ``schemas.PANEL``.
    minimum_history
        Fewest months with a value in the rolling window; 1 where only month t counts.
    source
        Where the definition comes from.
    """

    name: str
    factor: str
    formula: str
    expression: pl.Expr
    minimum_history: int = 1
    source: str = _SOURCE


def _ratio(numerator: pl.Expr, denominator: str) -> pl.Expr:
    """Divide by a column where it is positive."""
    below = pl.col(denominator)
    return pl.when(below > 0).then(numerator / below)


def _beta() -> pl.Expr:
    """Return the slope of the stock's excess return on the market's, over the months that have both."""
    market = pl.when(pl.col("excess_return").is_not_null()).then("market_excess_return")
    stock = pl.when(pl.col("market_excess_return").is_not_null()).then("excess_return")
    mean_market, mean_stock, mean_product, mean_square = (
        each.rolling_mean(ROLLING_MONTHS, min_samples=_MINIMUM_OF_60)
        for each in (market, stock, market * stock, market**2)
    )
    variance = mean_square - mean_market**2
    # A market that never moves leaves only rounding here.
    return pl.when(variance > 1e-12).then((mean_product - mean_market * mean_stock) / variance)


def _momentum(months: int, minimum: int) -> pl.Expr:
    """Compound the known monthly returns of the last ``months`` months."""
    growth = pl.when(pl.col("total_return") > -1).then(pl.col("total_return").log1p())
    return growth.rolling_sum(months, min_samples=minimum).exp() - 1


def _skewness() -> pl.Expr:
    """Return the adjusted sample skewness; a constant has none."""
    returns = pl.col("total_return")
    moves = returns.rolling_std(ROLLING_MONTHS, min_samples=_MINIMUM_OF_60) > 1e-9
    return pl.when(moves).then(returns.rolling_skew(ROLLING_MONTHS, bias=False, min_samples=_MINIMUM_OF_60))


_volatility = pl.col("total_return").rolling_std(ROLLING_MONTHS, min_samples=_MINIMUM_OF_60)
_illiquidity = _ratio(pl.col("total_return").abs(), "traded_value").rolling_mean(12, min_samples=_MINIMUM_OF_12)
_accruals = pl.col("operating_cash_flow") - pl.col("operating_profit")

REGISTRY: tuple[Descriptor, ...] = (
    Descriptor("60VOL", "Risk", "standard deviation of returns, t-59 … t", _volatility, _MINIMUM_OF_60),
    Descriptor("BETA", "Risk", "slope of excess return on market excess return, t-59 … t", _beta(), _MINIMUM_OF_60),
    Descriptor("SKEW", "Risk", "sample skewness of returns, t-59 … t", _skewness(), _MINIMUM_OF_60),
    Descriptor("ROE", "Quality", "net income / net assets", _ratio(pl.col("net_income"), "net_assets")),
    Descriptor("ROA", "Quality", "operating profit / total assets", _ratio(pl.col("operating_profit"), "total_assets")),
    Descriptor("ACCRUALS", "Quality", "operating cash flow − operating profit", _accruals),
    Descriptor(
        "LEVERAGE", "Quality", "total liabilities / total assets", _ratio(pl.col("total_liabilities"), "total_assets")
    ),
    Descriptor(
        "12-1MOM",
        "Momentum",
        "compounded return, t-11 … t-1",
        _momentum(11, _MINIMUM_OF_12).shift(1),
        _MINIMUM_OF_12,
    ),
    Descriptor("1MOM", "Momentum", "return of month t", pl.col("total_return")),
    Descriptor(
        "60MOM",
        "Momentum",
        "compounded return, t-59 … t",
        _momentum(ROLLING_MONTHS, _MINIMUM_OF_60),
        _MINIMUM_OF_60,
    ),
    Descriptor("PSR", "Value", "sales / market value", _ratio(pl.col("sales"), "market_value")),
    Descriptor("PER", "Value", "net income / market value", _ratio(pl.col("net_income"), "market_value")),
    Descriptor("PBR", "Value", "net assets / market value", _ratio(pl.col("net_assets"), "market_value")),
    Descriptor(
        "PCFR", "Value", "operating cash flow / market value", _ratio(pl.col("operating_cash_flow"), "market_value")
    ),
    Descriptor(
        "CAP", "Size", "log(market value)", pl.when(pl.col("market_value") > 0).then(pl.col("market_value").log())
    ),
    Descriptor("ILLIQ", "Size", "mean of abs(return) / traded value, t-11 … t", _illiquidity, _MINIMUM_OF_12),
)

NAMES: tuple[str, ...] = tuple(each.name for each in REGISTRY)
FACTOR_OF: dict[str, str] = {each.name: each.factor for each in REGISTRY}

DESCRIPTORS = Table(
    "descriptors",
    ("month", "security_id"),
    {
        "month": pl.Date,
        "security_id": pl.String,
        "in_universe": pl.Boolean,
        "total_return": pl.Float64,  # of the month itself; the label of the month before
        **dict.fromkeys(NAMES, pl.Float64),
    },
)


def describe(panel: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Compute the 16 descriptors for every month whose descriptors the window needs.

    Parameters
    ----------
    panel
        ``schemas.PANEL``, sorted by stock and month, without holes in a stock's months.
    window
        The months of the run.

    Returns
    -------
    pl.DataFrame
        ``DESCRIPTORS``: a row for every listed stock and month from ``window.first_described`` on.
    """
    expressions = [_finite(each.expression).alias(each.name) for each in REGISTRY]
    kept = ["month", "listed", "in_universe"]
    frame = (
        panel.lazy()
        .group_by("security_id", maintain_order=True)
        .agg(*kept, pl.col("total_return").alias("_return"), *expressions)
        .explode(*kept, "_return", *NAMES)
        .filter("listed", pl.col("month") >= window.first_described.first_day)
        .rename({"_return": "total_return"})
        .collect()
    )
    return DESCRIPTORS.check(frame.select(*DESCRIPTORS.columns), "descriptors")


def _finite(expression: pl.Expr) -> pl.Expr:
    return pl.when(expression.is_finite()).then(expression)


def documentation() -> str:
    """Return the registry as a Markdown table."""
    rows = [f"| {each.factor} | {each.name} | {each.formula} | {each.minimum_history} |" for each in REGISTRY]
    return "\n".join(["| factor | descriptor | definition at month t | months needed |", "|---|---|---|---|", *rows])
