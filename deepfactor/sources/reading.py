"""Vendor files, read through a mapping; a value that cannot be read is named with its file, row and column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import polars as pl

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.schemas import Table
from deepfactor.sources.delimited import SUFFIXES, DelimitedText, unpacked
from deepfactor.sources.delivery import DeliveredFile
from deepfactor.sources.mapping import first_line
from deepfactor.sources.notation import ROLES
from deepfactor.sources.parquet import scan_parquet
from deepfactor.sources.plan import FAULT, Plan
from deepfactor.sources.snapshot import check_size

# A name that no vendor gives to a column.
_ROW = "\x00row"

# Characters of a value in a message.
_LONGEST_SHOWN = 200

# What polars may throw at a file; its panics are no ordinary exceptions.
_POLARS_FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

# Files are read together until they are this large, in bytes: many small ones at the speed of one, large ones alone.
_READ_TOGETHER = 64_000_000


@dataclass(frozen=True)
class VendorFile:
    """A Parquet file or delimited text.

    Attributes
    ----------
    name
        What messages call it.
    frame
        Its content, lazily; all columns of delimited text as text.
    plan
        How the raw table is read from it.
    """

    name: str
    frame: pl.LazyFrame
    plan: Plan

    def rows(self, known_by: str, first: date, last: date) -> pl.LazyFrame:
        """Return the rows whose day ``known_by`` lies in a span, as the table's columns and ``FAULT``."""
        return self.plan.selected(self.frame, known_by, first, last).select(*self.plan.values(), FAULT)

    def days(self, known_by: str) -> pl.LazyFrame:
        """Return the distinct days of a date column."""
        days = self.plan.converted(self.frame).select(self.plan.value(known_by).alias(known_by)).unique()
        return days.filter(pl.col(known_by).is_between(date.min, date.max))

    def first_fault(self, known_by: str, first: date, last: date) -> str:
        """Return a message about the first value of the span that cannot be read."""
        plan = self.plan
        numbered = self.frame.select(*plan.roles).with_row_index(_ROW, 1)
        faulty = plan.selected(numbered, known_by, first, last).filter(FAULT).select(_ROW).head(1)
        row = int(faulty.collect().item())
        raw = numbered.filter(pl.col(_ROW) == row).collect()
        where, key = f"{self.name}, row {row}", f"source.datasets.{plan.table.name}"
        for root, role in plan.roles.items():
            unread = plan.unread_root(root)
            if unread is not None and raw.select(unread).item():
                return (
                    f"{where}, column {root}: {_shown(raw[root])} stands where {plan.notation.wanted(role)} belongs; "
                    f"{plan.notation.remedy(role, key)}"
                )
        given = plan.converted(raw.lazy())
        for name, text in plan.mapping.columns.items():
            unread = plan.unread(name)
            if unread is not None and given.select(unread).collect().item():
                role = ROLES[plan.table.columns[name]]
                result = given.select(pl.sql_expr(text)).collect().to_series()
                computed = result.dtype.is_numeric() and role == "number"
                return (
                    f"{where}: {name} ({text}) is {_shown(result)} where {plan.notation.wanted(role)} belongs; "
                    f"{'correct the values or the mapping' if computed else plan.notation.remedy(role, key)}"
                )
        return (
            f"{where}: there is no {known_by} ({plan.mapping.columns.get(known_by, 'not mapped')}), so the row belongs "
            "to no month; deliver the date, or map an expression with a fallback"
        )


