"""The facts that expectations are about: polars computes them, Great Expectations judges them.

Of every raw table there are up to three frames: ``columns`` (a row for each column it must have), ``rows`` (its rows,
with what can only be seen beside other rows) and ``months`` (a row for each month of the window).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from deepfactor.months import Window
from deepfactor.schemas import RAW
from deepfactor.validation.levels import price_levels

Tables = Mapping[str, pl.DataFrame]

# A record older than this is too old to be used (section 4 of the design).
_OLDEST_ACCOUNTS = timedelta(days=549)
# More than this within a month is rare enough for a stock that a hundred of them are a fault of the file.
_LARGE_MOVE = 2.0


def column_facts(name: str, table: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each column that a raw table must have, by its name in ``column``.

    ``as_expected`` is whether the types ``expected`` and ``found`` agree; a column that is not there is "missing".
    """
    rows = [
        {"column": column, "expected": str(kind), "found": str(table.schema.get(column, "missing"))}
        for column, kind in RAW[name].columns.items()
    ]
    return pl.DataFrame(rows).with_columns(as_expected=pl.col("expected") == pl.col("found"))


def row_facts(tables: Tables, window: Window) -> dict[str, pl.DataFrame]:
    """Return the rows of every raw table with ``row`` (0-based) and facts.

    - Every table: ``months_after``, by which the row lies after the as-of month (0 or less: it does not), and
      ``scope_month``, the month in which it became known.
    - Prices: what :func:`price_levels` returns, and ``vwap_ratio``, close / (traded value / volume).
    - Fundamentals: ``days_after_period``, from the end of the fiscal period to the announcement, and
      ``balance_gap``, (assets − liabilities − net assets) / assets.
    """
    facts = {name: _dated(table, name, window).with_row_index("row") for name, table in tables.items()}
    if "prices" in facts:
        prices, fundamentals = tables["prices"], tables.get("fundamentals", RAW["fundamentals"].empty())
        facts["prices"] = facts["prices"].hstack(price_levels(prices, fundamentals)).with_columns(_vwap_ratio())
    if "fundamentals" in facts:
        assets = pl.col("total_assets")
        facts["fundamentals"] = facts["fundamentals"].with_columns(
            days_after_period=(pl.col("available_from") - pl.col("period_end")).dt.total_days(),
            balance_gap=pl.when(assets > 0).then(
                (assets - pl.col("total_liabilities") - pl.col("net_assets")).abs() / assets
            ),
        )
    return facts


def month_facts(tables: Tables, window: Window) -> dict[str, pl.DataFrame]:
    """Return facts about each month of the window, for prices and market.

    - Prices: ``stocks``; ``stocks_ratio`` to the month before; shares of its rows (0 to 1) with a close and return
      price (``priced_share``), with a traded value (``traded_share``), with a market value (``valued_share``), whose
      return price is that of the month before (``unchanged_share``), whose return price moved by more than a factor
      of two (``large_move_share``), and that have accounts of the last 18 months (``accounts_share``).
    - Market: ``rows``, and ``returns``, how many of them have a market return.
    """
    calendar = pl.DataFrame({"month": [month.first_day for month in window.history]}, schema={"month": pl.Date})
    facts = {}
    if "prices" in tables:
        priced = _monthly_prices(tables["prices"], tables.get("fundamentals", RAW["fundamentals"].empty()))
        stocks = pl.col("stocks").fill_null(0)
        before = stocks.shift(1)
        facts["prices"] = (
            calendar.join(priced, on="month", how="left", maintain_order="left")
            .with_columns(stocks=stocks)
            .with_columns(stocks_ratio=pl.when(before > 0).then(stocks / before))
        )
    if "market" in tables:
        counted = tables["market"].group_by("month").agg(rows=pl.len(), returns=pl.col("market_return").count())
        facts["market"] = calendar.join(counted, on="month", how="left", maintain_order="left").with_columns(
            pl.col("rows", "returns").fill_null(0)
        )
    return facts


def _dated(table: pl.DataFrame, name: str, window: Window) -> pl.DataFrame:
    known = pl.col("available_from" if name == "fundamentals" else "month").dt.truncate("1mo")
    first = window.as_of.first_day
    ahead = (known.dt.year().cast(pl.Int32) - first.year) * 12 + known.dt.month().cast(pl.Int32) - first.month
    return table.with_columns(scope_month=known, months_after=ahead)


def _vwap_ratio() -> pl.Expr:
    traded = (pl.col("volume") > 0) & (pl.col("traded_value") > 0) & (pl.col("close") > 0)
    ratio = pl.col("close") * pl.col("volume") / pl.col("traded_value")
    return pl.when(traded).then(ratio).alias("vwap_ratio")


def _monthly_prices(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    move = (pl.col("total_return_price") / pl.col("price_before")).log().abs()
    returned = pl.any_horizontal(pl.col("total_return_price", "total_return").is_not_null())
    valued = pl.any_horizontal(pl.col("market_value", "shares_outstanding").is_not_null())
    positive = (pl.col("total_return_price") > 0) & (pl.col("price_before") > 0)
    return (
        _with_accounts(_with_price_before(prices), fundamentals)
        .group_by("month")
        .agg(
            stocks=pl.col("security_id").n_unique(),
            priced_share=(pl.col("close").is_not_null() & returned).mean(),
            traded_share=(pl.col("traded_value") > 0).fill_null(value=False).mean(),
            valued_share=valued.mean(),
            unchanged_share=(pl.col("total_return_price") == pl.col("price_before")).mean(),
            large_move_share=pl.when(positive).then(move > pl.lit(_LARGE_MOVE).log()).mean(),
            accounts_share=pl.col("newest").is_not_null().mean(),
        )
    )


def _with_price_before(prices: pl.DataFrame) -> pl.DataFrame:
    """Add the return price of the calendar month before, null if there is none."""
    before = prices.select("security_id", pl.col("month").dt.offset_by("1mo"), price_before="total_return_price")
    # A stock that stands twice in a month is reported as such; here it must not multiply rows.
    once = before.unique(["security_id", "month"], keep="first", maintain_order=True)
    return prices.join(once, on=["security_id", "month"], how="left", maintain_order="left")


def _with_accounts(prices: pl.DataFrame, fundamentals: pl.DataFrame) -> pl.DataFrame:
    """Add the day from which the ``newest`` accounts known at the end of the month are known, null if too old."""
    known = fundamentals.select("security_id", "available_from", newest="available_from").drop_nulls()
    return (
        prices.with_columns(end=pl.col("month").dt.month_end())
        .sort("end")
        .join_asof(
            known.sort("available_from"),
            left_on="end",
            right_on="available_from",
            by="security_id",
            tolerance=_OLDEST_ACCOUNTS,
            check_sortedness=False,
        )
    )
