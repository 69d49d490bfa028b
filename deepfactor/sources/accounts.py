"""The books of the simulated firms: kept by quarter, announced weeks later, and now and then corrected.

Flows are trailing twelve months. Figures are whole millions of currency, as firms report them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepfactor.sources.firms import Firms, Flags, Matrix, Vector, Whole

_FLOWS = ("net_income", "operating", "cash_flow", "sales")
EARLIEST_MONTH = 24  # accounts may end this long before month 0
_RESTATED = 0.02  # of all reports
_MUCH = 0.2  # of those: profits that never were
_QUARTERLY_STEP = 24  # months over which firms begin to report by quarter
# Assets are written down where the market pays so little for them, shares are issued where it pays so much.
_BOOK_TO_PRICE = (0.06, 3.0)
_LEAST_BOOK = 1e8  # currency; a firm with less would be wound up


@dataclass(frozen=True)
class Calendar:
    """Days, counted from 1970-01-01, of the months of a history; month 0 is its first.

    Attributes
    ----------
    first
        Calendar month (0-11) of month 0.
    ends
        Last calendar days, from ``EARLIEST_MONTH`` months before month 0.
    sessions
        Last sessions, from month 0.
    quarterly_from
        First month whose accounts may be quarterly; beyond the history if there is none.
    """

    first: int
    ends: Whole
    sessions: Whole
    quarterly_from: int

    def end(self, month: Whole | int) -> Whole:
        """Return the last calendar day of a month."""
        return np.asarray(self.ends[np.asarray(month) + EARLIEST_MONTH])

    def known(self, day: Whole) -> Whole:
        """Return the first month at whose last session a day's news is known."""
        return np.searchsorted(self.sessions, day)


@dataclass(frozen=True)
class Reports:
    """Announced accounts, one entry a report; amounts in currency, NaN where none is reported.

    ``restated`` says that a report corrects an earlier one of the same period.
    """

    firm: Whole
    period: Whole
    announced: Whole
    restated: Flags
    figures: dict[str, Vector]


