"""A small market as the service would publish it, and the truth behind it."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import exchange_calendars
from jquantsapi import constants

from deepfactor.months import Month

FIRST_DAY, LAST_DAY = date(2008, 5, 7), date(2020, 3, 31)

PRIME, SECOND = "0101", "0102"
PLAIN, SPLIT, PAYER, LEAVER, SUSPENDED, BANK, PARENT, IFRS, CHANGER, RESTATER, SECOND_SECTION, NEW_YEAR_SPLIT, THIN = (
    f"10{number:02}0" for number in range(1, 14)
)
FUND, PREFERRED = "13060", "10015"
LEAVES_ON = date(2015, 6, 17)
# The last day on which a company publishes statements.
FALLS_SILENT = {LEAVER: LEAVES_ON, THIN: date(2016, 6, 30)}
SUSPENSION = (date(2015, 2, 10), date(2015, 5, 20))
SPLITS = {
    SPLIT: (date(2014, 9, 10), 0.5),
    PAYER: (date(2015, 8, 5), 10.0),
    NEW_YEAR_SPLIT: (date(2015, 3, 27), 0.2),
}
# The day of the month's last session on which THIN does not trade: it keeps an older close.
THIN_MISSES = (date(2014, 10, 31), date(2014, 10, 30), date(2015, 1, 30))


@dataclass(frozen=True)
class Quarter:
    """What happened in one quarter: flows of the quarter alone, balance at its end."""

    start: date
    end: date
    year_start: date
    year_end: date
    kind: str
    flows: dict[str, float]
    assets: float
    equity: float
    disclosed: date
    clock: str


@dataclass
class Market:
    """Everything the service would say, by endpoint and day."""

    bars: dict[date, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    master: dict[date, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    statements: dict[date, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    dividends: dict[date, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    topix: dict[date, float] = field(default_factory=dict)
    calendar: dict[date, str] = field(default_factory=dict)
    quarters: dict[str, list[Quarter]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    rows: dict[tuple[str, Month], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def sessions(self) -> list[date]:
        return [day for day, division in self.calendar.items() if division == "1"]


def build_market() -> Market:
    market = Market()
    _add_calendar(market)
    chance = random.Random(20140331)
    for code in (PLAIN, SPLIT, PAYER, LEAVER, SUSPENDED, BANK, PARENT, IFRS, CHANGER, RESTATER, SECOND_SECTION):
        _add_bars(market, code, chance)
    for code in (NEW_YEAR_SPLIT, THIN, FUND, PREFERRED):
        _add_bars(market, code, chance)
    level = 1000.0
    for day in market.sessions:
        level *= 1 + chance.gauss(0.0003, 0.01)
        market.topix[day] = round(level, 2)
    for code in (PLAIN, SPLIT, PAYER, LEAVER, SUSPENDED, BANK, PARENT, IFRS, CHANGER, RESTATER, NEW_YEAR_SPLIT, THIN):
        _add_statements(market, code, chance)
    _add_restatement(market)
    _add_forecasts(market)
    _add_dividends(market)
    return market


def _add_calendar(market: Market) -> None:
    known = exchange_calendars.get_calendar("XTKS", start="2006-01-04", end="2020-04-30")
    sessions = {session.date() for session in known.sessions}
    day = FIRST_DAY
    while day <= LAST_DAY + timedelta(days=30):
        market.calendar[day] = "1" if day in sessions else "0"
        day += timedelta(days=1)


def _add_bars(market: Market, code: str, chance: random.Random) -> None:
    price = chance.uniform(300, 3000)
    last = LEAVES_ON if code == LEAVER else LAST_DAY
    split_day, factor = SPLITS.get(code, (None, 1.0))
    for day in market.sessions:
        if day > last:
            break
        price *= (1 + chance.gauss(0.0005, 0.02)) * (factor if day == split_day else 1)
        silent = (code == SUSPENDED and SUSPENSION[0] <= day <= SUSPENSION[1]) or (
            code == THIN and (day in THIN_MISSES or chance.random() < 0.1)
        )
        close = None if silent else round(price, 1)
        volume = None if silent else float(chance.randrange(100, 100_000, 100))
        row = dict.fromkeys(constants.EQ_BARS_DAILY_COLUMNS_V2[:16])
        row |= dict.fromkeys(("O", "H", "L", "C", "AdjO", "AdjH", "AdjL", "AdjC"), close)
        row |= {"Date": day.isoformat(), "Code": code, "UL": "0", "LL": "0", "Vo": volume}
        row |= {"Va": None if silent else close * volume, "AdjFactor": factor if day == split_day else 1.0}
        market.bars[day].append(row)
        market.rows[code, Month.containing(day)].append(row)
        listing: dict[str, Any] = dict.fromkeys(constants.EQ_MASTER_COLUMNS_V2, "")
        listing |= {"Date": day.isoformat(), "Code": code, "CoName": f"会社{code}"}
        listing["Mkt"] = SECOND if code == SECOND_SECTION else PRIME
        listing["ProdCat"] = "014" if code == FUND else "011"
        market.master[day].append(listing)


def _month_end(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _quarter_ends(code: str) -> Iterator[tuple[date, date, date, date, str]]:
    """Yield (start, end, start and end of the fiscal year, kind) of every quarter."""
    if code == IFRS:
        years = [(date(year, 1, 1), date(year, 12, 31)) for year in range(2007, 2020)]
    else:
        years = [(date(year, 4, 1), date(year + 1, 3, 31)) for year in range(2007, 2019)]
    if code == CHANGER:
        years = [year for year in years if year[0].year < 2014] + [(date(2014, 4, 1), date(2014, 12, 31))]
        years += [(date(year, 1, 1), date(year, 12, 31)) for year in range(2015, 2019)]
    for start, end in years:
        begin, number = start, 1
        while begin < end:
            close = _month_end(begin.year, begin.month + 2)
            yield begin, close, start, end, "FY" if close == end else f"{number}Q"
            begin, number = close + timedelta(days=1), number + 1


def _add_statements(market: Market, code: str, chance: random.Random) -> None:
    size = chance.uniform(1e9, 1e11)
    # Whole numbers, too, with treasury shares and after every split.
    shares = market.shares[code] = 200.0 * round(size / 200_000)
    quarters = []
    for start, end, year_start, year_end, kind in _quarter_ends(code):
        flows = {
            "Sales": round(size * chance.uniform(0.2, 0.3)),
            "OP": round(size * chance.gauss(0.015, 0.01)),
            "OdP": round(size * chance.gauss(0.014, 0.01)),
            "NP": round(size * chance.gauss(0.01, 0.01)),
            "CFO": round(size * chance.gauss(0.02, 0.01)),
        }
        disclosed = end + timedelta(days=chance.randrange(30, 45))
        clock = chance.choice(["08:30:00", "14:59:00", "15:00:00", "16:10:00", ""])
        size *= 1 + chance.gauss(0.01, 0.02)
        quarter = Quarter(
            start, end, year_start, year_end, kind, flows, round(size), round(size * 0.4), disclosed, clock
        )
        quarters.append(quarter)
        if FIRST_DAY <= disclosed <= FALLS_SILENT.get(code, LAST_DAY):
            market.statements[disclosed].append(_summary(market, code, quarters, shares))
    market.quarters[code] = quarters


def cumulative(quarters: list[Quarter], name: str) -> float:
    """Return a flow from the beginning of the last quarter's fiscal year."""
    return sum(each.flows[name] for each in quarters if each.year_start == quarters[-1].year_start)


