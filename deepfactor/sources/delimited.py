"""Delimited text: decompressed, decoded, and every row as wide as the header.

polars fills a row that is too short with nulls, takes an empty line for a row, and reads no encoding but UTF-8. So one
pass of the standard library's reader comes first; it tells, too, whether polars can read the file as it is, and whether
there is room for it.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO, TextIOWrapper

import polars as pl

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.sources.parquet import MOST_COLUMNS, VALUE_BYTES
from deepfactor.sources.snapshot import check_size

SUFFIXES = (".csv", ".tsv", ".txt")

# Before the number of a column whose name alone does not tell it from the others; no mapping can name it.
NUMBERED = "\x00"
_UTF_8 = frozenset({"utf-8", "utf-8-sig", "ascii"})
# Of a value that cannot be decoded, in bytes, and of the names of a header, in characters.
_SHOWN = 40
_NAMES_SHOWN = 500
# In characters, lines of a quoted field included. Python holds a row as sixty times as many bytes.
_LONGEST_ROW = 1_000_000
_CHUNK = 1 << 20
# How many bytes deflate can pack into one.
_MOST_PACKED = 1_032


def unpacked(name: str, body: bytes, largest: int) -> bytes:
    """Return what a gzip file holds.

    Parameters
    ----------
    name
        What messages call the file.
    body
        All of it.
    largest
        Bytes that it may hold.

    Raises
    ------
    SourceError
        If it is damaged, or holds more.
    """
    size = 0
    try:
        # Only what could be too large is unpacked twice: once to see, and to keep nothing of it.
        if len(body) > largest // _MOST_PACKED:
            for chunk in _chunks(body):
                size += len(chunk)
                check_size(name, size, largest, "unpacks to")
        return b"".join(_chunks(body))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{name} is not a whole gzip file: {error}; deliver the file again") from None


def _chunks(body: bytes) -> Iterator[bytes]:
    with gzip.open(BytesIO(body)) as content:
        yield from iter(partial(content.read, _CHUNK), b"")


@dataclass(frozen=True)
class DelimitedText:
    """A file of delimited text.

    Attributes
    ----------
    name
        What messages call it.
    body
        All of it, unpacked.
    mapping
        How it is written: encoding and separator.
    key
        The mapping's place in the configuration, for messages.
    largest
        Bytes that it may take in memory.
    """

    name: str
    body: bytes
    mapping: DatasetMapping
    key: str
    largest: int

    def scan(self) -> pl.LazyFrame:
        """Return the file's content, all columns as text, without empty lines.

        Blanks around a column's name are no part of it. A name that is empty or stands twice ends in ``NUMBERED`` and
        a number.

        Raises
        ------
        SourceError
            If the file is empty or not in its encoding, a row is not as wide as the header, or there is too much of it.
        """
        try:
            names, regular = self._inspect()
            source = BytesIO(self.body) if regular else self._rewritten()
        except UnicodeError:
            raise SourceError(self._undecodable()) from None
        except csv.Error as error:
            raise SourceError(
                f"{self.name} is not delimited text: {error}; correct its quotes and line ends (LF or CRLF)"
            ) from None
        return pl.scan_csv(
            source,
            glob=False,
            separator=self.mapping.separator,
            with_column_names=lambda _: names,
            # Guessed types would drop the zero of a code such as 0050, and hide a text between numbers.
            infer_schema=False,
        )

    def _inspect(self) -> tuple[list[str], bool]:
        """Return the columns' names, and whether polars can read the file as it is."""
        regular = self._is_utf_8

        def noticed(lines: Iterator[str]) -> Iterator[str]:
            nonlocal regular
            for line in lines:
                # What quotes mean where they are not due is for one reader to say.
                if '"' in line or line.isspace():
                    regular = False
                yield line

        with self._lines() as lines:
            rows = self._rows(noticed(lines))
            header = next(rows, None)
            if header is None:
                raise SourceError(f"{self.name} is empty, it has not even a header: deliver the file again")
            if len(header) > MOST_COLUMNS:
                raise SourceError(f"{self.name} has {len(header)} columns, and more than {MOST_COLUMNS} are not read")
            for number, row in enumerate(rows, start=1):
                if len(row) != len(header):
                    raise SourceError(
                        f"{self.name}, row {number}: {len(row)} fields, but the header has {len(header)} "
                        f"({', '.join(header)[:_NAMES_SHOWN]}): correct the row or {self.key}.separator, or deliver "
                        "the file again"
                    )
                check_size(self.name, len(self.body) + number * len(row) * VALUE_BYTES, self.largest, "unpacks to")
        return _distinct([name.strip() for name in header]), regular

    def _rows(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Return the header and the rows, without empty lines."""
        length = 0

        def measured() -> Iterator[str]:
            nonlocal length
            for line in lines:
                length += len(line)
                if length > _LONGEST_ROW:
                    raise csv.Error(f"a row has more than {_LONGEST_ROW} characters")
                yield line

        for row in csv.reader(measured(), delimiter=self.mapping.separator, strict=True):
            length = 0
            if len(row) > 1 or "".join(row).strip():
                yield row

    def _rewritten(self) -> BytesIO:
        """Return the text as polars reads it: in UTF-8, every field quoted, no empty lines."""
        body = BytesIO()
        text = TextIOWrapper(body, encoding="utf-8", newline="")
        writer = csv.writer(text, delimiter=self.mapping.separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
        with self._lines() as lines:
            writer.writerows(self._rows(lines))
        text.detach()
        body.seek(0)
        return body

    @property
    def _is_utf_8(self) -> bool:
        return codecs.lookup(self.mapping.encoding).name in _UTF_8

    @contextmanager
    def _lines(self, errors: str = "strict", end: int | None = None) -> Iterator[Iterator[str]]:
        """Return the lines, no longer than a row may be, of all text or up to a faulty byte."""
        # A byte order mark is no part of the first name.
        encoding = "utf-8-sig" if self._is_utf_8 else self.mapping.encoding
        # A sign stands for the faulty byte, so that the last field is its own even at the beginning of a line.
        content = BytesIO(self.body if end is None else self.body[:end] + b"?")
        with TextIOWrapper(content, encoding=encoding, errors=errors, newline="\n") as text:
            yield iter(partial(text.readline, _LONGEST_ROW + 1), "")

    def _undecodable(self) -> str:
        """Return a message about the first byte that is not in the encoding."""
        encoding = "utf-8" if self._is_utf_8 else self.mapping.encoding
        try:
            self.body.decode(encoding)
            start = 0
        except UnicodeError as error:
            start = error.start if isinstance(error, UnicodeDecodeError) else 0
        value = re.split(rb"[\r\n%s]" % re.escape(self.mapping.separator).encode(), self.body[start : start + _SHOWN])[
            0
        ]
        return (
            f"{self.name}, {self._place(start)}: {value!r} is not {self.mapping.encoding}: set {self.key}.encoding to "
            "what the vendor writes, such as cp932 or latin-1"
        )

    def _place(self, start: int) -> str:
        """Return row and column of a byte, for messages."""
        header: list[str] = []
        rows, row = 0, list[str]()
        try:
            with self._lines("replace", start) as lines:
                for row in csv.reader(lines, delimiter=self.mapping.separator):
                    header = header or row
                    rows += bool(row)
        except (csv.Error, UnicodeError):
            return f"byte {start}"
        if rows <= 1:
            return "the header"
        column = len(row) - 1
        return f"row {rows - 1}, column {header[column].strip() if column < len(header) else column + 1}"


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number behind each that is empty or stands twice."""
    counts = Counter(names)
    return [name if name and counts[name] == 1 else f"{name}{NUMBERED}{number}" for number, name in enumerate(names, 1)]
