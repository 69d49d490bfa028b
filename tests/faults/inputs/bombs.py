"""Files that are small, or whose size is no size of a delivery, and that would fill the memory if they were read."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from deepfactor.config import DatasetMapping, load_config
from deepfactor.errors import ConfigurationError, DeepfactorError, SourceError
from deepfactor.sources import FilesSource
from deepfactor.sources.delivery import FolderDelivery
from deepfactor.sources.thrift import read_struct
from tests.faults.inputs.fuzzing import CORPUS, Case
from tests.faults.inputs.source_files import FIRST, LAST

WARM = 1
LARGEST = 200_000_000
_ROWS = 1_000_000


def _sparse(size: int) -> bytes:
    Path("delivery/prices.csv").touch()
    os.truncate("delivery/prices.csv", size)
    return b""


def _gigabytes_of_zeros() -> bytes:
    return gzip.compress(bytes(100_000_000), 9) * 100


def _parquet(table: pa.Table, groups: int = 1, **options: object) -> bytes:
    target = io.BytesIO()
    with pq.ParquetWriter(target, table.schema, **options) as writer:
        for _ in range(groups):
            writer.write_table(table)
    return target.getvalue()


def _same(text: str, rows: int = _ROWS) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


def _runs() -> bytes:
    """Some kilobytes that stand for twenty million rows."""
    table = pa.table({name: _same("1") for name in ("date", "code", "close")})
    return _parquet(table, 20, compression="none")


def _long_text() -> bytes:
    """A megabyte in a dictionary, a million times."""
    return _parquet(pa.table({"date": _same("2016-02-29"), "code": _same("x" * 1_000_000)}), compression="zstd")


def _beginnings() -> bytes:
    """Texts that each repeat the one before: as many bytes as one of them has, and their number."""
    table = pa.table({"date": ["2016-02-29"] * 5_000, "code": ["x" * 20_000] * 5_000})
    encodings = {"code": "DELTA_BYTE_ARRAY", "date": "PLAIN"}
    return _parquet(table, 25, use_dictionary=False, column_encoding=encodings, compression="none")


def _zeros() -> bytes:
    """Pages that are compressed a thousandfold."""
    return _parquet(pa.table({"close": pa.array([0.0] * _ROWS)}), 30, use_dictionary=False, compression="zstd")


def _wide() -> bytes:
    return _parquet(pa.table({f"c{number}": [1] for number in range(20_000)}))


def _lying_footer() -> bytes:
    """A footer that counts fewer rows than the pages hold."""
    body = _parquet(pa.table({"close": _same("1", 2_000_000)}), compression="none")
    start = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    footer = body[start:].replace(_number(2_000_000), _number(1_100_000))
    return body[:start] + footer


def _lying_page() -> bytes:
    """A page whose header says a hundred megabytes more than it has."""
    zeros = pa.table({"date": _same("2016-02-29"), "code": _same("1301"), "close": pa.array([0.0] * _ROWS)})
    body = _parquet(zeros, use_dictionary=["date", "code"], compression="zstd")
    column = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(2)
    start = column.data_page_offset
    header, _ = read_struct(body, start)
    return body[:start] + body[start:].replace(_number(header[2]), _number(100_000_000), 1)


def _number(value: int) -> bytes:
    """Return a number as Thrift's compact protocol writes it."""
    value, written = 2 * value, bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes(written) + bytes([value])


def _aliases() -> bytes:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines).encode()


_DELIVERED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a CSV of 10 GB, which is one line": (
        "prices.csv",
        lambda: _sparse(10_000_000_000),
        "has 10 GB, and more than 0.2 GB",
    ),
    "10 GB of zeros in gzip": ("prices.csv.gz", _gigabytes_of_zeros, "unpacks to 0.2 GB, and more than 0.2 GB"),
    "runs of one value": ("prices.parquet", _runs, "unpacks to 0.96 GB"),
    "a long text in a dictionary": ("prices.parquet", _long_text, "unpacks to"),
    "texts that begin like each other": ("prices.parquet", _beginnings, "unpacks to"),
    "pages of zeros": ("prices.parquet", _zeros, "unpacks to"),
    "twenty thousand columns": ("prices.parquet", _wide, "has 20000 columns, and more than 10000 are not read"),
    "a footer that lies": ("prices.parquet", _lying_footer, "the row groups have 2000000 rows, the file 1100000"),
    "a page that lies": ("prices.parquet", _lying_page, "cannot be read"),
}
_WRITTEN: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "aliases of aliases": ("config/mine.yaml", _aliases, "stands for, more than 100000 keys and values"),
    "lists in lists in YAML": ("config/mine.yaml", lambda: b"[" * 900_000, "nested more than 50 deep"),
    "a configuration of 100 MB": ("config/mine.yaml", lambda: b"a: 1\n" * 20_000_000, "has more than 1 MB"),
    "lists in lists in JSON": ("expectations/a.json", lambda: b"[" * 900_000, "nested more than 50 deep"),
    "keys in keys in JSON": (
        "expectations/a.json",
        lambda: b'{"a":' * 60 + b"{" + b"}" * 61,
        "nested more than 50 deep",
    ),
    "a suite of 100 MB": ("expectations/a.json", lambda: b"[" + b"1," * 50_000_000 + b"1]", "has more than 1 MB"),
    "a number of 900,000 digits": ("expectations/a.json", lambda: b"9" * 900_000, "is not JSON"),
}
NAMES = ("a good configuration and delivery", *_DELIVERED, *_WRITTEN)


@contextmanager
def cases() -> Iterator[Case]:
    """Read one after the other."""
    for folder in ("delivery", "config", "expectations"):
        Path(folder).mkdir()
    left = iter(NAMES)

    def case(_: Random) -> str:
        name = next(left)
        if name in _DELIVERED:
            return _refused(*_DELIVERED[name], _fetch)
        if name in _WRITTEN:
            return _refused(*_WRITTEN[name], _load)
        Path("delivery/prices.csv").write_bytes((CORPUS / "prices.csv").read_bytes())
        Path("config/mine.yaml").write_bytes((CORPUS / "default.yaml").read_bytes())
        _load()
        _fetch()
        return "read"

    yield case


def _refused(place: str, make: Callable[[], bytes], expected: str, read: Callable[[], None]) -> str:
    path = Path(place) if "/" in place else Path("delivery") / place
    for other in path.parent.iterdir() if read is _fetch else ():
        other.unlink()
    before = path.read_bytes() if path.exists() else None
    if body := make():
        path.write_bytes(body)
    try:
        read()
    except DeepfactorError as error:
        assert isinstance(error, SourceError if read is _fetch else ConfigurationError)
        assert path.name in str(error), f"the message names no file: {error}"
        assert expected in str(error), f"another message: {str(error)[:300]}"
        return "refused"
    finally:
        path.unlink()
        if before is not None and read is _load:
            path.write_bytes(before)
    raise AssertionError("it was read")


def _fetch() -> None:
    mapping = DatasetMapping(files="prices*", columns={"month": "date", "security_id": "code", "close": "close"})
    FilesSource(FolderDelivery(Path("delivery"), LARGEST), {"prices": mapping}, LARGEST).fetch("prices", FIRST, LAST)


def _load() -> None:
    json.dumps(load_config(Path("config/mine.yaml")).digest())
