"""Parquet files that are known to fit into memory before they are decoded.

A few kilobytes can stand for terabytes: pages compress, a run of a value is stored once, a dictionary's text stands for
millions of rows. And what a footer says of all that may be wrong. So the pages' own headers are added up first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepfactor.errors import SourceError
from deepfactor.sources.mapping import first_line
from deepfactor.sources.snapshot import check_size
from deepfactor.sources.thrift import read_struct

# What a value takes at most in a polars frame, besides a text longer than twelve bytes.
VALUE_BYTES = 16
MOST_COLUMNS = 10_000
# Bytes of texts that are decoded at once to add up their lengths.
_AT_ONCE = 64_000_000
_DELTA_BYTE_ARRAY = 7

# Field numbers of the format's PageHeader (parquet.thrift): first of the page, then of the three kinds of header.
_UNCOMPRESSED, _COMPRESSED, _DATA, _DICTIONARY, _DATA_V2 = 2, 3, 5, 7, 8
_VALUES, _ENCODING, _ENCODING_V2 = 1, 2, 4


@dataclass(frozen=True)
class _Page:
    """What a page's header says: bytes when decompressed, values, encoding; values of a dictionary are not rows."""

    size: int
    values: int
    encoding: int
    is_dictionary: bool


def scan_parquet(name: str, body: bytes, largest: int) -> pl.LazyFrame:
    """Return a Parquet file's content, lazily.

    Parameters
    ----------
    name
        What messages call the file.
    body
        All of it.
    largest
        Bytes that it may take when it is decoded.

    Raises
    ------
    SourceError
        If it is larger, has too many columns, or is damaged.
    """
    try:
        _check(name, body, largest)
    except (pa.ArrowException, OSError, ValueError, LookupError, OverflowError) as error:
        raise SourceError(f"{name} cannot be read: {first_line(error)}; deliver the file again") from None
    return pl.scan_parquet(BytesIO(body), glob=False)


def _check(name: str, body: bytes, largest: int) -> None:
    file = pq.ParquetFile(pa.BufferReader(body))
    metadata = file.metadata
    if metadata.num_columns > MOST_COLUMNS:
        raise SourceError(f"{name} has {metadata.num_columns} columns, and more than {MOST_COLUMNS} are not read")
    total = metadata.num_rows * metadata.num_columns * VALUE_BYTES
    check_size(name, total, largest, "unpacks to")
    longest: dict[str, int] = {}
    rows = 0
    for group in (metadata.row_group(number) for number in range(metadata.num_row_groups)):
        rows += group.num_rows
        for column in (group.column(number) for number in range(metadata.num_columns)):
            dictionary, text, values = 0, 0, 0
            for page in _pages(body, column):
                total += page.size + (page.values * VALUE_BYTES if page.is_dictionary else 0)
                check_size(name, total, largest, "unpacks to")
                values += 0 if page.is_dictionary else page.values
                dictionary = max(dictionary, page.size if page.is_dictionary else 0)
                # A text may repeat the beginning of the one before.
                text = max(text, page.size if page.encoding == _DELTA_BYTE_ARRAY else 0)
            if values != column.num_values or (_is_flat(metadata, column) and values != group.num_rows):
                raise ValueError(f"pages of {column.path_in_schema} hold {values} values, not as many as they should")
            if column.physical_type in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY") and (dictionary or text):
                longest[column.path_in_schema] = max(longest.get(column.path_in_schema, 0), dictionary, text)
    if rows != metadata.num_rows or rows < 0:
        raise ValueError(f"the row groups have {rows} rows, the file {metadata.num_rows}")
    for path, length in longest.items():
        # Only where the longest text in every row would be too much, the texts themselves are added up.
        if total + length * rows > largest:
            total = _add_texts(name, file, path, length, total, largest)


def _pages(body: bytes, column: Any) -> Iterator[_Page]:
    """Return the pages of a column chunk, by their headers."""
    position = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset is not None:
        position = min(position, column.dictionary_page_offset)
    end = position + column.total_compressed_size
    if not 0 <= position <= end <= len(body):
        raise ValueError(f"{column.path_in_schema} lies outside of the file")
    while position < end:
        header, position = read_struct(body, position)
        kind = header.get(_DATA) or header.get(_DATA_V2) or header.get(_DICTIONARY) or {_VALUES: 0}
        if not isinstance(kind, dict):
            raise ValueError(f"a page of {column.path_in_schema} is of no kind")
        encoding = kind.get(_ENCODING_V2 if _DATA_V2 in header else _ENCODING, 0)
        numbers = header[_UNCOMPRESSED], header[_COMPRESSED], kind[_VALUES], encoding
        if not all(isinstance(each, int) and each >= 0 for each in numbers) or position + numbers[1] > end:
            raise ValueError(f"a page of {column.path_in_schema} lies outside of its place")
        position += numbers[1]
        yield _Page(numbers[0], numbers[2], encoding, _DICTIONARY in header)


def _is_flat(metadata: pq.FileMetaData, column: Any) -> bool:
    """Tell whether a column has one value a row."""
    return (
        "." not in column.path_in_schema
        and metadata.schema.to_arrow_schema().get_field_index(column.path_in_schema) >= 0
    )


def _add_texts(name: str, file: pq.ParquetFile, path: str, longest: int, total: int, largest: int) -> int:
    """Add the lengths of a column's texts, decoding few at a time."""
    for batch in file.iter_batches(max(1, min(65_536, _AT_ONCE // longest)), columns=[path]):
        array = batch.column(0)
        while isinstance(array, pa.StructArray | pa.ListArray | pa.LargeListArray):
            array = array.flatten()[0] if isinstance(array, pa.StructArray) else array.flatten()
        if isinstance(array, pa.DictionaryArray):
            lengths = pc.take(pc.binary_length(array.dictionary), array.indices)
        else:
            lengths = pc.binary_length(array)
        total += pc.sum(lengths).as_py() or 0
        check_size(name, total, largest, "unpacks to")
    return total
