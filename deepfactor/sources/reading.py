"""One vendor file: its columns converted by what they serve as, and every value that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from deepfactor.errors import SourceError
from deepfactor.schemas import Table

Role = Literal["code", "date", "number"]

# Names that no vendor gives to a column.
FAULT = "\x00fault"
_ROW = "\x00row"
_ROLES: Mapping[type[pl.DataType], Role] = {pl.String: "code", pl.Date: "date", pl.Float64: "number"}
_WANTED: Mapping[Role, str] = {
    "code": "a security code",
    "date": "a date (YYYY-MM-DD or YYYY-MM)",
    "number": "a finite number",
}


@dataclass(frozen=True)
class VendorFile:
    """A Parquet or CSV file and the mapping that reads a raw table from it.

    Attributes
    ----------
    path
        The file.
    frame
        Its content, lazily; all columns of a CSV file as text.
    table
        The raw table it delivers.
    mapping
        For each mapped column of the table an SQL expression over the file's columns.
    roles
        What each of the file's columns that the mapping uses serves as.
    schema
        Types of the file's columns.
    """

    path: Path
    frame: pl.LazyFrame
    table: Table
    mapping: Mapping[str, str]
    roles: Mapping[str, Role]
    schema: Mapping[str, pl.DataType]

    @classmethod
    def open(cls, path: Path, table: Table, mapping: Mapping[str, str]) -> VendorFile:
        """Read a file's header and check the mapping against its columns.

        Raises
        ------
        SourceError
            If the file cannot be read, lacks a column, or holds one of a type that cannot serve.
        """
        try:
            frame = _scan(path)
            schema = frame.collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"{path} cannot be read: {first_line(error)}; deliver the file again") from None
        roles: dict[str, Role] = {}
        for name, text in mapping.items():
            where = f"{path}: source.datasets.{table.name}.columns.{name} ({text})"
            role = _ROLES[table.columns[name]]
            for root in pl.sql_expr(text).meta.root_names():
                _check_type(root, role, schema, where)
                if roles.setdefault(root, role) != role:
                    raise SourceError(
                        f"{where}: the column {root} serves as {_WANTED[roles[root]]} elsewhere; correct the mapping"
                    )
        return cls(path, frame, table, mapping, roles, schema)

    def between(self, known_by: str, first: date, last: date) -> pl.LazyFrame:
        """Return the rows whose day ``known_by`` lies in a span, as the table's columns and ``FAULT``.

        Rows whose day cannot be read are among them, as faults.
        """
        return self._selected(self.frame, known_by, first, last).select(*self._values(), FAULT)

    def days(self, known_by: str) -> pl.LazyFrame:
        """Return the distinct days of a date column, without nulls."""
        return self._converted(self.frame).select(self._value(known_by).drop_nulls().unique())

    def first_fault(self, known_by: str, first: date, last: date) -> str:
        """Return a message about the first value of the span that cannot be read."""
        selected = self._selected(self.frame.with_row_index(_ROW, 1), known_by, first, last)
        row = selected.filter(FAULT).select(_ROW).head(1).collect().item()
        raw = self.frame.slice(row - 1, 1).collect()
        read = self._converted(raw.lazy()).select(*self._values(), FAULT).collect().to_dicts()[0]
        for root, role in self.roles.items():
            if raw.select(_fault(root, role, self.schema[root])).item():
                return (
                    f"{self.path}, row {row}, column {root}: {raw[root][0]!r} stands where {_WANTED[role]} belongs; "
                    "correct the value, or leave it empty if it is not known"
                )
        if read[known_by] is None:
            return (
                f"{self.path}, row {row}: there is no {known_by} ({self.mapping[known_by]}), so the row belongs to no "
                "month; deliver the date, or map an expression with a fallback"
            )
        column = next(name for name, value in read.items() if value in (float("inf"), float("-inf")))
        return (
            f"{self.path}, row {row}: {column} ({self.mapping[column]}) is infinite; correct the values or the mapping"
        )

    def _selected(self, frame: pl.LazyFrame, known_by: str, first: date, last: date) -> pl.LazyFrame:
        day = pl.sql_expr(self.mapping[known_by])
        infinite = [self._value(name).is_infinite() for name in self.mapping if self._is_number(name)]
        fault = pl.any_horizontal(FAULT, day.is_null(), *infinite).fill_null(value=False).alias(FAULT)
        return self._converted(frame).filter(day.is_between(first, last) | day.is_null()).with_columns(fault)

    def _converted(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with its columns converted by role, and whether a value of the row could not be."""
        converted = [_convert(root, role, self.schema[root]) for root, role in self.roles.items()]
        faults = [_fault(root, role, self.schema[root]) for root, role in self.roles.items()]
        return frame.with_columns(*converted, pl.any_horizontal(*faults).fill_null(value=False).alias(FAULT))

    def _values(self) -> list[pl.Expr]:
        return [self._value(name) for name in self.table.columns]

    def _value(self, name: str) -> pl.Expr:
        """Return one of the table's columns; null where it is not mapped."""
        kind = self.table.columns[name]
        if name not in self.mapping:
            return pl.lit(None, kind).alias(name)
        value = pl.sql_expr(self.mapping[name]).cast(kind)
        if self._is_number(name):
            value = value.fill_nan(None)
        if name == "month":
            value = value.dt.truncate("1mo")
        return value.alias(name)

    def _is_number(self, name: str) -> bool:
        return self.table.columns[name] == pl.Float64


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; polars adds its query plan below."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix == ".parquet":
        return pl.scan_parquet(path, glob=False)
    if path.suffix == ".csv":
        # Guessed types would drop the zero of a code such as 0050, and hide a text between numbers.
        return pl.scan_csv(path, glob=False, infer_schema=False)
    raise SourceError(f"{path}: the suffix must be .parquet or .csv; correct the mapping's files")