@dataclass(frozen=True)
class Books:
    """The firms' books, changed in place month by month.

    Attributes
    ----------
    book, liabilities_to_book, sales_to_assets, quality
        Net assets (currency), what the others tend to, and present profitability in standard deviations.
    valued
        Market value at the last close of a quarter, in currency.
    flows
        The last four quarters of each flow (4 × firms), the newest last.
    known_book, known_return_on_equity, known_period
        What the public knows at the end of the present month, and of which month.
    """

    firms: Firms
    calendar: Calendar
    random: np.random.Generator
    book: Vector
    liabilities_to_book: Vector
    sales_to_assets: Vector
    quality: Vector
    valued: Vector
    flows: dict[str, Matrix]
    known_book: Vector
    known_return_on_equity: Vector
    known_period: Whole
    starts_quarterly: Whole
    reports: list[Reports] = field(default_factory=list)
    news: dict[int, list[tuple[Whole, Whole, Vector, Vector]]] = field(default_factory=dict)

    @classmethod
    def open(cls, firms: Firms, calendar: Calendar, random: np.random.Generator) -> Books:
        """Return the books with accounts that every firm has announced when it lists."""
        count = firms.entry.size
        books = cls(
            firms=firms,
            calendar=calendar,
            random=random,
            book=_first_book(firms, random),
            liabilities_to_book=firms.liabilities_to_book.copy(),
            sales_to_assets=firms.sales_to_assets.copy(),
            quality=random.normal(0, 1, count),
            valued=firms.first_value.copy(),
            flows={name: np.zeros((4, count)) for name in _FLOWS},
            known_book=np.full(count, np.nan),
            known_return_on_equity=np.full(count, np.nan),
            known_period=np.full(count, -EARLIEST_MONTH - 1),
            starts_quarterly=calendar.quarterly_from + random.integers(0, _QUARTERLY_STEP, count),
        )
        everyone = np.arange(count)
        for _ in range(4):
            books._close(everyone, firms.first_value)
        # Newer ones are closed while the firm is listed, or in the month before.
        newest = np.where(firms.entry == 0, 1, 2)
        step = np.where(firms.entry - newest >= books.starts_quarterly, 3, 12)
        period = firms.entry - newest - (calendar.first + firms.entry - newest - firms.fiscal_month) % step
        usual = _weekday(calendar.end(period) + random.integers(31, 46, count))
        days = np.where(firms.entry == 0, calendar.end(period) + 30, usual)
        books._announce(everyone, period, days, np.zeros(count, np.bool_), books._figures(everyone))
        return books

    def month(self, month: int, listed: Flags, value: Vector) -> None:
        """Close the quarters that end in a month, and let the month's news be known.

        Parameters
        ----------
        month
            The month, from 0.
        listed
            Which firms are still listed at its end.
        value
            Market values, in currency.
        """
        phase = (self.calendar.first + month - self.firms.fiscal_month) % 12
        # A firm that is listed next month closes its quarter already.
        closing = np.flatnonzero((phase % 3 == 0) & (listed | (self.firms.entry == month + 1)))
        self._close(closing, value)
        self._adjust(closing, value)
        reporting = closing[(phase[closing] == 0) | (month >= self.starts_quarterly[closing])]
        self._report(reporting, month)
        for firm, period, book, return_on_equity in self.news.pop(month, []):
            # An old period restated late tells nothing about the present.
            newer = period >= self.known_period[firm]
            at = firm[newer]
            self.known_period[at] = period[newer]
            self.known_book[at], self.known_return_on_equity[at] = book[newer], return_on_equity[newer]

    def absorb(self, acquirer: int, target: int, price: float) -> None:
        """Consolidate a target that was paid for in shares worth ``price``: its net assets at that price, its debts."""
        weight = price / (price + self.book[acquirer])
        debts = self.book[[acquirer, target]] * self.liabilities_to_book[[acquirer, target]]
        assets = np.array([self.book[acquirer] + debts[0], price + debts[1]])
        sales = (assets * self.sales_to_assets[[acquirer, target]]).sum()
        self.book[acquirer] = _millions(self.book[acquirer] + price)
        self.liabilities_to_book[acquirer] = debts.sum() / self.book[acquirer]
        self.sales_to_assets[acquirer] = sales / assets.sum()
        self.quality[acquirer] += weight * (self.quality[target] - self.quality[acquirer])

    def raise_capital(self, firm: Whole, amount: Vector) -> None:
        """Add what new shares brought in; negative for shares bought back."""
        self.book[firm] = np.maximum(_millions(self.book[firm] + amount), 0.2 * self.book[firm])

    def _close(self, firm: Whole, value: Vector) -> None:
        """Book a quarter's flows."""
        random, book = self.random, self.book[firm]
        noise = random.normal(0, 1, (5, firm.size))
        # Prices foresee a part of the news.
        foreseen = np.clip(np.log(value[firm] / self.valued[firm]) / 0.2, -2.5, 2.5)
        self.valued[firm] = value[firm]
        news = 0.45 * foreseen + 0.85 * noise[0]
        self.quality[firm] = np.clip(0.95 * self.quality[firm] + np.sqrt(1 - 0.95**2) * news, -3.5, 3.5)
        quality = self.quality[firm]
        loss = np.where(random.random(firm.size) < 0.03, random.exponential(0.12, firm.size), 0.0)
        # Losses run deeper than profits run high, and a firm that earns little on its book is valued little above it.
        valuation = np.clip(value[firm] / book, 0.2, 5.0) ** 0.75
        earned = (0.07 + np.where(quality > 0, 0.064, 0.08) * quality + 0.03 * noise[1]) * valuation
        income = (earned / 4 - loss) * book
        assets = book * (1 + self.liabilities_to_book[firm])
        bank = self.firms.bank[firm]
        operating = 1.5 * earned / 4 * book + np.where(bank, 0.0003, 0.003) * assets * noise[2]
        cash_flow = operating + np.where(bank, 0.0, 0.005) * assets + np.where(bank, 0.001, 0.008) * assets * noise[3]
        sales = assets * self.sales_to_assets[firm] / 4 * np.exp(0.06 * noise[4])
        for name, flow in zip(_FLOWS, (income, operating, cash_flow, sales), strict=True):
            self.flows[name][:, firm] = np.vstack([self.flows[name][1:, firm], _millions(flow)])

    def _adjust(self, firm: Whole, value: Vector) -> None:
        """Retain earnings, and move the book towards the firm's usual ratio to its market value.

        Pay-outs, issues and write-downs do so in life; without them the two drift apart over decades.
        """
        book = np.maximum(self.book[firm] + self.flows["net_income"][-1, firm], 0.3 * self.book[firm])
        usual = value[firm] * self.firms.book_to_price[firm]
        book = book * (usual / book) ** 0.03
        least, most = (ratio * value[firm] for ratio in _BOOK_TO_PRICE)
        self.book[firm] = _millions(np.maximum(np.clip(book, least, most), _LEAST_BOOK))

    def _report(self, firm: Whole, month: int) -> None:
        """Announce a period; some firms announce figures now that they correct later."""
        random = self.random
        period = np.full(firm.size, month)
        delay = np.clip(self.firms.delay[firm] + random.integers(-6, 7, firm.size), 31, 59)
        days = _weekday(self.calendar.end(month) + delay)
        figures = self._figures(firm)
        wrong = random.random(firm.size) < _RESTATED
        much = random.random(firm.size) < _MUCH
        size, slip = random.uniform(0.08, 0.25, firm.size), random.normal(0, 0.03, firm.size)
        later = _weekday(days + random.integers(60, 300, firm.size))
        slightly = np.copysign(np.maximum(np.abs(slip * 0.05 * figures["net_assets"]), 1e6), slip)
        excess = np.where(wrong, np.where(much, size * figures["net_assets"], slightly), 0.0)
        self._announce(firm, period, days, np.zeros(firm.size, np.bool_), _embellished(figures, excess))
        corrected = {name: figure[wrong] for name, figure in figures.items()}
        self._announce(firm[wrong], period[wrong], later[wrong], np.ones(int(wrong.sum()), np.bool_), corrected)

    def _figures(self, firm: Whole) -> dict[str, Vector]:
        book = self.book[firm]
        noise = self.random.normal(0, 1, (2, firm.size))
        liabilities = _millions(book * self.liabilities_to_book[firm] * np.exp(0.05 * noise[0]))
        flow = {name: self.flows[name][:, firm].sum(axis=0) for name in _FLOWS}
        return {
            "net_income": flow["net_income"],
            "net_assets": book,
            "operating_profit": np.where(self.firms.bank[firm], np.nan, flow["operating"]),
            "ordinary_profit": _millions(flow["operating"] * (1 + 0.05 * noise[1])),
            "total_assets": book + liabilities,
            "total_liabilities": liabilities,
            "cfo": flow["cash_flow"],
            "sales": flow["sales"],
        }

    def _announce(self, firm: Whole, period: Whole, days: Whole, restated: Flags, figures: dict[str, Vector]) -> None:
        self.reports.append(Reports(firm, period, days, restated, figures))
        known = np.maximum(self.calendar.known(days), 0)
        return_on_equity = figures["net_income"] / figures["net_assets"]
        for month in np.unique(known):
            at = known == month
            news = (firm[at], period[at], figures["net_assets"][at], return_on_equity[at])
            self.news.setdefault(int(month), []).append(news)


