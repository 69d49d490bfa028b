"""How figures and names are written for people."""

from __future__ import annotations

import math
import unicodedata

_MINUS = "\N{MINUS SIGN}"
_UNKNOWN = "\N{EN DASH}"

_UNITS = ("bytes", "kB", "MB", "GB")
# Characters that steer, and those that begin a new line or paragraph.
_STEERING = frozenset({"Cc", "Cf", "Zl", "Zp"})


def percent(fraction: float | None, digits: int = 2, signed: bool = True) -> str:
    """Return a fraction as a number of percent, without the unit.

    >>> percent(0.01234), percent(-0.5, 1), percent(0.25, 0, signed=False), percent(None)
    ('+1.23', '−50.0', '25', '–')
    """
    return decimal(None if fraction is None else fraction * 100, digits, signed)


def decimal(value: float | None, digits: int = 2, signed: bool = True) -> str:
    """Return a number with so many decimals.

    >>> decimal(0.256), decimal(-0.1, 1), decimal(-0.001), decimal(None)
    ('+0.26', '−0.1', '0.00', '–')
    """
    if value is None or not math.isfinite(value):
        return _UNKNOWN
    shown = round(value, digits)
    # A rounded zero has no direction, whatever the digits that are not shown say.
    sign = "+" if signed and shown > 0 else ""
    return f"{sign}{shown + 0.0:.{digits}f}".replace("-", _MINUS)


def figure(value: object) -> str:
    """Return a fact, threshold or measurement in its shortest faithful form.

    >>> figure(7200), figure(0.25), figure(1e-9), figure(-4.718e6), figure(True), figure("dfm2"), figure(None)
    ('7,200', '0.25', '1e-09', '−4,718,000', 'yes', 'dfm2', '–')
    """
    match value:
        case None:
            return _UNKNOWN
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}".replace("-", _MINUS)
        case float():
            # Four digits tell enough of a measurement; only the very large and very small need an exponent.
            shown = f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
            return shown.replace("-", _MINUS, 1) if value < 0 else shown
        case _:
            return legible(str(value))


def size(count: int) -> str:
    """Return a number of bytes as people read it.

    >>> size(512), size(20_480), size(3_000_000)
    ('512 bytes', '20.5 kB', '3.0 MB')
    """
    amount = float(count)
    for unit in _UNITS[:-1]:
        if amount < 1000:
            return f"{count} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} {_UNITS[-1]}"


def legible(text: str) -> str:
    """Return a text from the data without characters that steer a terminal, a browser or the direction of writing.

    >>> legible("7203" + chr(27) + "[31m")
    '7203�[31m'
    """
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(each) in _STEERING else each for each in text)
