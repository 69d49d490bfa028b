"""Table 1 of the paper, slowly: exact fractions from the definitions, one stock and one month at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Row = dict[str, float | None]

# What a calculation in double precision may lose: a few dozen roundings, each of half a unit in the last place.
_ROUNDINGS = 64 * 2.0**-52


@dataclass(frozen=True)
class Exact:
    """A number, and by how much it moves when each of its inputs moves by one part in one.

    Where a statistic is a small difference of large numbers (a standard deviation of returns that are almost the same,
    the skewness of what is symmetric, gains that a loss undoes), the rounding of its inputs alone moves it by this
    ``scale`` times 2^-52, whatever is done with them; nothing can agree better than that.
    """

    value: float
    scale: float = 0.0

    def agrees(self, found: float | None) -> bool:
        """Tell whether a number is this one, to 1e-9 of itself and the rounding of its inputs."""
        return found is not None and abs(found - self.value) <= 1e-9 * abs(self.value) + _ROUNDINGS * self.scale


def table_1(rows: Sequence[Row]) -> dict[str, Exact | None]:
    """Compute the 16 descriptors for the last of one stock's months."""
    now = rows[-1]
    five_years = _known(rows[-60:], "total_return")
    operating, cash, size = now["operating_profit"], now["operating_cash_flow"], now["market_value"]
    return {
        "60VOL": _volatility(five_years),
        "BETA": _beta(rows[-60:]),
        "SKEW": _skewness(five_years),
        "ROE": _over(now["net_income"], now["net_assets"]),
        "ROA": _over(operating, now["total_assets"]),
        "ACCRUALS": None if operating is None or cash is None else Exact(float(Fraction(cash) - Fraction(operating))),
        "LEVERAGE": _over(now["total_liabilities"], now["total_assets"]),
        "12-1MOM": _compounded(_known(rows[-12:-1], "total_return"), 9),
        "1MOM": None if now["total_return"] is None else Exact(now["total_return"]),
        "60MOM": _compounded(five_years, 36),
        "PSR": _over(now["sales"], size),
        "PER": _over(now["net_income"], size),
        "PBR": _over(now["net_assets"], size),
        "PCFR": _over(cash, size),
        "CAP": Exact(math.log(size)) if size is not None and size > 0 else None,
        "ILLIQ": _illiquidity(rows[-12:]),
    }


def _known(rows: Sequence[Row], column: str) -> list[Fraction]:
    return [Fraction(value) for row in rows if (value := row[column]) is not None]


def _over(numerator: float | None, denominator: float | None) -> Exact | None:
    if numerator is None or denominator is None or denominator <= 0:
        return None
    return Exact(float(Fraction(numerator) / Fraction(denominator)))


def _largest(values: Sequence[Fraction]) -> float:
    return float(max(map(abs, values)))


def _central(values: Sequence[Fraction], power: int) -> Fraction:
    """Return the mean power of the distances from the mean."""
    # In whole units of the finest value: a hundred times faster than sums of fractions, and as exact.
    unit = max(each.denominator for each in values)
    units, n = [int(each * unit) for each in values], len(values)
    total = sum(units)
    return Fraction(sum((n * each - total) ** power for each in units), n * (n * unit) ** power)


def _volatility(returns: list[Fraction]) -> Exact | None:
    if len(returns) < 36:
        return None
    n = len(returns)
    return Exact(math.sqrt(_central(returns, 2) * n / (n - 1)), _largest(returns))


def _skewness(returns: list[Fraction]) -> Exact | None:
    n = len(returns)
    if n < 36 or math.sqrt(variance := _central(returns, 2)) * math.sqrt(n / (n - 1)) <= 1e-9:
        return None
    deviation = math.sqrt(variance)
    value = math.sqrt(n * (n - 1)) / (n - 2) * float(_central(returns, 3)) / float(variance) ** 1.5
    return Exact(value, 3 * (2 + abs(value)) * _largest(returns) / deviation)


def _beta(rows: Sequence[Row]) -> Exact | None:
    pairs = [
        (Fraction(market), Fraction(stock))
        for row in rows
        if (market := row["market_excess_return"]) is not None and (stock := row["excess_return"]) is not None
    ]
    if len(pairs) < 36:
        return None
    markets, stocks = zip(*pairs, strict=True)
    variance = _central(markets, 2)
    if variance <= Fraction(1, 10**12):
        return None
    mean = sum(markets, Fraction(0)) / len(pairs)
    slope = float(sum(((x - mean) * y for x, y in pairs), Fraction(0)) / len(pairs) / variance)
    return Exact(slope, (_largest(stocks) + abs(slope) * _largest(markets)) / math.sqrt(variance))


def _compounded(returns: list[Fraction], needed: int) -> Exact | None:
    """Compound; a return below -1 is no return."""
    factors = [1 + each for each in returns if each >= -1]
    if len(factors) < needed:
        return None
    growth = math.prod(factors)
    return Exact(float(growth - 1), len(factors) * float(growth))


def _illiquidity(rows: Sequence[Row]) -> Exact | None:
    known = [
        abs(Fraction(change)) / Fraction(value)
        for row in rows
        if (change := row["total_return"]) is not None and (value := row["traded_value"]) is not None and value > 0
    ]
    return Exact(float(sum(known, Fraction(0)) / len(known))) if len(known) >= 9 else None