def gather(reports: list[Reports]) -> Reports:
    """Return many reports as one."""
    return Reports(
        firm=np.concatenate([each.firm for each in reports]),
        period=np.concatenate([each.period for each in reports]),
        announced=np.concatenate([each.announced for each in reports]),
        restated=np.concatenate([each.restated for each in reports]),
        figures={name: np.concatenate([each.figures[name] for each in reports]) for name in reports[0].figures},
    )


def _embellished(figures: dict[str, Vector], excess: Vector) -> dict[str, Vector]:
    """Return figures that show ``excess`` more profit, and net assets, than there are."""
    added = _millions(excess)
    touched = ("net_income", "net_assets", "operating_profit", "ordinary_profit", "total_assets", "sales")
    return {name: figure + added if name in touched else figure for name, figure in figures.items()}


def _weekday(day: Whole) -> Whole:
    """Return the day, or the Friday before or the Monday after a weekend."""
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    return np.asarray(day + np.select([weekday == 5, weekday == 6], [-1, 1], 0))


def _first_book(firms: Firms, random: np.random.Generator) -> Vector:
    ratio = firms.book_to_price * np.exp(random.normal(0, 0.2, firms.entry.size))
    return np.maximum(_millions(firms.first_value * np.clip(ratio, *_BOOK_TO_PRICE)), _LEAST_BOOK)


def _millions(amount: Vector) -> Vector:
    return np.asarray(np.round(amount, -6))
