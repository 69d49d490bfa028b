"""A small economy of listed firms, on arrays: who is listed, what is reported, and returns with planted premia.

Rows of a matrix are months, columns are firms. Nothing here knows dates, files or frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfactor.sources.firms import Firms, Flags, Matrix, Vector, Whole, draw_market, draw_shocks, found_firms

# Expected return a month per standard deviation of the score. Together about .6 %, against a dispersion of about 10 %:
# an information coefficient of .06, which is what a good real model reaches.
PREMIA = {
    "value": 0.0030,
    "quality": 0.0025,
    "momentum": 0.0020,
    "low_risk": 0.0020,
    "size": 0.0015,
    "value_x_quality": 0.0030,
}
ANNOUNCEMENT_MONTHS = 2  # a fiscal year's figures are known at the end of the second month after it


@dataclass(frozen=True)
class Accounts:
    """Figures of one fiscal year end; ``firm`` holds column numbers, amounts are in currency."""

    month: int
    firm: Whole
    figures: dict[str, Vector]


@dataclass(frozen=True)
class Economy:
    """A simulated history.

    Attributes
    ----------
    firms
        The firms, listed at some time.
    listed
        Whether a firm is listed at the end of a month.
    total_return, dividend
        Simple return of the month, and the part of it paid as a dividend, as fractions.
    log_value
        Logarithm of market value, in currency.
    signal
        Expected part of the next month's return that was planted, as a fraction.
    market_return, risk_free_rate
        By month; the market is weighted by the value at the month before.
    accounts
        Oldest first; those before month 0 have negative months.
    """

    firms: Firms
    listed: Flags
    total_return: Matrix
    dividend: Matrix
    log_value: Matrix
    signal: Matrix
    market_return: Vector
    risk_free_rate: Vector
    accounts: tuple[Accounts, ...]


def evolve(stocks: int, months: int, first_calendar_month: int, random: np.random.Generator) -> Economy:
    """Simulate an economy.

    Parameters
    ----------
    stocks
        Average number of listed firms.
    months
        Length of the history; month 0 only has prices.
    first_calendar_month
        Calendar month (0-11) of month 0.
    random
        Source of every random number.
    """
    firms = found_firms(stocks, months, random)
    factor = draw_market(months, random)
    rate = 0.0045 * np.exp(-np.arange(months) / 80) + 0.0001
    shocks = draw_shocks(firms, factor, random) + factor[:, None] * firms.beta + rate[:, None]
    state = _State.before(firms, months)
    accounts = _first_accounts(state, first_calendar_month, random)
    for month in range(months):
        year_end = firms.fiscal_month == (first_calendar_month + month) % 12
        if month:
            _move_prices(state, month, shocks[month], year_end)
        # A firm that is listed next month reports already.
        reporting = year_end & (state.listed[month] | (firms.entry == month + 1))
        accounts.append(_report(state, month, np.flatnonzero(reporting), random))
        state.signal[month] = _expect(state, month)
    return Economy(
        firms,
        state.listed,
        state.total_return,
        state.dividend,
        state.log_value,
        state.signal,
        state.market_return,
        rate,
        tuple(accounts),
    )


@dataclass(frozen=True)
class _State:
    """Matrices as in :class:`Economy`, filled in month by month, with what is known of the accounts.

    ``book`` and ``return_on_equity`` hold, for each month, the newest figures announced by its end; ``quality`` is the
    firms' present unseen profitability, in standard deviations.
    """

    firms: Firms
    listed: Flags
    total_return: Matrix
    dividend: Matrix
    log_value: Matrix
    signal: Matrix
    market_return: Vector
    book: Matrix
    return_on_equity: Matrix
    quality: Vector

    @classmethod
    def before(cls, firms: Firms, months: int) -> _State:
        """Return the state in which nothing has happened yet."""
        shape = (months, firms.entry.size)
        return cls(
            firms=firms,
            listed=np.stack([firms.listed(month) for month in range(months)]),
            total_return=np.full(shape, np.nan),
            dividend=np.zeros(shape),
            log_value=np.zeros(shape),
            signal=np.zeros(shape),
            market_return=np.full(months, np.nan),
            book=np.zeros(shape),
            return_on_equity=np.zeros(shape),
            quality=np.zeros(shape[1]),
        )


def _first_accounts(state: _State, first_calendar_month: int, random: np.random.Generator) -> list[Accounts]:
    """Give every firm its first market value, and accounts that are announced when it lists."""
    firms = state.firms
    state.log_value[:] = np.log(3e10) + random.normal(0, 1.4, firms.entry.size)
    state.quality[:] = random.normal(0, 1, firms.entry.size)
    newest = np.where(firms.entry == 0, 1, ANNOUNCEMENT_MONTHS)
    age = newest + (first_calendar_month + firms.entry - newest - firms.fiscal_month) % 12
    book = np.exp(state.log_value[0]) * firms.book_to_price * np.exp(random.normal(0, 0.2, firms.entry.size))
    year_end = firms.entry - age
    figures = _publish(state, 0, np.arange(firms.entry.size), book, random)
    return [
        Accounts(int(month), firm, {name: figure[firm] for name, figure in figures.items()})
        for month in np.unique(year_end)
        for firm in [np.flatnonzero(year_end == month)]
    ]


def _report(state: _State, month: int, firm: Whole, random: np.random.Generator) -> Accounts:
    """Close the fiscal year of some firms."""
    state.quality[firm] = 0.8 * state.quality[firm] + 0.6 * random.normal(0, 1, firm.size)
    earned = 0.65 * np.clip(state.return_on_equity[month, firm], -0.4, 0.35)
    # Issues and buy-backs pull the book towards the firm's usual ratio, or the two would drift apart over decades.
    usual = state.log_value[month, firm] + np.log(state.firms.book_to_price[firm])
    book = np.log(state.book[month, firm])
    book += earned + 0.2 * (usual - book)
    return Accounts(month, firm, _publish(state, month + ANNOUNCEMENT_MONTHS, firm, np.exp(book), random))


def _publish(state: _State, known: int, firm: Whole, book: Vector, random: np.random.Generator) -> dict[str, Vector]:
    """Derive a year's figures from net assets, and make them known from a month on."""
    firms = state.firms
    noise = random.normal(0, 1, (6, firm.size))
    return_on_equity = np.clip(0.055 + 0.05 * state.quality[firm] + 0.02 * noise[0], -0.5, 0.4)
    liabilities = book * firms.leverage[firm] * np.exp(0.05 * noise[1])
    assets = book + liabilities
    operating = 1.6 * return_on_equity * book + np.where(firms.bank[firm], 0.0005, 0.006) * assets * noise[2]
    state.book[known:, firm] = book
    state.return_on_equity[known:, firm] = return_on_equity
    return {
        "net_income": return_on_equity * book,
        "net_assets": book,
        "operating_profit": np.where(firms.bank[firm], np.nan, operating),
        "ordinary_profit": operating * (1 + 0.05 * noise[3]),
        "total_assets": assets,
        "total_liabilities": liabilities,
        "cfo": operating + np.where(firms.bank[firm], 0.002, 0.03) * assets * noise[4],
        "sales": assets * firms.turnover[firm] * np.exp(0.05 * noise[5]),
    }


