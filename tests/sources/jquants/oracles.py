"""Slow twins, from the definitions: what a holder has, what four quarters add up to, how many shares there are."""

from __future__ import annotations

from datetime import date, timedelta

from deepfactor.months import Month
from tests.sources.jquants.market import (
    BANK,
    DIVIDENDS,
    FALLS_SILENT,
    FIRST_DAY,
    LAST_DAY,
    RESTATED_END,
    RESTATED_ON,
    RESTATER,
    SPLITS,
    Market,
    Quarter,
)


def days_of(market: Market, code: str, month: Month) -> list[tuple[date, float | None]]:
    """Return a stock's closes, day by day."""
    return [(date.fromisoformat(row["Date"]), row["C"]) for row in market.rows[code, month]]


def last_close(market: Market, code: str, month: Month) -> tuple[date, float] | None:
    """Return day and price of a stock's last trade in a month."""
    trades = [(day, close) for day, close in days_of(market, code, month) if close is not None]
    return trades[-1] if trades else None


def slow_return(market: Market, code: str, month: Month) -> float | None:
    """Hold one share from the last trade of the month before to that of the month, and buy more for each dividend."""
    start, end = last_close(market, code, month + -1), last_close(market, code, month)
    if start is None or end is None:
        return None
    shares, cash = 1.0, 0.0
    for day, close in days_of(market, code, month + -1) + days_of(market, code, month):
        if not start[0] < day <= end[0]:
            continue
        cash += shares * sum(amount for of, ex, amount in DIVIDENDS if (of, ex) == (code, day))
        if SPLITS.get(code, (None,))[0] == day:
            shares /= SPLITS[code][1]
        if close is not None:
            shares, cash = shares + cash / close, 0.0
    return shares * end[1] / start[1] - 1


def slow_shares(market: Market, code: str, month: Month) -> float | None:
    """Return the shares there are on the day of the last trade."""
    end = last_close(market, code, month)
    split_day, factor = SPLITS.get(code, (date.max, 1.0))
    return market.shares[code] / (factor if end is not None and end[0] >= split_day else 1.0)


def slow_accounts(market: Market) -> dict[tuple[str, date], dict[date, dict[str, float | None]]]:
    """Return the figures by stock and period, each version by the day of its publication."""
    accounts: dict[tuple[str, date], dict[date, dict[str, float | None]]] = {}
    for code, quarters in market.quarters.items():
        for number, quarter in enumerate(quarters):
            if not FIRST_DAY <= quarter.disclosed <= FALLS_SILENT.get(code, LAST_DAY):
                continue
            figures = _figures(code, quarters[: number + 1])
            accounts[code, quarter.end] = {quarter.disclosed: figures}
    _restate(market, accounts)
    return accounts


def _figures(code: str, quarters: list[Quarter]) -> dict[str, float | None]:
    quarter = quarters[-1]
    flows = {name: _last_four(quarters, name) for name in quarter.flows}
    return {
        "net_income": flows["NP"],
        "sales": flows["Sales"],
        "operating_profit": flows["OdP" if code == BANK else "OP"],
        "operating_cash_flow": flows["CFO"],
        "net_assets": quarter.equity,
        "total_assets": quarter.assets,
        "total_liabilities": quarter.assets - quarter.equity,
    }


def _last_four(quarters: list[Quarter], name: str) -> float | None:
    """Add up four quarters, where what the company has published tells them apart from the others."""
    quarter = quarters[-1]
    this_year = [each for each in quarters if each.year_start == quarter.year_start]
    last_year = [each for each in quarters if each.year_end == quarter.year_start - timedelta(days=1)]
    if name == "CFO" and quarter.kind in ("1Q", "3Q"):
        return None
    if quarter.kind == "FY" and len(this_year) == 4:
        return sum(each.flows[name] for each in this_year)
    if len(last_year) != 4:
        return None
    same_part, year = last_year[len(this_year) - 1], last_year[-1]
    if (same_part.kind in ("1Q", "3Q") and name == "CFO") or min(same_part.disclosed, year.disclosed) < FIRST_DAY:
        return None
    return sum(each.flows[name] for each in quarters[-4:])


def _restate(market: Market, accounts: dict[tuple[str, date], dict[date, dict[str, float | None]]]) -> None:
    """Add the corrected half year, and its effect on the half year after it."""
    year = [each for each in market.quarters[RESTATER] if each.year_start == date(2014, 4, 1)]
    half = sum(each.flows["NP"] for each in year[:2])
    versions = accounts[RESTATER, RESTATED_END]
    first = next(iter(versions.values()))
    assert first["net_income"] is not None
    versions[RESTATED_ON + timedelta(days=1)] = first | {"net_income": first["net_income"] - half + round(half / 2)}
    for version in accounts[RESTATER, RESTATED_END.replace(year=2015)].values():
        assert version["net_income"] is not None
        version["net_income"] += half - round(half / 2)
