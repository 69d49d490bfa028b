"""The point-in-time panel: for every month, what was known about every stock at the month's last session.

No row of the panel can depend on anything later: prices after the as-of month and figures announced after its last
session are cut off first, and each month's figures are joined as of that month's own last session.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from deepfactor.config import UniverseConfig
from deepfactor.errors import HistoryError
from deepfactor.months import Window, last_session
from deepfactor.schemas import FUNDAMENTALS, PANEL

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
        How many stocks a month is about, where no constituents are delivered.
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
    """
    prices = tables["prices"].filter(pl.col("month").is_between(window.first_history.first_day, window.as_of.first_day))
    check_history(prices, window)
    panel = (
        _with_returns(_every_month(prices))
        .join(_excess_market(tables["market"]), on="month", how="left", maintain_order="left")
        .with_columns(excess_return=pl.col("total_return") - pl.col("risk_free_rate"))
    )
    panel = _with_universe(panel, tables.get("constituents"), universe)
    panel = _with_figures(panel, tables["fundamentals"], window, calendar)
    return panel.select(*PANEL.columns).sort("security_id", "month")


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


def _every_month(prices: pl.DataFrame) -> pl.DataFrame:
    """Add the calendar months that a stock skips between its first and last price."""
    spans = prices.group_by("security_id").agg(first=pl.col("month").min(), last=pl.col("month").max())
    grid = (
        spans.select("security_id", month=pl.date_ranges("first", "last", "1mo"))
        .explode("month")
        .sort("security_id", "month")
    )
    rows = prices.with_columns(listed=pl.lit(value=True))
    return grid.join(rows, on=["security_id", "month"], how="left", maintain_order="left").with_columns(
        pl.col("listed").fill_null(value=False)
    )


def _with_returns(grid: pl.DataFrame) -> pl.DataFrame:
    """Add total return and market value, each from whichever of its two columns the vendor has."""
    price = pl.when(pl.col("total_return_price") > 0).then("total_return_price")
    change = price / price.shift(1).over("security_id") - 1
    value = pl.coalesce("market_value", pl.col("close") * pl.col("shares_outstanding"))
    return grid.with_columns(
        total_return=pl.coalesce("total_return", change),
        market_value=pl.when(value > 0).then(value),
    )


def _excess_market(market: pl.DataFrame) -> pl.DataFrame:
    return market.select(
        "month", "risk_free_rate", market_excess_return=pl.col("market_return") - pl.col("risk_free_rate")
    )


def _with_universe(panel: pl.DataFrame, constituents: pl.DataFrame | None, universe: UniverseConfig) -> pl.DataFrame:
    """Mark the month's members: those delivered, else the largest by market value, ties by security."""
    candidates = panel.filter("listed", pl.col("market_value").is_not_null())
    if constituents is not None:
        candidates = candidates.join(constituents, on=["month", "security_id"], how="semi")
    elif universe.size is not None:
        candidates = (
            candidates.sort("market_value", "security_id", descending=[True, False])
            .group_by("month", maintain_order=True)
            .head(universe.size)
        )
    members = candidates.select("month", "security_id", in_universe=pl.lit(value=True))
    return panel.join(members, on=["month", "security_id"], how="left", maintain_order="left").with_columns(
        pl.col("in_universe").fill_null(value=False)
    )


def _with_figures(panel: pl.DataFrame, fundamentals: pl.DataFrame, window: Window, calendar: str) -> pl.DataFrame:
    """Join each month's newest known figures: newest period first, of that the newest announcement."""
    sessions = pl.DataFrame(
        [(month.first_day, last_session(month, calendar)) for month in window.history],
        schema={"month": pl.Date, "session": pl.Date},
        orient="row",
    )
    accounts = [name for name in FUNDAMENTALS.columns if name not in FUNDAMENTALS.key]
    known = (
        fundamentals.filter(pl.col("available_from") <= last_session(window.as_of, calendar))
        .sort("security_id", "available_from", "period_end")
        # An older period restated late must not displace a newer one.
        .filter(pl.col("period_end") == pl.col("period_end").cum_max().over("security_id"))
        .sort("available_from", maintain_order=True)
    )
    joined = (
        panel.join(sessions, on="month", maintain_order="left")
        .sort("session")
        .join_asof(known, left_on="session", right_on="available_from", by="security_id", check_sortedness=False)
    )
    fresh = pl.col("period_end").dt.offset_by(f"{MAXIMUM_AGE_MONTHS}mo") >= pl.col("session")
    return joined.with_columns(pl.when(fresh).then(pl.col(accounts)))
