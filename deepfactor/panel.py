"""The point-in-time panel: for every month, what was known about every stock at the month's last session.

No row of the panel can depend on anything later: prices after the as-of month and figures announced after its last
session are cut off first, and each month's figures are joined as of that month's own last session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.config import UniverseConfig
from deepfactor.errors import HistoryError, SchemaError
from deepfactor.months import Month, Window, last_session
from deepfactor.schemas import FUNDAMENTALS, MARKET, PANEL, PRICES

Whole = NDArray[np.int64]

# Annual accounts are at most 15 months old when the next ones are due; 18 leaves a late filer its grace.
MAXIMUM_AGE_MONTHS = 18


def build_panel(
    tables: Mapping[str, pl.DataFrame], window: Window, universe: UniverseConfig, calendar: str
) -> pl.DataFrame:
    """Join the raw tables into one row per stock and calendar month.

    Parameters
    ----------
    tables
        The raw tables of ``schemas.RAW``; ``constituents`` may be missing.
    window
        The months that may be looked at.
    universe
        How many stocks a month is about.
    calendar
        Exchange whose last session closes a month.

    Returns
    -------
    pl.DataFrame
        ``schemas.PANEL``, sorted by stock and month. Between a stock's first and last price every calendar month has
        a row, so that a shift by one row is a shift by one month.

    Raises
    ------
    HistoryError
        If the raw tables do not reach back far enough, or lack a month.
    SchemaError
        If a row lacks its key, or two rows have the same: which of them would be right?
    """
    seen = pl.col("month").is_between(window.first_history.first_day, window.as_of.first_day)
    known = pl.col("available_from") <= last_session(window.as_of, calendar)
    prices, market = tables["prices"].filter(seen), tables["market"].filter(seen)
    check_history(prices, window)
    grid = Grid.of(prices, window)
    frame = _with_returns(grid, prices, MARKET.check(market, "the market given to build_panel"))
    fundamentals = FUNDAMENTALS.check(tables["fundamentals"].filter(known), "the fundamentals given to build_panel")
    figures = _figures(grid, fundamentals, [last_session(month, calendar) for month in window.history])
    member = _members(grid, frame, tables.get("constituents"), universe)
    return frame.with_columns(member, *figures.get_columns()).select(*PANEL.columns)


def check_history(prices: pl.DataFrame, window: Window) -> None:
    """Check that there are prices of every month the window needs.

    Parameters
    ----------
    prices
        ``schemas.PRICES``, or any frame with its ``month``.
    window
        The months of the run.

    Raises
    ------
    HistoryError
        Saying what is needed and what is there.
    """
    there = set(prices["month"].unique())
    missing = [str(month) for month in window.history if month.first_day not in there]
    if missing:
        shown = ", ".join(missing[:3]) + (f" … {missing[-1]}" if len(missing) > 3 else "")
        found = f"from {min(there):%Y-%m} to {max(there):%Y-%m}" if there else "none at all"
        raise HistoryError(
            f"{window.as_of} needs prices of every month from {window.first_history} to {window.as_of} "
            f"({len(window.history)} months: {window.training_months} of training, {max(window.lags)} of lags, "
            f"{window.rolling_months} of rolling statistics, and the month itself); {len(missing)} are missing "
            f"({shown}), there are {len(there)}: {found}. Deliver them, or ask for a later month."
        )


@dataclass(frozen=True)
class Grid:
    """A row for each stock and each calendar month from its first price to its last, by stock and month.

    Attributes
    ----------
    securities
        Sorted; a stock's code is its index here.
    months
        First days of the months of the window; a month's index is its place here.
    first_months, last_months
        Index of each stock's first and last month, shape (stocks,).
    starts
        Row of each stock's first month, shape (stocks,).
    codes, month_indices
        Of each row, shape (rows,).
    price_rows
        Row of the prices for each row, -1 where the stock skips the month, shape (rows,).
    """

    securities: pl.Series
    months: pl.Series
    first_months: Whole
    last_months: Whole
    starts: Whole
    codes: Whole
    month_indices: Whole
    price_rows: Whole

    @classmethod
    def of(cls, prices: pl.DataFrame, window: Window) -> Grid:
        """Lay out the months of each stock.

        Raises
        ------
        SchemaError
            If a row of the prices lacks its security, or two rows have the same key.
        """
        if prices["security_id"].has_nulls():
            raise SchemaError("the prices given to build_panel lack the security of some rows: validate them first")
        securities = prices["security_id"].unique().sort()
        history = pl.Series([month.first_day for month in window.history], dtype=pl.Date)
        keys = prices.select(
            code=_codes(pl.col("security_id"), securities), month=_month_indices(pl.col("month"), history)
        )
        codes, months = keys["code"].to_numpy(), keys["month"].to_numpy()
        first, last = np.full(len(securities), len(history)), np.full(len(securities), -1)
        np.minimum.at(first, codes, months)
        np.maximum.at(last, codes, months)
        lengths = last - first + 1
        starts = np.cumsum(lengths) - lengths
        code_of_row = np.repeat(np.arange(len(securities)), lengths)
        month_of_row = np.arange(len(code_of_row)) - (starts - first)[code_of_row]
        nothing = np.full(len(code_of_row), -1)
        grid = cls(securities, history, first, last, starts, code_of_row, month_of_row, nothing)
        rows = grid.rows_at(codes, months)
        grid.price_rows[rows] = np.arange(len(rows))
        if np.count_nonzero(grid.price_rows >= 0) < len(rows):
            PRICES.check(prices, "the prices given to build_panel")  # says which rows
        return grid

    def rows_at(self, codes: Whole, months: Whole) -> Whole:
        """Return the row of each stock's month; -1 where the stock has none."""
        inside = (months >= self.first_months[codes]) & (months <= self.last_months[codes])
        return np.where(inside, self.starts[codes] + months - self.first_months[codes], -1)


