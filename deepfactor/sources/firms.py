"""The firms of the simulated economy: when each is listed, what it is like, and what happens to it by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]

DELISTING_HAZARD = 0.0025  # a month; about 3 % a year
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Firms:
    """What does not change about a firm; each array has one entry a firm.

    Attributes
    ----------
    entry, exit
        First and last listed month; ``NEVER`` if the firm outlives the history.
    fiscal_month
        Calendar month (0-11) in which its fiscal year ends.
    bank
        Whether it reports no operating profit.
    beta, volatility
        Loading on the market, and monthly standard deviation of its own shocks.
    book_to_price, leverage, turnover, dividend_yield
        Where net assets / market value, liabilities / net assets, sales / total assets tend to; yearly yield.
    """

    entry: Whole
    exit: Whole
    fiscal_month: Whole
    bank: Flags
    beta: Vector
    volatility: Vector
    book_to_price: Vector
    leverage: Vector
    turnover: Vector
    dividend_yield: Vector

    def listed(self, month: int) -> Flags:
        """Return which firms are listed at the end of a month."""
        return (self.entry <= month) & (month <= self.exit)


def _list(stocks: int, months: int, random: np.random.Generator) -> tuple[Whole, Whole]:
    """Return first and last months such that the number listed grows slowly around ``stocks``."""
    target = np.round(stocks * np.linspace(0.9, 1.1, months)).astype(int)
    entry, leaving = np.empty(0, np.int64), np.empty(0, np.int64)
    for month in range(months):
        count = int(target[month] - (leaving >= month).sum())
        # A firm stays for a year at least, so that every one has a return and accounts.
        last = month + 12 + random.geometric(DELISTING_HAZARD, max(count, 0))
        entry = np.append(entry, np.full(last.size, month))
        leaving = np.append(leaving, last)
    return entry, np.where(leaving < months, leaving, NEVER)


def found_firms(stocks: int, months: int, random: np.random.Generator) -> Firms:
    """Return all firms of a history in which ``stocks`` are listed on average."""
    entry, leaving = _list(stocks, months, random)
    count = entry.size
    march = random.random(count) < 0.7
    bank = random.random(count) < 0.05
    return Firms(
        entry=entry,
        exit=leaving,
        fiscal_month=np.where(march, 2, random.choice([1, 5, 8, 11, 11, 11, 2, 4, 7, 10], count)),
        bank=bank,
        beta=np.clip(random.normal(1.0, 0.3, count), 0.2, 2.2),
        volatility=np.clip(0.085 * np.exp(random.normal(0, 0.3, count)), 0.04, 0.2),
        book_to_price=0.8 * np.exp(random.normal(0, 0.45, count)),
        leverage=np.where(bank, 12.0, 1.0) * np.exp(random.normal(0, 0.6, count)),
        turnover=np.where(bank, 0.04, 1.0) * np.exp(random.normal(0, 0.4, count)),
        dividend_yield=random.uniform(0.0, 0.035, count),
    )


def draw_market(months: int, random: np.random.Generator) -> Vector:
    """Return the market's excess returns: volatility in clusters, fat tails, a crisis every eight years or so."""
    noise, tail = random.normal(0, 1, months), random.standard_t(5, months) / np.sqrt(5 / 3)
    log_volatility = np.zeros(months)
    for month in range(1, months):
        log_volatility[month] = 0.85 * log_volatility[month - 1] + 0.18 * noise[month]
    crisis = np.zeros(months)
    for start in np.flatnonzero(random.random(months) < 1 / 96):
        crisis[start : start + 3] = (-0.16, -0.07, 0.03)[: months - start]
    returns: Vector = np.clip(0.005 + 0.042 * np.exp(log_volatility) * tail, -0.22, 0.22) + crisis
    return returns


def draw_shocks(firms: Firms, factor: Vector, random: np.random.Generator) -> Matrix:
    """Return each firm's own return (months × firms): fat tails, wider when the market moves much."""
    tails = random.standard_t(4, (factor.size, firms.entry.size)) / np.sqrt(2.0)
    turbulence = np.clip(0.85 + 2.5 * np.abs(factor), None, 1.6)
    shocks: Matrix = np.clip(tails, -6, 8) * firms.volatility * turbulence[:, None]
    # Its last return: bought at a premium, or failed.
    last = np.flatnonzero(firms.exit != NEVER)
    bought = random.random(last.size) < 0.6
    ending = np.where(bought, random.uniform(0.05, 0.4, last.size), random.uniform(-0.9, -0.4, last.size))
    shocks[firms.exit[last], last] = ending
    return shocks