def reported_shares(code: str, shares: float, quarter: Quarter) -> float:
    """Return what a statement says: a split counts from two days after its ex-date."""
    split_day, factor = SPLITS.get(code, (None, 1.0))
    effective = split_day is not None and split_day + timedelta(days=5) <= quarter.end
    return shares / factor if effective else shares


def _summary(market: Market, code: str, quarters: list[Quarter], shares: float) -> dict[str, Any]:
    quarter = quarters[-1]
    row: dict[str, Any] = dict.fromkeys(constants.FIN_SUMMARY_COLUMNS_V2, "")
    form = {IFRS: "Consolidated_IFRS", PARENT: "NonConsolidated_JP"}.get(code, "Consolidated_JP")
    figures = {name: cumulative(quarters, name) for name in quarter.flows}
    figures |= {"TA": quarter.assets, "Eq": quarter.equity, "ShOutFY": reported_shares(code, shares * 1.05, quarter)}
    figures["TrShFY"] = figures["ShOutFY"] - reported_shares(code, shares, quarter)
    if quarter.kind in ("1Q", "3Q"):
        del figures["CFO"]
    if code == BANK:
        del figures["OP"]
    if code == IFRS:
        del figures["OdP"]
    prefix = "NC" if code == PARENT else ""
    for name, value in figures.items():
        own = prefix if name in ("Sales", "OP", "OdP", "NP", "TA", "Eq") else ""
        row[own + name] = f"{value:.0f}"
    row |= {
        "DiscDate": quarter.disclosed.isoformat(),
        "DiscTime": quarter.clock,
        "Code": code,
        "DiscNo": f"{quarter.disclosed:%Y%m%d}{code}",
        "DocType": f"{quarter.kind}FinancialStatements_{form}",
        "CurPerType": quarter.kind,
        "CurPerSt": quarter.year_start.isoformat(),
        "CurPerEn": quarter.end.isoformat(),
        "CurFYSt": quarter.year_start.isoformat(),
        "CurFYEn": quarter.year_end.isoformat(),
    }
    return row


