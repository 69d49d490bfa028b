"""Delimited text: decompressed, decoded, and every row as wide as the header.

polars fills a row that is too short with nulls, takes an empty line for a row, and reads no encoding but UTF-8. So one
pass of the standard library's reader comes first; it tells, too, whether polars can read the file as it is.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import IO, cast

import polars as pl

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.sources.delivery import DeliveredFile

SUFFIXES = (".csv", ".tsv", ".txt")

# Before the number of a column whose name alone does not tell it from the others; no mapping can name it.
NUMBERED = "\x00"
_UTF_8 = frozenset({"utf-8", "utf-8-sig", "ascii"})
# Of a value that cannot be decoded, in bytes.
_SHOWN = 40


@dataclass(frozen=True)
class DelimitedText:
    """A file of delimited text.

    Attributes
    ----------
    file
        The file.
    mapping
        How it is written: encoding and separator.
    key
        The mapping's place in the configuration, for messages.
    """

    file: DeliveredFile
    mapping: DatasetMapping
    key: str

    def scan(self) -> pl.LazyFrame:
        """Return the file's content, all columns as text, without empty lines.

        Blanks around a column's name are no part of it. A name that is empty or stands twice ends in ``NUMBERED`` and
        a number.

        Raises
        ------
        SourceError
            If the file is empty or not in its encoding or compression, or a row is not as wide as the header.
        """
        try:
            names, regular = self._inspect()
            source = self._whole() if regular else self._rewritten()
        except UnicodeError:
            raise SourceError(self._undecodable()) from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{self.file.name} is not a whole gzip file: {error}; deliver the file again") from None
        except csv.Error as error:
            raise SourceError(
                f"{self.file.name} is not delimited text: {error}; correct its quotes and line ends (LF or CRLF)"
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

        def noticed(lines: Iterable[str]) -> Iterator[str]:
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
                raise SourceError(f"{self.file.name} is empty, it has not even a header: deliver the file again")
            for number, row in enumerate(rows, start=1):
                if len(row) != len(header):
                    raise SourceError(
                        f"{self.file.name}, row {number}: {len(row)} fields, but the header has {len(header)} "
                        f"({', '.join(header)}): correct the row or {self.key}.separator, or deliver the file again"
                    )
        return _distinct([name.strip() for name in header]), regular

    def _rows(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return the header and the rows, without empty lines."""
        rows = csv.reader(lines, delimiter=self.mapping.separator, strict=True)
        return (row for row in rows if len(row) > 1 or "".join(row).strip())

    def _whole(self) -> Path | BytesIO:
        if not self.file.suffixes[1]:
            return self.file.path
        with self._bytes() as content:
            return BytesIO(content.read())

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
    def _lines(self) -> Iterator[Iterable[str]]:
        # A byte order mark is no part of the first name.
        encoding = "utf-8-sig" if self._is_utf_8 else self.mapping.encoding
        with self._bytes() as content, TextIOWrapper(content, encoding=encoding, newline="\n") as lines:
            yield lines

    def _bytes(self) -> IO[bytes]:
        if self.file.suffixes[1]:
            return cast("IO[bytes]", gzip.open(self.file.path))
        return self.file.path.open("rb")

    def _undecodable(self) -> str:
        """Return a message about the first byte that is not in the encoding."""
        encoding = "utf-8" if self._is_utf_8 else self.mapping.encoding
        with self._bytes() as content:
            body = content.read()
        try:
            body.decode(encoding)
            start = 0
        except UnicodeError as error:
            start = error.start if isinstance(error, UnicodeDecodeError) else 0
        # A sign stands for the faulty byte, so that the last field is its own even at the beginning of a line.
        before = body[:start].decode(encoding, errors="replace") + "?"
        reader = csv.reader(before.splitlines(keepends=True), delimiter=self.mapping.separator)
        rows = [row for row in reader if row]
        value = re.split(rb"[\r\n%s]" % re.escape(self.mapping.separator).encode(), body[start : start + _SHOWN])[0]
        if len(rows) == 1:
            where = "the header"
        else:
            column = len(rows[-1]) - 1
            where = f"row {len(rows) - 1}, column {rows[0][column].strip() if column < len(rows[0]) else column + 1}"
        return (
            f"{self.file.name}, {where}: {value!r} is not {self.mapping.encoding}: set {self.key}.encoding to what the "
            "vendor writes, such as cp932 or latin-1"
        )


def _distinct(names: list[str]) -> list[str]:
    """Return the names with a number behind each that is empty or stands twice."""
    counts = Counter(names)
    return [name if name and counts[name] == 1 else f"{name}{NUMBERED}{number}" for number, name in enumerate(names, 1)]
