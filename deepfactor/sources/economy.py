"""A small economy of listed firms, on arrays: prices, shares, mergers and accounts, with planted premia.

Rows of a matrix are months, columns are firms. Nothing here knows files or frames. Returns are whole millionths, and
what follows from them needs only sums, products and quotients, so that another processor's exponential function gives
the same history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from deepfactor.sources.accounts import Books, Calendar, Reports, gather
from deepfactor.sources.firms import Firms, Flags, Matrix, Vector, Whole, found_firms
from deepfactor.sources.premia import expected_excess, scores
from deepfactor.sources.shocks import draw_market, draw_own

_MARKET_PREMIUM = 0.004  # a month, of every firm alike: a loading on the market earns nothing
_MARKET_PERSISTENCE = 0.15  # of last month's market return
_WORST, _BEST = -0.72, 2.9  # months of a firm that goes on
_ISSUING, _BUYING_BACK = 0.05, 0.1  # of firms, a year
_TURMOIL = 0.25
_SMALLEST_VALUE = 1e9  # below it a firm must raise capital


@dataclass(frozen=True)
class Economy:
    """A simulated history.

    Attributes
    ----------
    firms
        The firms, listed at some time.
    listed
        Whether a firm has a price in a month.
    total_return
        Simple return of the month, as a fraction; NaN where there is none.
    dividend
        Dividend of the month over the price of the month before, a part of the total return.
    price, shares
        As if no share had ever been split: currency, and number (not whole).
    excess
        Expected return of the next month above the average of all listed firms.
    known
        Scores known at the end of the month (months × firms) by name.
    market_return, risk_free_rate
        By month; the market is weighted by the value at the month before.
    acquirer
        For each firm the one it was merged into, or -1.
    reports
        All accounts; some are announced after the firm, or the history, has ended.
    """

    firms: Firms
    listed: Flags
    total_return: Matrix
    dividend: Matrix
    price: Matrix
    shares: Matrix
    excess: Matrix
    known: dict[str, Matrix]
    market_return: Vector
    risk_free_rate: Vector
    acquirer: Whole
    reports: Reports

    def value(self, month: int) -> Vector:
        """Return the market values at the end of a month, in currency."""
        return np.asarray(self.price[month] * self.shares[month])


def evolve(stocks: int, calendar: Calendar, premia: Mapping[str, float], seed: np.random.SeedSequence) -> Economy:
    """Simulate an economy.

    Parameters
    ----------
    stocks
        Average number of listed firms.
    calendar
        The months; month 0 only has prices.
    premia
        Expected return a month per standard deviation of each term.
    seed
        Of every random number; streams of their own for firms, returns, accounts and deals.
    """
    streams = [np.random.Generator(np.random.PCG64(each)) for each in seed.spawn(4)]
    months = calendar.sessions.size
    firms = found_firms(stocks, months, streams[0])
    market = draw_market(months, streams[1])
    own = draw_own(firms, market, streams[1])
    rate = np.round(0.0045 * np.exp(-np.arange(months) / 80) + 0.0001, 6)
    books = Books.open(firms, calendar, streams[2])
    economy = _begin(firms, rate, books)
    for month in range(months):
        if month:
            surprise = market[month] * firms.beta + own[month]
            _move(economy, month, surprise, (calendar.first + month - firms.fiscal_month) % 12)
            _merge(economy, month, books, streams[3])
            _change_capital(economy, month, books, calendar, streams[3])
        books.month(month, economy.listed[month] & (firms.exit != month), economy.value(month))
        _expect(economy, month, books, premia)
    return replace(economy, reports=gather(books.reports))


def _begin(firms: Firms, rate: Vector, books: Books) -> Economy:
    """Return the history in which nothing has happened yet."""
    shape = (rate.size, firms.entry.size)
    return Economy(
        firms=firms,
        listed=np.stack([firms.listed(month) for month in range(rate.size)]),
        total_return=np.full(shape, np.nan),
        dividend=np.zeros(shape),
        price=np.tile(firms.first_price, (rate.size, 1)),
        shares=np.tile(np.round(firms.first_value / firms.first_price, -2), (rate.size, 1)),
        excess=np.zeros(shape),
        known={name: np.zeros(shape) for name in ("value", "quality", "momentum", "low_risk", "size")},
        market_return=np.full(rate.size, np.nan),
        risk_free_rate=rate,
        acquirer=np.full(firms.entry.size, -1),
        reports=books.reports[0],
    )


def _move(economy: Economy, month: int, surprise: Vector, phase: Whole) -> None:
    """Draw the month's returns of the firms listed before and in it."""
    firms, rate = economy.firms, economy.risk_free_rate[month]
    moving = economy.listed[month - 1] & economy.listed[month]
    before = economy.value(month - 1)
    last = economy.market_return[month - 1]
    # Common to all firms, so that a trend of the market makes no stock's return foreseeable beside another's.
    common = rate + _MARKET_PREMIUM + (0.0 if np.isnan(last) else _MARKET_PERSISTENCE * (last - _MARKET_PREMIUM))
    total = np.clip(common + economy.excess[month - 1] + surprise, _WORST, _BEST)
    total = np.where(firms.exit == month, firms.last_return, total).round(6)
    paying = (phase % 6 == 0) & (firms.exit != month)
    dividend = np.where(paying, firms.dividend_yield / 2, 0.0).round(6)
    economy.total_return[month, moving] = total[moving]
    economy.dividend[month, moving] = dividend[moving]
    # A firm keeps its first price until it lists, its last one after it has gone.
    economy.price[month] = economy.price[month - 1] * np.where(moving, 1 + total - dividend, 1.0)
    economy.shares[month] = economy.shares[month - 1]
    economy.market_return[month] = np.average(total[moving], weights=before[moving])