RESTATED_ON = date(2014, 12, 3)
RESTATED_END = date(2014, 9, 30)


def _add_restatement(market: Market) -> None:
    """Publish RESTATER's second quarter again, after the close, with its profit halved."""
    first = next(
        row
        for rows in market.statements.values()
        for row in rows
        if row["Code"] == RESTATER and row["CurPerEn"] == RESTATED_END.isoformat()
    )
    again = first | {
        "DiscDate": RESTATED_ON.isoformat(),
        "DiscTime": "15:30:00",
        "DiscNo": f"{RESTATED_ON:%Y%m%d}9",
        "NP": f"{float(first['NP']) / 2:.0f}",
    }
    market.statements[RESTATED_ON].append(again)


def _add_forecasts(market: Market) -> None:
    """Publish forecasts and notices, which are no accounts."""
    for number, kind in enumerate(("EarnForecastRevision", "DividendForecastRevision", "REITEarnForecastRevision")):
        row: dict[str, Any] = dict.fromkeys(constants.FIN_SUMMARY_COLUMNS_V2, "")
        day = date(2014, 10, 2) + timedelta(days=number)
        row |= {"DiscDate": day.isoformat(), "DiscTime": "12:00:00", "Code": PLAIN, "DiscNo": f"{day:%Y%m%d}1"}
        row |= {"DocType": kind, "CurPerEn": "2015-03-31", "FSales": "1", "NP": "1"}
        market.statements[day].append(row)


def _notice(day: date, code: str, number: int, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(constants.FINS_DIVIDEND_COLUMNS_V2, "")
    reference = f"{day:%Y%m%d}B{number}"
    return row | {
        "PubDate": day.isoformat(), "PubTime": "12:00", "Code": code, "RefNo": reference, "CARefNo": reference,
        "StatCode": "1", "FRCode": "2", **values,
    }  # fmt: skip


# What holders of PAYER, and of NEW_YEAR_SPLIT, knew to get for going ex: (code, ex-date, yen).
DIVIDENDS = (
    (PAYER, date(2014, 9, 26), 20.0),
    (PAYER, date(2015, 3, 27), 25.0),
    (NEW_YEAR_SPLIT, date(2015, 3, 27), 50.0),
)


def _add_dividends(market: Market) -> None:
    """Publish forecasts, a revision, a deletion, what is not decided, and decisions after the fact."""
    notices = [
        _notice(date(2014, 8, 1), PAYER, 1, DivRate=18.0, ExDate="2014-09-26"),
        _notice(date(2014, 9, 1), PAYER, 2, DivRate=20.0, ExDate="2014-09-26", StatCode="2", CARefNo="20140801B1"),
        # Decided after the month of the ex-date, at another amount.
        _notice(date(2014, 11, 5), PAYER, 3, DivRate=22.0, ExDate="2014-09-26", FRCode="1"),
        _notice(date(2015, 2, 2), PAYER, 4, DivRate="25", ExDate="2015-03-27"),
        # After the close of the month's last session.
        _notice(date(2015, 3, 31), PAYER, 10, DivRate=30.0, ExDate="2015-03-27", PubTime="16:00"),
        _notice(date(2015, 2, 2), NEW_YEAR_SPLIT, 5, DivRate=50.0, ExDate="2015-03-27"),
        _notice(date(2014, 8, 1), PLAIN, 6, DivRate=30.0, ExDate="2014-09-26"),
        _notice(date(2014, 8, 20), PLAIN, 7, DivRate=30.0, ExDate="2014-09-26", StatCode="3", CARefNo="20140801B6"),
        _notice(date(2014, 8, 20), BANK, 8, DivRate="-", ExDate="2014-09-26"),
        _notice(date(2014, 8, 20), IFRS, 9, DivRate="", ExDate=""),
    ]
    for notice in notices:
        market.dividends[date.fromisoformat(notice["PubDate"])].append(notice)
