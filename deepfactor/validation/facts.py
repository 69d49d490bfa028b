"""The facts that expectations are about: polars computes them, Great Expectations judges them.

Of every raw table there are up to four frames: ``columns`` (a row for each column it must have), ``rows`` (its rows,
with what can only be seen beside other rows), ``months`` (a row for each month of the window) and ``distributions`` (a
row for each numeric column, the as-of month beside the twelve before it).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from deepfactor.months import Window, month_range
from deepfactor.schemas import FUNDAMENTALS, RAW, Table
from deepfactor.validation.accounts import account_facts, account_months
from deepfactor.validation.deliveries import odd_codes, repetition, turnover
from deepfactor.validation.distributions import distribution_facts
from deepfactor.validation.levels import price_levels
from deepfactor.validation.market import index_months, market_growth, price_months

Tables = Mapping[str, pl.DataFrame]

# Values that move with the market as a whole.
_PRICE_LIKE = ("close", "total_return_price", "market_value", "traded_value")
_NOT_PRICE_LIKE = ("total_return", "volume", "shares_outstanding")


def column_facts(schema: Table, table: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each column that a table must have, by its name in ``column``.

    ``as_expected`` is whether the types ``expected`` and ``found`` agree; a column that is not there is "missing".
    ``not_finite`` counts NaN and infinite values, which stand for nothing: what is not known is null.
    """
    rows = [
        {
            "column": column,
            "expected": str(kind),
            "found": str(table.schema.get(column, "missing")),
            "not_finite": _not_finite(table[column]) if column in table.columns else 0,
        }
        for column, kind in schema.columns.items()
    ]
    return pl.DataFrame(rows).with_columns(as_expected=pl.col("expected") == pl.col("found"))


def row_facts(tables: Tables, window: Window) -> dict[str, pl.DataFrame]:
    """Return the rows of every raw table with ``row`` (0-based) and facts.

    - Every table: ``months_after``, by which the row lies after the as-of month (0 or less: it does not), and
      ``scope_month``, the month in which it became known.
    - Prices: what :func:`price_levels` returns, ``vwap_ratio``, close / (traded value / volume), and ``value_ratio``,
      market value / (close × shares).
    - Fundamentals: what :func:`account_facts` returns.
    """
    facts = {name: _dated(table, name, window).with_row_index("row") for name, table in tables.items()}
    if "prices" in facts:
        prices, fundamentals = tables["prices"], tables.get("fundamentals", RAW["fundamentals"].empty())
        facts["prices"] = facts["prices"].hstack(price_levels(prices, fundamentals)).with_columns(*_price_ratios())
    if "fundamentals" in facts:
        facts["fundamentals"] = facts["fundamentals"].hstack(account_facts(tables["fundamentals"]))
    return facts


def month_facts(tables: Tables, window: Window, kept: Tables | None = None) -> dict[str, pl.DataFrame]:
    """Return facts about each month of the window; where there are no rows they are null, and counts 0.

    The index is compared with the rows that are ``kept``, not set aside: one wrong price could be the whole market.

    - Prices: what :func:`turnover`, :func:`odd_codes` and :func:`price_months` return, and of the as-of month what
      :func:`repetition` does.
    - Fundamentals: what :func:`account_months` and :func:`odd_codes` return.
    - Market: what :func:`index_months` returns.
    - Constituents: what :func:`turnover` and :func:`odd_codes` return, and ``priced_share`` of the members that have a
      price in the month.
    """
    prices = tables.get("prices", RAW["prices"].empty())
    fundamentals = tables.get("fundamentals", RAW["fundamentals"].empty())
    facts = {}
    if "prices" in tables:
        facts["prices"] = (
            turnover(prices)
            .join(price_months(prices, fundamentals), on="month", how="left")
            .join(repetition(prices, window.as_of), on="month", how="left")
            .join(odd_codes(prices), on="month", how="left")
        )
    if "fundamentals" in tables:
        announced = fundamentals.with_columns(month=pl.col("available_from").dt.truncate("1mo"))
        facts["fundamentals"] = account_months(fundamentals, account_facts(fundamentals), window.as_of).join(
            odd_codes(announced), on="month", how="left"
        )
    if "market" in tables:
        used = {"prices": prices, "fundamentals": fundamentals} | dict(kept or {})
        facts["market"] = index_months(tables["market"], used["prices"], used["fundamentals"])
    if "constituents" in tables:
        members = tables["constituents"]
        priced = prices.select("month", "security_id", priced=pl.lit(value=True)).unique()
        facts["constituents"] = (
            turnover(members)
            .join(
                members.join(priced, on=["month", "security_id"], how="left")
                .group_by("month")
                .agg(priced_share=pl.col("priced").is_not_null().mean()),
                on="month",
                how="left",
            )
            .join(odd_codes(members), on="month", how="left")
        )
    counts = pl.col("^(stocks|rows|returns|accounts)$")
    calendar = pl.DataFrame({"month": [month.first_day for month in window.history]}, schema={"month": pl.Date})
    return {
        name: calendar.join(frame, on="month", how="left", maintain_order="left").with_columns(counts.fill_null(0))
        for name, frame in facts.items()
    }


def raw_distributions(tables: Tables, window: Window) -> dict[str, pl.DataFrame]:
    """Return :func:`distribution_facts` of the prices and of the accounts that became known in the month.

    Prices, without the market's move, lie beside those of the twelve months before. Which firms report depends on the
    season, so accounts lie beside those of the same calendar month of the three years before.
    """
    facts = {}
    if "prices" in tables:
        year = list(month_range(window.as_of + -12, window.as_of + -1))
        growth = market_growth(tables["market"], window) if "market" in tables else {}
        facts["prices"] = pl.concat(
            [
                distribution_facts(tables["prices"], window.as_of, year, _PRICE_LIKE, growth),
                distribution_facts(tables["prices"], window.as_of, year, _NOT_PRICE_LIKE),
            ]
        )
    if "fundamentals" in tables:
        figures = [name for name in FUNDAMENTALS.columns if name not in FUNDAMENTALS.key]
        known = tables["fundamentals"].with_columns(month=pl.col("available_from").dt.truncate("1mo"))
        season = [window.as_of + -12 * years for years in (1, 2, 3)]
        facts["fundamentals"] = distribution_facts(known, window.as_of, season, figures)
    return facts


def _not_finite(values: pl.Series) -> int:
    return int((~values.is_finite()).sum()) if values.dtype.is_float() else 0


def _dated(table: pl.DataFrame, name: str, window: Window) -> pl.DataFrame:
    known = pl.col("available_from" if name == "fundamentals" else "month").dt.truncate("1mo")
    first = window.as_of.first_day
    ahead = (known.dt.year().cast(pl.Int32) - first.year) * 12 + known.dt.month().cast(pl.Int32) - first.month
    return table.with_columns(scope_month=known, months_after=ahead)


def _price_ratios() -> list[pl.Expr]:
    close, volume, shares = (pl.when(pl.col(name) > 0).then(name) for name in ("close", "volume", "shares_outstanding"))
    traded, value = (pl.when(pl.col(name) > 0).then(name) for name in ("traded_value", "market_value"))
    return [(close * volume / traded).alias("vwap_ratio"), (value / (close * shares)).alias("value_ratio")]
