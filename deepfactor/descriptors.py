"""The 16 descriptors of Table 1 (Nakagawa, Uchida, Aoshima 2018), as a table of guarded expressions.

Every expression is evaluated on one stock's rows of the panel, one row per calendar month, so a rolling window of 60
rows is one of 60 months. Where a guard fails the value is null: never NaN, infinity or zero.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor import rolling
from deepfactor.errors import SchemaError
from deepfactor.months import ROLLING_MONTHS, Window
from deepfactor.schemas import Table

_SOURCE = "Nakagawa, Uchida, Aoshima 2018, Table 1"

# A statistic over five years needs three of them, one over a year three quarters of it.
_MINIMUM_OF_60 = 36
_MINIMUM_OF_12 = 9

# Small enough for a processor's cache: eleven arrays of half a megabyte at a time, not of the whole history.
_BLOCK_ROWS = 50_000


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


@dataclass(frozen=True)
class Trailing:
    """A statistic of the months up to t, computed before the expressions are.

    Attributes
    ----------
    name
        Its columns are called ``<name>.<part>``, for each part of the statistic.
    statistic
        One of :mod:`deepfactor.rolling`.
    inputs
        What it takes, on one row of ``schemas.PANEL``; null where unknown.
    months
        Length of the window.
    lag
        The window ends so many months before t.
    """

    name: str
    statistic: rolling.Statistic
    inputs: tuple[pl.Expr, ...]
    months: int
    lag: int = 0

    def part(self, part: str) -> pl.Expr:
        """Return the column of a part of the statistic."""
        return pl.col(f"{self.name}.{part}")

    def where_known(self, minimum: int, value: pl.Expr) -> pl.Expr:
        """Return a value where the window has enough months that are known."""
        return pl.when(self.part("count") >= minimum).then(value)


# Nobody loses more than everything: a return below -1 is no return.
_growth = pl.when(pl.col("total_return") >= -1).then(1 + pl.col("total_return"))
_impact = _ratio(pl.col("total_return").abs(), "traded_value")

_returns = Trailing("returns", rolling.MOMENTS, (pl.col("total_return"),), ROLLING_MONTHS)
_excess_returns = Trailing(
    "excess_returns",
    rolling.COMOMENTS,
    (pl.col("market_excess_return"), pl.col("excess_return")),
    ROLLING_MONTHS,
)
_long_growth = Trailing("long_growth", rolling.PRODUCT, (_growth,), ROLLING_MONTHS)
_past_growth = Trailing("past_growth", rolling.PRODUCT, (_growth,), 11, lag=1)
_impacts = Trailing("impacts", rolling.SUM, (_impact,), 12)

TRAILING: tuple[Trailing, ...] = (_returns, _excess_returns, _long_growth, _past_growth, _impacts)


def _volatility() -> pl.Expr:
    """Return the sample standard deviation; a stock that does not move has 0."""
    variance = _returns.part("squares") / (_returns.part("count") - 1)
    return _returns.where_known(_MINIMUM_OF_60, variance.sqrt())


def _beta() -> pl.Expr:
    """Return the slope of the stock's excess return on the market's, over the months that have both."""
    # A market that moves by less than a millionth is a column of rounding.
    moves = _excess_returns.part("squares_x") / _excess_returns.part("count") > 1e-12
    slope = _excess_returns.part("products") / _excess_returns.part("squares_x")
    return _excess_returns.where_known(_MINIMUM_OF_60, pl.when(moves).then(slope))


def _skewness() -> pl.Expr:
    """Return the adjusted sample skewness (Fisher-Pearson, as in most statistics packages); a constant has none."""
    count, squares, cubes = (_returns.part(part) for part in ("count", "squares", "cubes"))
    adjustment = count * (count - 1).sqrt() / (count - 2)
    # Below a billionth the differences between the returns are their rounding.
    moves = squares / (count - 1) > 1e-18
    return _returns.where_known(_MINIMUM_OF_60, pl.when(moves).then(adjustment * cubes / (squares * squares.sqrt())))


_momentum = _past_growth.where_known(_MINIMUM_OF_12, _past_growth.part("product") - 1)
_long_momentum = _long_growth.where_known(_MINIMUM_OF_60, _long_growth.part("product") - 1)
_illiquidity = _impacts.where_known(_MINIMUM_OF_12, _impacts.part("sum") / _impacts.part("count"))
_accruals = pl.col("operating_cash_flow") - pl.col("operating_profit")

REGISTRY: tuple[Descriptor, ...] = (
    Descriptor("60VOL", "Risk", "standard deviation of returns, t-59 … t", _volatility(), _MINIMUM_OF_60),
    Descriptor("BETA", "Risk", "slope of excess return on market excess return, t-59 … t", _beta(), _MINIMUM_OF_60),
    Descriptor("SKEW", "Risk", "sample skewness of returns, t-59 … t", _skewness(), _MINIMUM_OF_60),
    Descriptor("ROE", "Quality", "net income / net assets", _ratio(pl.col("net_income"), "net_assets")),
    Descriptor("ROA", "Quality", "operating profit / total assets", _ratio(pl.col("operating_profit"), "total_assets")),
    Descriptor("ACCRUALS", "Quality", "operating cash flow − operating profit", _accruals),
    Descriptor(
        "LEVERAGE", "Quality", "total liabilities / total assets", _ratio(pl.col("total_liabilities"), "total_assets")
    ),
    Descriptor("12-1MOM", "Momentum", "compounded return, t-11 … t-1", _momentum, _MINIMUM_OF_12),
    Descriptor("1MOM", "Momentum", "return of month t", pl.col("total_return")),
    Descriptor("60MOM", "Momentum", "compounded return, t-59 … t", _long_momentum, _MINIMUM_OF_60),
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

    Raises
    ------
    SchemaError
        If the panel is not sorted, or has a hole or a row twice: then a row would not be a month.
    """
    starts = _first_rows(panel)
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        parts = pool.map(
            lambda rows: _describe_block(panel[rows], starts[rows], window),
            _blocks(np.flatnonzero(starts), panel.height),
        )
        columns = pl.concat(parts).get_columns()
        order = _month_order(columns[0])

        def sort(number: int) -> None:
            columns[number] = columns[number].rechunk().gather(order)

        # Column by column, so that no more than a few of them are in memory twice.
        list(pool.map(sort, range(len(columns))))
    return pl.DataFrame(columns)