def _check_type(root: str, role: Role, schema: Mapping[str, pl.DataType], where: str) -> None:
    """Raise a SourceError if a vendor's column is absent or of a type that cannot serve."""
    if root not in schema:
        raise SourceError(
            f"{where}: there is no column {root}; the columns are {', '.join(schema)}: "
            "deliver it, or correct the mapping"
        )
    found = schema[root]
    fits = {
        "code": found.is_integer(),
        "date": isinstance(found, pl.Date | pl.Datetime),
        "number": found.is_numeric(),
    }[role]
    if not fits and not isinstance(found, pl.String | pl.Categorical | pl.Enum | pl.Null):
        raise SourceError(f"{where}: the column {root} holds {found} where {_WANTED[role]} belongs; deliver it as such")


def _text(root: str) -> pl.Expr:
    """Return a column as text without blanks around it; null if nothing is left."""
    stripped = pl.col(root).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _convert(root: str, role: Role, found: pl.DataType) -> pl.Expr:
    """Return a column converted to serve in its role; null where it cannot be."""
    column = pl.col(root)
    if role == "code":
        return _text(root).alias(root)
    if role == "date":
        if isinstance(found, pl.Date):
            return column
        if isinstance(found, pl.Datetime):
            return column.dt.date().alias(root)
        day = _text(root)
        whole = pl.when(day.str.len_chars() == len("YYYY-MM")).then(day + "-01").otherwise(day)
        return whole.str.to_date("%Y-%m-%d", strict=False).alias(root)
    if found.is_numeric():
        return column.fill_nan(None) if found.is_float() else column
    return _text(root).cast(pl.Float64, strict=False).fill_nan(None).alias(root)


def _fault(root: str, role: Role, found: pl.DataType) -> pl.Expr:
    """Return whether a value is there that cannot serve in its role."""
    if role == "number" and found.is_float():
        return pl.col(root).is_infinite()
    if role == "code" or found.is_numeric() or found.is_temporal():
        return pl.lit(value=False)
    converted = _convert(root, role, found)
    unread = converted.is_null() | converted.is_infinite() if role == "number" else converted.is_null()
    return unread & _text(root).is_not_null()