def _merge(economy: Economy, month: int, books: Books, random: np.random.Generator) -> None:
    """Merge the month's targets into larger firms, which pay in new shares at the market's prices."""
    firms = economy.firms
    remaining = economy.listed[month] & (firms.exit > month)
    for target in np.flatnonzero((firms.exit == month) & firms.merging):
        chance = random.random()
        value = economy.value(month)
        larger = remaining & (value > 1.5 * value[target])
        candidates = np.flatnonzero(larger & (firms.sector == firms.sector[target]))
        if not candidates.size:
            candidates = np.flatnonzero(larger)
        if not candidates.size:
            continue
        acquirer = int(candidates[int(chance * candidates.size)])
        books.absorb(acquirer, int(target), float(value[target]))
        economy.shares[month, acquirer] += value[target] / economy.price[month, acquirer]
        economy.acquirer[target] = acquirer


def _change_capital(
    economy: Economy, month: int, books: Books, calendar: Calendar, random: np.random.Generator
) -> None:
    """Issue shares, or buy them back, at the market's price after the fiscal year."""
    firms = economy.firms
    chance, size = random.random(firms.entry.size), random.uniform(0.02, 0.2, firms.entry.size)
    due = (calendar.first + month - firms.fiscal_month) % 12 == 3
    value = economy.value(month)
    change = np.where(chance < _ISSUING, size, np.where(chance > 1 - _BUYING_BACK, -0.2 * size, 0.0))
    change = np.where(value < _SMALLEST_VALUE, np.clip(_SMALLEST_VALUE / value - 1, 0.1, 3.0), change)
    # Nobody subscribes to shares in a month of turmoil; NaN, the month of a firm's listing, is none of calm either.
    calm = np.abs(economy.total_return[month]) < _TURMOIL
    firm = np.flatnonzero(due & calm & (firms.exit != month) & (change != 0))
    economy.shares[month, firm] *= 1 + change[firm]
    books.raise_capital(firm, value[firm] * change[firm])


def _expect(economy: Economy, month: int, books: Books, premia: Mapping[str, float]) -> None:
    """Keep what is known at the end of the month, and what follows from it for the next one."""
    listed = economy.listed[month] & (economy.firms.exit != month)
    value = economy.value(month)
    known = scores(
        books.known_book / value, books.known_return_on_equity, economy.total_return[: month + 1], value, listed
    )
    for name, score in known.items():
        economy.known[name][month] = score
    economy.excess[month] = expected_excess(premia, known, listed)