def _month_order(months: pl.Series) -> pl.Series:
    """Return the order that sorts by month what is sorted by stock and month."""
    ordinals = (months.dt.year() * 12 + months.dt.month()).cast(pl.Int16)  # NumPy sorts 16 bits by radix
    return pl.Series(np.argsort(ordinals.to_numpy(), kind="stable"), dtype=pl.UInt32)


def _first_rows(panel: pl.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows are a stock's first, after checking that every other is a month after the one before."""
    stock, month = pl.col("security_id"), pl.col("month")
    frame = panel.select(
        first=(stock > stock.shift(1)).fill_null(value=True),
        # Months are written as their first days, so that 28 to 31 days are one month.
        follows=(stock == stock.shift(1)) & month.cast(pl.Int32).diff().is_between(28, 31),
    )
    wrong = ~(frame["first"] | frame["follows"])
    if wrong.any():
        row = panel.row(int(wrong.arg_true()[0]), named=True)
        raise SchemaError(
            f"the panel must have a row for every month of a stock, sorted by stock and month; the row of "
            f"{row['security_id']} in {row['month']:%Y-%m} does not follow the one before: build it with build_panel"
        )
    return frame["first"].to_numpy()


def _blocks(firsts: NDArray[np.int64], height: int) -> list[slice]:
    """Cut rows into blocks of whole stocks."""
    # A stock belongs to the block in which it begins.
    cuts = firsts[np.flatnonzero(np.diff(firsts // _BLOCK_ROWS, prepend=-1))]
    return [slice(first, last) for first, last in pairwise([*cuts.tolist(), height])] or [slice(0, 0)]


def _describe_block(panel: pl.DataFrame, starts: NDArray[np.bool_], window: Window) -> pl.DataFrame:
    """Describe some stocks; sorted by stock and month."""
    wanted = panel["listed"] & (panel["month"] >= window.first_described.first_day)
    statistics = _trailing_statistics(panel, starts, wanted.arg_true().to_numpy().astype(np.int64))
    return (
        panel.filter(wanted)
        .with_columns(statistics)
        .select(
            *(name for name in DESCRIPTORS.columns if name not in NAMES),
            *(_finite(each.expression).alias(each.name) for each in REGISTRY),
        )
    )


def _trailing_statistics(panel: pl.DataFrame, starts: NDArray[np.bool_], wanted: NDArray[np.int64]) -> list[pl.Series]:
    """Compute ``TRAILING`` for the wanted rows."""
    spaced = rolling.Spaced.of(starts, max(each.months + each.lag for each in TRAILING) - 1)
    columns = []
    for each in TRAILING:
        inputs = panel.select(value.alias(str(number)) for number, value in enumerate(each.inputs)).get_columns()
        values = [spaced.spread(column.cast(pl.Float64).to_numpy()) for column in inputs]
        state = rolling.trailing(each.statistic, values, each.months)
        ends = spaced.ends(wanted, each.months, each.lag)
        columns += [
            pl.Series(f"{each.name}.{part}", value[ends])
            for part, value in zip(each.statistic.parts, state, strict=True)
        ]
    return columns


def _finite(expression: pl.Expr) -> pl.Expr:
    return pl.when(expression.is_finite()).then(expression)


def documentation() -> str:
    """Return the registry as a Markdown table."""
    rows = [f"| {each.factor} | {each.name} | {each.formula} | {each.minimum_history} |" for each in REGISTRY]
    return "\n".join(["| factor | descriptor | definition at month t | months needed |", "|---|---|---|---|", *rows])
