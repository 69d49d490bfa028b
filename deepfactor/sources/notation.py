"""How a vendor writes text, security codes, dates and numbers, and which of its values are none of these."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Literal

import polars as pl

from deepfactor.config import DatasetMapping

Role = Literal["text", "code", "date", "number"]

# What a column of ours holds, by its type.
ROLES: Mapping[type[pl.DataType], Role] = {pl.String: "code", pl.Date: "date", pl.Float64: "number"}

_ISO = "%Y-%m-%d"
# A year of two digits read as one of four is no date; neither is one that Python cannot hold.
_YEARS = (1000, 9999)


class Notation:
    """How the vendor of a mapping writes its values."""

    def __init__(self, mapping: DatasetMapping) -> None:
        self._mapping = mapping

    def wanted(self, role: Role) -> str:
        """Return what a value must be, for messages."""
        dates = self._mapping.date_format or "YYYY-MM-DD or YYYY-MM"
        code = f" that matches {self._mapping.code.pattern}" if self._mapping.code else ""
        return {
            "text": "a text",
            "code": f"a security code{code}",
            "date": f"a date ({dates})",
            "number": "a finite number",
        }[role]

    def remedy(self, role: Role, key: str) -> str:
        """Return what to do about a value that cannot be read; ``key`` is the mapping's place in the configuration."""
        option = {
            "text": "correct the mapping",
            "code": f"correct {key}.code",
            "date": f"set {key}.date_format",
            "number": f"name it in {key}.missing",
        }[role]
        return f"correct the value, leave it empty if it is not known, or {option}"

    def accepts(self, role: Role, found: pl.DataType) -> bool:
        """Tell whether a column of this type can serve in a role."""
        if isinstance(found, pl.String | pl.Categorical | pl.Enum | pl.Null):
            return True
        if role == "date":
            return isinstance(found, pl.Date | pl.Datetime) or (found.is_integer() and bool(self._mapping.date_format))
        if role == "text":
            return found.is_numeric() or found.is_temporal()
        return found.is_integer() or (role == "number" and found.is_numeric())

    def read(self, column: pl.Expr, found: pl.DataType, role: Role) -> pl.Expr:
        """Return a column as what it serves as; null where a value is missing, or cannot be read."""
        if role == "date":
            return self._date(column, found)
        if role == "number":
            return self._number(column, found)
        return self._text(column)

    def unread(self, column: pl.Expr, found: pl.DataType, role: Role) -> pl.Expr | None:
        """Return whether a value is there that cannot serve in its role; none: it always can."""
        if role in ("text", "code"):
            return None
        if role == "number" and found.is_numeric():
            return column.is_infinite() if found.is_float() else None
        if role == "date" and found.is_temporal():
            return ~column.dt.year().is_between(*_YEARS)
        value = self.read(column, found, role)
        faulty = value.is_null() | value.is_infinite() if role == "number" else value.is_null()
        return faulty & self._text(column).is_not_null()

    def security_id(self, code: pl.Expr) -> pl.Expr:
        """Return a code in our form; null where it does not have the vendor's."""
        form = self._mapping.code
        if form is None:
            return code
        padded = pl.when(code.str.contains(r"^[0-9]+$")).then(code.str.zfill(form.zero_pad)).otherwise(code)
        kept = padded.str.extract(f"^(?:{form.pattern})$", 1 if groups(form.pattern) else 0)
        return pl.when(kept != "").then(kept)

    @cached_property
    def _lacks_day(self) -> bool:
        """Whether the format gives a month and no day; polars then reads the first."""
        return self._mapping.date_format is not None and read_back(self._mapping.date_format) == date(2016, 2, 1)

    def _text(self, column: pl.Expr) -> pl.Expr:
        """Return a column as text without blanks around it; null if nothing or a missing-value marker is left."""
        stripped = column.cast(pl.String).str.strip_chars()
        there = stripped != ""
        if self._mapping.missing:
            there &= ~stripped.is_in(list(self._mapping.missing))
        return pl.when(there).then(stripped)

    def _date(self, column: pl.Expr, found: pl.DataType) -> pl.Expr:
        if isinstance(found, pl.Date):
            return column
        if isinstance(found, pl.Datetime):
            return column.dt.date()
        text = self._text(column)
        if self._mapping.date_format is None:
            # What is known only by its month counts from the month's end.
            month = text.str.len_chars() == len("YYYY-MM")
            first = (text + "-01").str.to_date(_ISO, strict=False).dt.month_end()
            day = pl.when(month).then(first).otherwise(text.str.to_date(_ISO, strict=False))
        else:
            day = text.str.to_date(self._mapping.date_format, strict=False)
            day = day.dt.month_end() if self._lacks_day else day
        return pl.when(day.dt.year().is_between(*_YEARS)).then(day)

    def _number(self, column: pl.Expr, found: pl.DataType) -> pl.Expr:
        if found.is_numeric():
            # Products of the vendor's integers would overflow silently.
            number = column if found == pl.Float64 else column.cast(pl.Float64)
            number = number.fill_nan(None) if found.is_float() else number
            markers = [float(each) for each in self._mapping.missing if _is_number(each)]
            return pl.when(~number.is_in(markers)).then(number) if markers else number
        text = self._text(column)
        decimal, thousands = re.escape(self._mapping.decimal), re.escape(self._mapping.thousands)
        plain = text
        if thousands:
            plain = plain.str.replace_all(self._mapping.thousands, "", literal=True)
        if self._mapping.decimal != ".":
            plain = plain.str.replace(self._mapping.decimal, ".", literal=True)
        if thousands or self._mapping.decimal != ".":
            # Strict about groups of three: "1,5" read as 15 would be a wrong number, not a missing one.
            groups_of_three = rf"\d{{1,3}}(?:{thousands}\d{{3}})+|" if thousands else ""
            form = rf"^[+-]?(?:{groups_of_three}\d+)?(?:{decimal}\d*)?(?:[eE][+-]?\d+)?$"
            plain = pl.when(text.str.contains(form)).then(plain)
        return plain.cast(pl.Float64, strict=False).fill_nan(None)


def groups(pattern: str) -> int:
    """Return the number of groups of a regular expression.

    Raises
    ------
    polars.exceptions.ComputeError
        If it is not one.
    """
    found = pl.Series([""]).str.extract_groups(f"^(?:{pattern})$").dtype
    return len(found.fields) if isinstance(found, pl.Struct) else 0


def read_back(date_format: str) -> date | None:
    """Return what a date format makes of a leap day written in it: that day, the month's first, or nothing."""
    written = pl.Series([datetime(2016, 2, 29)]).dt.strftime(date_format)  # noqa: DTZ001 - a day has no zone
    found: date | None = written.str.to_date(date_format, strict=False)[0]
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
