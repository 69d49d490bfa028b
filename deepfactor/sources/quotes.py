"""The simulated economy's prices as an exchange quotes them: splits, suspensions, rounding, volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from deepfactor.sources.economy import Economy
from deepfactor.sources.firms import Flags, Matrix

_SUSPENDED = 0.0005  # a month, for up to five
_DEAR, _CHEAP = 2_500.0, 70.0  # prices at which shares are split, and joined
_SPLITTING = 0.04  # a month, at such a price


def quote_prices(
    economy: Economy, sessions: Sequence[object], codes: pl.Series, random: np.random.Generator
) -> pl.DataFrame:
    """Return a row for each month and firm that traded; columns as in :class:`deepfactor.sources.simulated.Market`."""
    traded = economy.listed & ~_suspended(economy, random)
    row, firm = np.nonzero(traded)
    factors = _splits(economy.price, traded, random)
    growth = np.cumprod(np.where(np.isnan(economy.total_return), 1.0, 1.0 + economy.total_return), axis=0)
    close = np.round(economy.price / factors, 2)
    shares = np.round(economy.shares * factors)
    before = np.vstack([economy.price[:1], economy.price[:-1]])
    # Trades spread over the month: their average price lies between the two closes.
    average = np.sqrt(before * economy.price) / factors
    volume = np.maximum(np.round(shares * _turnover(economy, random), -2), 100.0)
    columns = {
        "close": close,
        "adj_close": economy.firms.first_price * growth,
        "volume": volume,
        "traded_value": np.round(volume * average),
        "shares_outstanding": shares,
        "market_cap": np.round(close * shares),
        "dividend": np.where(economy.dividend > 0, before / factors * economy.dividend, 0.0).round(4),
        "adjustment_factor": _adjustment(factors, traded),
    }
    days = pl.Series("date", sessions, pl.Date)
    return pl.DataFrame(
        [days.gather(row), codes.gather(firm), *(pl.Series(name, each[traded]) for name, each in columns.items())]
    )


def _turnover(economy: Economy, random: np.random.Generator) -> Matrix:
    """Return traded shares over all shares: firms differ much, and trade more when they move."""
    shape = economy.listed.shape
    usual = random.normal(0, 1.25, shape[1])
    moved = np.abs(np.where(np.isnan(economy.total_return), 0.0, economy.total_return))
    return np.asarray(0.037 * np.exp(usual + 0.45 * random.normal(0, 1, shape) + np.minimum(3.0 * moved, 2.0)))


def _suspended(economy: Economy, random: np.random.Generator) -> Flags:
    """Return the months without trading: now and then one to five, never the first or the last."""
    starts = random.random(economy.listed.shape) < _SUSPENDED
    lengths = random.integers(1, 6, economy.listed.shape)
    suspended = np.zeros_like(starts)
    for ahead in range(5):
        begun = (starts & (lengths > ahead))[: starts.shape[0] - ahead]
        suspended[ahead:] |= begun
    firms, months = economy.firms, np.arange(starts.shape[0])[:, None]
    return np.asarray(suspended & (months > firms.entry) & (months < np.minimum(firms.exit, starts.shape[0] - 1)))


def _splits(price: Matrix, traded: Flags, random: np.random.Generator) -> Matrix:
    """Return shares now for one share at first: split when the price is high, joined when it is low."""
    factors = np.ones_like(price)
    chance, size = random.random(price.shape), random.choice([1.5, 2.0, 2.0, 3.0, 5.0, 10.0], price.shape)
    for month in range(1, price.shape[0]):
        quoted = price[month] / factors[month - 1]
        size_now = np.where(quoted > 10 * _DEAR, np.maximum(size[month], 10.0), size[month])
        split = np.where((quoted > _DEAR) & (chance[month] < _SPLITTING), size_now, 1.0)
        joined = np.where((quoted < _CHEAP) & (chance[month] < _SPLITTING), 0.1, 1.0)
        factors[month] = factors[month - 1] * np.where(traded[month] & traded[month - 1], split * joined, 1.0)
    return factors


def _adjustment(factors: Matrix, traded: Flags) -> Matrix:
    """Return by what an older price must be multiplied to compare with this month's: .5 after a split in two."""
    before = np.vstack([factors[:1], factors[:-1]])
    return np.where(traded, before / factors, 1.0).round(6)
