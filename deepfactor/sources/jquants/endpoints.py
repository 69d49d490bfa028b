"""The service's endpoints: their addresses, the columns that are used of them, and how values are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from deepfactor.errors import SourceError
from deepfactor.sources.jquants.client import STATEMENTS_PATH

# Written for a value that is not there: nothing, or, in notices of dividends, not decided yet.
_MISSING = ("", "-", "－")
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class Endpoint:
    """A table of the service.

    Attributes
    ----------
    name
        Folder of what has been fetched of it.
    path
        Its address below the service's root.
    columns
        The service's columns that are used, and their types here.
    by_month
        Whether it is asked for a month at once; others only give one day of all stocks.
    may_be_empty
        Whether a period may have no records; of others, nothing is an answer that came too early.
    """

    name: str
    path: str
    columns: Mapping[str, type[pl.DataType]]
    by_month: bool = False
    may_be_empty: bool = False

    def parameters(self, first: date, last: date) -> dict[str, str]:
        """Return the query of a period, of one day if not by month."""
        if self.by_month:
            return {"from": first.isoformat(), "to": last.isoformat()}
        return {"date": first.isoformat()}

    def read(self, records: Sequence[Mapping[str, Any]], asked: str) -> pl.DataFrame:
        """Return records as a frame of ``columns``.

        Parameters
        ----------
        records
            As the service gives them; numbers may be texts, and an empty text or a dash is missing.
        asked
            What was asked for, for the message.

        Raises
        ------
        SourceError
            If a column is not there, or a value is not what its column holds; with endpoint, column and value.
        """
        for record in records:
            if not isinstance(record, Mapping):
                raise SourceError(
                    f"J-Quants {self.path} ({asked}): {_shown(record)} stands where a record belongs. The service has "
                    "changed: update deepfactor"
                )
            missing = [name for name in self.columns if name not in record]
            if missing:
                raise SourceError(
                    f"J-Quants {self.path} ({asked}): the columns {missing} are not there; there are "
                    f"{_shown(sorted(record))}. The service has changed: update deepfactor"
                )
        return pl.DataFrame(
            {name: self._column(name, records, asked) for name in self.columns}, schema=dict(self.columns)
        )

    def _column(self, name: str, records: Sequence[Mapping[str, Any]], asked: str) -> list[Any]:
        read = _READERS[self.columns[name]]
        values = []
        for record in records:
            try:
                values.append(read(record[name]))
            except (ValueError, TypeError, OverflowError):
                raise SourceError(
                    f"J-Quants {self.path} ({asked}): {name} is {_shown(record[name])} for code "
                    f"{_shown(record.get('Code'))}, which cannot be read as {self.columns[name].__name__}"
                ) from None
        return values


def _number(value: Any) -> float | None:
    if value is None or value in _MISSING:
        return None
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _day(value: Any) -> date | None:
    return None if value is None or value in _MISSING else date.fromisoformat(value)


def _text(value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError
    (value or "").encode()  # JSON can hold halves of characters.
    return value or None


def _shown(value: Any) -> str:
    """Return a value as messages show it."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


_READERS: dict[type[pl.DataType], Callable[[Any], Any]] = {pl.Float64: _number, pl.Date: _day, pl.String: _text}

_F = pl.Float64
BARS = Endpoint(
    "bars",
    "/equities/bars/daily",
    # As quoted: the service rewrites its adjusted columns after every split, and these never.
    {"Date": pl.Date, "Code": pl.String, "C": _F, "Vo": _F, "Va": _F, "AdjFactor": _F},
)
MASTER = Endpoint(
    "master", "/equities/master", {"Date": pl.Date, "Code": pl.String, "Mkt": pl.String, "ProdCat": pl.String}
)
STATEMENTS = Endpoint(
    "statements",
    STATEMENTS_PATH,
    {
        "DiscDate": pl.Date,
        "DiscTime": pl.String,
        "Code": pl.String,
        "DiscNo": pl.String,
        "DocType": pl.String,
        "CurPerSt": pl.Date,
        "CurPerEn": pl.Date,
        "CurFYSt": pl.Date,
        "CurFYEn": pl.Date,
        **dict.fromkeys(("Sales", "OP", "OdP", "NP", "TA", "Eq", "CFO", "ShOutFY", "TrShFY"), _F),
        **dict.fromkeys(("NCSales", "NCOP", "NCOdP", "NCNP", "NCTA", "NCEq"), _F),
    },
    may_be_empty=True,
)
DIVIDENDS = Endpoint(
    "dividends",
    "/fins/dividend",
    {
        "PubDate": pl.Date,
        "PubTime": pl.String,
        "Code": pl.String,
        "RefNo": pl.String,
        "CARefNo": pl.String,
        "StatCode": pl.String,
        "DivRate": _F,
        "ExDate": pl.Date,
    },
    may_be_empty=True,
)
TOPIX = Endpoint("topix", "/indices/bars/daily/topix", {"Date": pl.Date, "C": _F}, by_month=True)
CALENDAR = Endpoint("calendar", "/markets/calendar", {"Date": pl.Date, "HolDiv": pl.String}, by_month=True)