class Reader:
    """Reads a raw table from files, one mapping for all; files with the same columns share a plan."""

    def __init__(
        self, table: Table, mapping: DatasetMapping, read: Callable[[DeliveredFile], bytes], largest: int
    ) -> None:
        """Say what is read and how.

        Parameters
        ----------
        table, mapping
            The raw table, and how the files hold it.
        read
            Returns all of a file.
        largest
            Bytes that what a file unpacks to, and the rows selected, may have.
        """
        self._table = table
        self._mapping = mapping
        self._read = read
        self._largest = largest
        self._plans: dict[tuple[tuple[str, pl.DataType], ...], Plan] = {}

    def between(self, files: Iterable[DeliveredFile], known_by: str, first: date, last: date) -> pl.DataFrame:
        """Return the rows whose day ``known_by`` lies in a span, in the order of the files.

        Raises
        ------
        SourceError
            If a file, a value of these rows, or the day of any row cannot be read, or there is too much of it.
        """
        tables = [self._table.empty()]
        size = 0
        for batch in _batches(files):
            opened = [self._open(file) for file in batch]
            parts = _collect(opened, [file.rows(known_by, first, last) for file in opened])
            for file, part in zip(opened, parts, strict=True):
                if part[FAULT].any():
                    raise SourceError(file.first_fault(known_by, first, last))
                tables.append(part.drop(FAULT))
                size += int(tables[-1].estimated_size())
                check_size(file.name, size, self._largest, f"and the {self._table.name} before it have")
        return pl.concat(tables)

    def days(self, files: Iterable[DeliveredFile], known_by: str) -> set[date]:
        """Return the days that stand in a date column.

        Raises
        ------
        SourceError
            If a file cannot be read.
        """
        found: set[date] = set()
        for batch in _batches(files):
            opened = [self._open(file) for file in batch]
            found.update(*(part[known_by] for part in _collect(opened, [file.days(known_by) for file in opened])))
        return found

    def _open(self, file: DeliveredFile) -> VendorFile:
        """Read a file's columns and check the mapping against them."""
        try:
            frame = self._scan(file)
            key = tuple(frame.collect_schema().items())
            if key not in self._plans:
                self._plans[key] = Plan.resolve(self._table, self._mapping, dict(key), file.name)
        except _POLARS_FAILURES as error:
            raise SourceError(f"{file.name} cannot be read: {first_line(error)}; deliver the file again") from None
        return VendorFile(file.name, frame, self._plans[key])

    def _scan(self, file: DeliveredFile) -> pl.LazyFrame:
        suffix, compressed = file.suffixes
        key = f"source.datasets.{self._table.name}"
        if suffix == ".parquet" and not compressed:
            return scan_parquet(file.name, self._read(file), self._largest)
        if suffix in SUFFIXES:
            body = self._read(file)
            text = unpacked(file.name, body, self._largest) if compressed else body
            return DelimitedText(file.name, text, self._mapping, key, self._largest).scan()
        raise SourceError(
            f"{file.name}: the suffix must be .parquet or .csv, .tsv or .txt, these also with .gz; correct {key}.files"
        )


def _batches(files: Iterable[DeliveredFile]) -> Iterator[list[DeliveredFile]]:
    """Return the files in lots that fit into memory together; a file that is larger makes one of its own."""
    batch: list[DeliveredFile] = []
    total = 0
    for file in files:
        size = _size(file)
        if batch and total + size > _READ_TOGETHER:
            yield batch
            batch, total = [], 0
        batch.append(file)
        total += size
    if batch:
        yield batch


def _size(file: DeliveredFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError:
        return 0  # Why it cannot be read, reading it tells.


def _collect(files: list[VendorFile], frames: list[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Compute one frame of each file."""
    try:
        return pl.collect_all(frames)
    except _POLARS_FAILURES:
        # Which file it was, the error does not say.
        return [_collect_one(file, frame) for file, frame in zip(files, frames, strict=True)]


def _collect_one(file: VendorFile, frame: pl.LazyFrame) -> pl.DataFrame:
    try:
        return frame.collect()
    except _POLARS_FAILURES as error:
        raise SourceError(
            f"{file.name} cannot be read: {first_line(error)}; deliver the file again, or correct the mapping"
        ) from None


def _shown(value: pl.Series) -> str:
    """Return the only value of a column as messages show it: texts quoted, others as they are."""
    # Python's dates end with the year 9999.
    text = repr(value[0]) if value.dtype == pl.String else str(value.cast(pl.String)[0])
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
