"""The firms of the simulated economy: when each is listed, how it leaves, and what it is like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]

SECTORS = 17
NEVER = np.iinfo(np.int64).max
_DELISTING_HAZARD = 0.0025  # a month; about 3 % a year
_BANKS = 0.028
_FAILING = 0.25  # of those that leave; with the returns below a leaving firm's last one is 0 on average
_SMALLEST_LISTING = 1e9  # market value in currency
_MERGING = 0.6  # of those that are bought; the others are taken private for cash


@dataclass(frozen=True)
class Firms:
    """What is settled about each firm before its first month; each array has one entry a firm.

    Attributes
    ----------
    entry, exit
        First and last listed month; ``NEVER`` if the firm outlives the history.
    last_return, merging
        Return of the month in which it leaves, as a fraction; whether it is merged into another firm then.
    sector
        0 … ``SECTORS`` - 1.
    fiscal_month
        Calendar month (0-11) in which its fiscal year ends.
    bank
        Whether it reports no operating profit.
    beta, volatility
        Loading on the market, and monthly standard deviation of its own shocks.
    first_price, first_value
        Price and market value when it lists, in currency.
    book_to_price, liabilities_to_book, sales_to_assets, dividend_yield
        What these tend to; flows and yield a year.
    delay
        Days from the end of a period to the announcement, usually.
    """

    entry: Whole
    exit: Whole
    last_return: Vector
    merging: Flags
    sector: Whole
    fiscal_month: Whole
    bank: Flags
    beta: Vector
    volatility: Vector
    first_price: Vector
    first_value: Vector
    book_to_price: Vector
    liabilities_to_book: Vector
    sales_to_assets: Vector
    dividend_yield: Vector
    delay: Whole

    def listed(self, month: int) -> Flags:
        """Return which firms have a price in a month."""
        return (self.entry <= month) & (month <= self.exit)


def found_firms(stocks: int, months: int, random: np.random.Generator) -> Firms:
    """Return all firms of a history in which ``stocks`` are listed on average."""
    entry, leaving = _list(stocks, months, random)
    count = entry.size
    failing = random.random(count) < _FAILING
    march = random.random(count) < 0.7
    bank = random.random(count) < _BANKS
    size = random.normal(0, 1, count)
    return Firms(
        entry=entry,
        exit=leaving,
        last_return=np.where(failing, random.uniform(-0.9, -0.3, count), random.uniform(0.05, 0.35, count)).round(6),
        merging=~failing & (random.random(count) < _MERGING),
        sector=random.integers(0, SECTORS, count),
        fiscal_month=np.where(march, 2, random.choice([1, 5, 8, 11, 11, 11, 2, 4, 7, 10], count)),
        bank=bank,
        beta=np.clip(random.normal(0.92, 0.33, count), 0.1, 2.2),
        volatility=np.clip(0.071 * np.exp(random.normal(0, 0.33, count) - 0.08 * size), 0.03, 0.24),
        first_price=np.round(800.0 * np.exp(random.normal(0, 0.6, count)), 2),
        first_value=np.round(np.maximum(np.exp(np.log(2.5e10) + 1.65 * size), _SMALLEST_LISTING), -6),
        book_to_price=_book_to_price(count, random),
        liabilities_to_book=np.where(bank, 14.0, 0.9) * np.exp(np.where(bank, 0.3, 1.0) * random.normal(0, 1, count)),
        sales_to_assets=np.where(bank, 0.03, 0.97) * np.exp(random.normal(0, 0.45, count)),
        dividend_yield=random.uniform(0.0, 0.035, count),
        delay=random.integers(32, 58, count),
    )


def _list(stocks: int, months: int, random: np.random.Generator) -> tuple[Whole, Whole]:
    """Return first and last months such that the number listed grows slowly around ``stocks``."""
    target = np.round(stocks * np.linspace(0.9, 1.1, months)).astype(int)
    entry, leaving = np.empty(0, np.int64), np.empty(0, np.int64)
    for month in range(months):
        count = int(target[month] - (leaving >= month).sum())
        # A firm stays for a year at least, so that every one has a return and accounts.
        last = month + 12 + random.geometric(_DELISTING_HAZARD, max(count, 0))
        entry = np.append(entry, np.full(last.size, month))
        leaving = np.append(leaving, last)
    return entry, np.where(leaving < months, leaving, NEVER)


def _book_to_price(count: int, random: np.random.Generator) -> Vector:
    """Return usual ratios, spread wider among firms that are valued above their book."""
    spread = random.normal(0, 1, count)
    return np.asarray(1.02 * np.exp(np.where(spread < 0, 1.55, 0.42) * spread))