def _move_prices(state: _State, month: int, shocks: Vector, year_end: Flags) -> None:
    """Draw the month's returns of the firms listed before and after it."""
    moving = state.listed[month - 1] & state.listed[month]
    value_before = np.exp(state.log_value[month - 1])
    total = np.clip(state.signal[month - 1] + shocks, np.where(state.firms.exit == month, -0.95, -0.7), 2.0)
    dividend = np.where(year_end, state.firms.dividend_yield, 0.0)
    state.total_return[month, moving] = total[moving]
    state.dividend[month, moving] = dividend[moving]
    moved = np.log1p(total - dividend)
    state.log_value[month, moving] = (state.log_value[month - 1] + moved)[moving]
    # A firm keeps its first value until it lists, its last one after it has gone.
    gone = state.firms.exit < month
    state.log_value[month, gone] = state.log_value[month - 1, gone]
    state.market_return[month] = np.average(total[moving], weights=value_before[moving])


def _expect(state: _State, month: int) -> Vector:
    """Return the planted part of the next month's return, from what is known at the end of this one."""
    listed = state.listed[month]
    recent = np.log1p(state.total_return[max(month - 11, 0) : month])
    momentum = recent.sum(axis=0) if month >= 12 else np.full(listed.size, np.nan)
    scores = {
        "value": _score(np.log(state.book[month]) - state.log_value[month], listed),
        "quality": _score(state.return_on_equity[month], listed),
        "momentum": _score(momentum, listed),
        "low_risk": _score(-_volatility(state.total_return[max(month - 59, 0) : month + 1]), listed),
        "size": _score(-state.log_value[month], listed),
    }
    scores["value_x_quality"] = scores["value"] * scores["quality"]
    expected = sum((premium * scores[name] for name, premium in PREMIA.items()), np.zeros(listed.size))
    return np.where(listed, expected - expected[listed].mean(), 0.0)


def _volatility(returns: Matrix) -> Vector:
    """Return the standard deviation of each column; NaN with fewer than 36 values."""
    known = ~np.isnan(returns)
    count = known.sum(axis=0)
    enough = np.where(count >= 36, count, np.nan)
    filled = np.where(known, returns, 0.0)
    mean = filled.sum(axis=0) / enough
    return np.asarray(np.sqrt((np.where(known, returns - mean, 0.0) ** 2).sum(axis=0) / (enough - 1)))


def _score(values: Vector, listed: Flags) -> Vector:
    """Return ranks with mean 0 and variance 1 over the listed firms; 0 where a value is not known."""
    known = np.flatnonzero(listed & np.isfinite(values))
    result = np.zeros(values.size)
    if known.size > 1:
        order = known[np.argsort(values[known], kind="stable")]
        result[order] = (np.arange(known.size) / (known.size - 1) - 0.5) * np.sqrt(12.0)
    return result
