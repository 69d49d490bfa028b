"""Small markets made by hand, for tests that look at every number."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from deepfactor.months import Month
from deepfactor.schemas import FUNDAMENTALS, MARKET, PRICES


def prices(rows: Mapping[tuple[str, str], Mapping[str, float | None]]) -> pl.DataFrame:
    """Return raw prices from values by (month, security)."""
    records = [
        {"month": Month.parse(month).first_day, "security_id": security, **values}
        for (month, security), values in rows.items()
    ]
    return pl.DataFrame(records, schema=dict(PRICES.columns))


def fundamentals(rows: list[tuple[str, date, date, dict[str, float]]]) -> pl.DataFrame:
    """Return raw fundamentals from (security, period end, available from, figures)."""
    records = [
        {"security_id": security, "period_end": end, "available_from": known, **figures}
        for security, end, known, figures in rows
    ]
    return pl.DataFrame(records, schema=dict(FUNDAMENTALS.columns))


def market(months: list[Month], market_return: float = 0.01, risk_free_rate: float = 0.001) -> pl.DataFrame:
    """Return a market that gains the same every month."""
    records = [
        {"month": month.first_day, "market_return": market_return, "risk_free_rate": risk_free_rate} for month in months
    ]
    return pl.DataFrame(records, schema=dict(MARKET.columns))
