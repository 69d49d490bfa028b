"""What an input says, in words: a stock's rank of a descriptor in its market, and the descriptor itself in its unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deepfactor.reports.numbers import figure, percent

_AGO = {0: "now", 3: "three months ago", 6: "six months ago", 9: "nine months ago", 12: "a year ago"}

_SCALES = ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1.0, ""))

# A rank is kept in single precision.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Wording:
    """How one speaks of a descriptor.

    Attributes
    ----------
    high, low
        What a stock is, compared with others, if its rank is high, or low; "than" follows.
    value
        The descriptor itself as a phrase, from its value in ``descriptors.parquet``.
    unit
        What that value is counted in.
    """

    high: str
    low: str
    value: Callable[[float], str]
    unit: str


def _share(numerator: str, denominator: str) -> Callable[[float], str]:
    return lambda value: f"{numerator} {percent(value, 1, signed=False)} % of {denominator}"


def _return(over: str) -> Callable[[float], str]:
    return lambda value: f"return {percent(value, 1)} % {over}"


def _amount(value: float) -> str:
    shown = float(f"{value:.3g}")
    scale, name = next((each for each in _SCALES if abs(shown) >= each[0]), _SCALES[-1])
    return figure(shown / scale) + name


def _value(numerator: str, high: str, low: str) -> Wording:
    return Wording(high, low, _share(numerator, "market value"), "fraction of market value")


WORDINGS: Mapping[str, Wording] = {
    "60VOL": Wording(
        "more volatile",
        "calmer",
        lambda value: f"volatility {percent(value, 1, signed=False)} % a month",
        "fraction a month",
    ),
    "BETA": Wording(
        "more exposed to the market",
        "less exposed to the market",
        lambda value: f"beta {figure(round(value, 2))}",
        "return per unit of the market's",
    ),
    "SKEW": Wording(
        "more skewed to gains",
        "more skewed to losses",
        lambda value: f"skewness {figure(round(value, 2))}",
        "dimensionless",
    ),
    "ROE": Wording(
        "more profitable on equity",
        "less profitable on equity",
        _share("net income", "net assets"),
        "fraction of net assets",
    ),
    "ROA": Wording(
        "more profitable on assets",
        "less profitable on assets",
        _share("operating profit", "total assets"),
        "fraction of total assets",
    ),
    "ACCRUALS": Wording(
        "more cash above its profit",
        "less cash above its profit",
        lambda value: f"operating cash flow less operating profit {_amount(value)}",
        "currency",
    ),
    "LEVERAGE": Wording(
        "more indebted", "less indebted", _share("liabilities", "total assets"), "fraction of total assets"
    ),
    "12-1MOM": Wording(
        "rose more over the year to last month",
        "rose less over the year to last month",
        _return("over the eleven months before this"),
        "fraction",
    ),
    "1MOM": Wording("rose more in the month", "rose less in the month", _return("in the month"), "fraction"),
    "60MOM": Wording("rose more over five years", "rose less over five years", _return("over five years"), "fraction"),
    "PSR": _value("sales", "cheaper by sales", "dearer by sales"),
    "PER": _value("net income", "cheaper by earnings", "dearer by earnings"),
    "PBR": _value("net assets", "cheaper by book value", "dearer by book value"),
    "PCFR": _value("operating cash flow", "cheaper by cash flow", "dearer by cash flow"),
    "CAP": Wording(
        "larger",
        "smaller",
        lambda value: f"market value {_amount(math.exp(value))}",
        "logarithm of currency",
    ),
    "ILLIQ": Wording(
        "harder to trade",
        "easier to trade",
        lambda value: f"a traded million moves it {figure(float(f'{value * 1e8:.2g}'))} %",
        "absolute return per traded currency",
    ),
}


@dataclass(frozen=True)
class Rank:
    """Where a stock stands in its month's universe, or some stocks do on average.

    Attributes
    ----------
    position
        The model's input, −½ to +½.
    known
        Of which part of the stocks there is such a descriptor; of the others the input is 0 in its place.
    """

    position: float
    known: float


def when(lag: int) -> str:
    """Return which month an input is of, seen from the as-of month."""
    return _AGO.get(lag, f"{lag} months ago")


def sentence(descriptor: str, lag: int, rank: Rank, beside: str, other: Rank) -> str:
    """Return what an input says, and beside it the same descriptor elsewhere.

    >>> sentence("PER", 0, Rank(0.43, 1), "three months ago", Rank(0.38, 1))
    'cheaper by earnings than 93 % of the market, three months ago 88 %'

    Parameters
    ----------
    descriptor, lag
        Which input.
    rank
        Its rank.
    beside, other
        What stands beside it, and its rank.
    """
    start = "" if lag == 0 else f"{when(lag)} "
    if not rank.known:
        return f"{start}not known: taken as the median"
    high = rank.position >= 0
    wording = WORDINGS[descriptor]
    compared = _beaten(other, high) if other.known else "not known"
    return (
        f"{start}{wording.high if high else wording.low} than {_beaten(rank, high)} of the market, {beside} {compared}"
    )


def value_phrase(descriptor: str, value: float | None) -> str:
    """Return a descriptor's value in its unit, such as "net income 7.1 % of market value"; empty if there is none."""
    return "" if value is None else WORDINGS[descriptor].value(value)


def _beaten(rank: Rank, high: bool) -> str:
    """Return the part of the market that is lower, or higher, in whole percent, never more than is true."""
    part = 0.5 + rank.position if high else 0.5 - rank.position
    return f"{math.floor(part * 100 + 100 * _ROUNDING)} %"