def _codes(securities: pl.Expr, known: pl.Series) -> pl.Expr:
    """Return the index of each security among the sorted, known ones; null for others."""
    return securities.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64)


def _month_indices(months: pl.Expr, history: pl.Series) -> pl.Expr:
    first = Month.containing(history[0])
    return months.dt.year().cast(pl.Int64) * 12 + (months.dt.month().cast(pl.Int64) - 1) - first.ordinal


def _gather(frame: pl.DataFrame, rows: Whole) -> pl.DataFrame:
    """Return the given rows of a frame; nulls where the row is -1."""
    indices = pl.DataFrame({"row": rows}).select(pl.when(pl.col("row") >= 0).then("row")).to_series()
    return frame.select(pl.all().gather(indices))


def _with_returns(grid: Grid, prices: pl.DataFrame, market: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with total and excess return and market value, each from what the vendor has.

    A return needs the price of the calendar month before, a delivered one too: where that was set aside as wrong, so
    is the return from it.
    """
    rates = grid.months.to_frame("month").join(market, on="month", how="left", maintain_order="left")
    price = pl.when(pl.col("total_return_price") > 0).then("total_return_price")
    follows = (pl.col("month_index") > pl.col("first_month")) & pl.col("listed").shift(1)
    value = pl.coalesce("market_value", pl.col("close") * pl.col("shares_outstanding"))
    return (
        _gather(prices.drop("month", "security_id"), grid.price_rows)
        .with_columns(
            grid.securities.gather(grid.codes).alias("security_id"),
            *_gather(rates, grid.month_indices).get_columns(),
            listed=pl.Series(grid.price_rows >= 0),
            month_index=pl.Series(grid.month_indices),
            first_month=pl.Series(grid.first_months[grid.codes]),
        )
        .with_columns(
            total_return=pl.when(follows).then(pl.coalesce("total_return", price / price.shift(1) - 1)),
            market_value=pl.when(value > 0).then(value),
            market_excess_return=pl.col("market_return") - pl.col("risk_free_rate"),
        )
        .with_columns(excess_return=pl.col("total_return") - pl.col("risk_free_rate"))
    )


def _members(grid: Grid, frame: pl.DataFrame, constituents: pl.DataFrame | None, universe: UniverseConfig) -> pl.Series:
    """Mark the month's members: those delivered that have a price, else all that have a market value.

    Of these, where the universe has a size, the largest by market value, ties by name.
    """
    member = frame["listed"].to_numpy() if constituents is None else _delivered(grid, constituents)
    valued = frame["market_value"].is_not_null().to_numpy()
    if universe.size is not None:
        largest = (
            frame.select("month", "market_value")
            .with_row_index("row")
            .filter(pl.Series(member & valued))
            .sort("month", "market_value", descending=[False, True], maintain_order=True)
            .group_by("month", maintain_order=True)
            .head(universe.size)
        )
        member = np.zeros(frame.height, dtype=bool)
        member[largest["row"].to_numpy()] = True
    elif constituents is None:
        member = member & valued
    return pl.Series("in_universe", member)


def _delivered(grid: Grid, constituents: pl.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows are of a delivered constituent that has a price that month, shape (rows,)."""
    delivered = (
        constituents.filter(pl.col("month").is_between(grid.months[0], grid.months[-1]))
        .select(month=_month_indices(pl.col("month"), grid.months), code=_codes(pl.col("security_id"), grid.securities))
        .drop_nulls()
    )
    rows = grid.rows_at(delivered["code"].to_numpy(), delivered["month"].to_numpy())
    member = np.zeros(len(grid.codes), dtype=bool)
    member[rows[rows >= 0]] = True
    member &= grid.price_rows >= 0
    return member


def _figures(grid: Grid, fundamentals: pl.DataFrame, last_sessions: Sequence[date]) -> pl.DataFrame:
    """Return each row's newest known figures: newest period first, of that the newest announcement.

    A record counts as a whole: a figure that the newest one lacks is not taken from an older one, which would mix
    periods. One that has no figure at all says nothing, and does not count.
    """
    accounts = [name for name in FUNDAMENTALS.columns if name not in FUNDAMENTALS.key]
    sessions = np.array(last_sessions, dtype="datetime64[D]")
    # Sorted by stock, period and announcement: of the records of a stock that are known, the last is the newest.
    records = fundamentals.with_columns(code=_codes(pl.col("security_id"), grid.securities)).filter(
        pl.col("code").is_not_null(), pl.any_horizontal(pl.col(accounts).is_not_null())
    )
    codes = records["code"].to_numpy()
    seen = np.searchsorted(sessions, records["available_from"].to_numpy(), side="left")
    # What was known before a stock's first price is known from its first month on.
    known = grid.rows_at(codes, np.maximum(seen, grid.first_months[codes]))
    newest = np.full(len(grid.codes), -1)
    there = np.flatnonzero(known >= 0)
    np.maximum.at(newest, known[there], there)
    newest = np.maximum.accumulate(newest)
    # What is older than 18 months at the session is too old; and no record is carried on to the next stock.
    limit = records["period_end"].dt.offset_by(f"{MAXIMUM_AGE_MONTHS}mo").to_numpy()
    last_month = np.append(np.searchsorted(sessions, limit, side="right") - 1, -1)
    own = np.append(codes, -1)[newest] == grid.codes
    return _gather(records.select(accounts), np.where(own & (grid.month_indices <= last_month[newest]), newest, -1))
