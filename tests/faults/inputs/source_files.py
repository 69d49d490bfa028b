"""Files of a vendor: damaged bytes of good ones, and good ones with values, rows and types that do not belong."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from deepfactor.config import CodeForm, DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.months import Month
from deepfactor.schemas import PRICES
from deepfactor.sources import FilesSource
from deepfactor.sources.delivery import FolderDelivery
from tests.faults.inputs.fuzzing import Case, corpus
from tests.faults.inputs.mutation import TOKENS, WORDS, mutated

LARGEST = 20_000_000
FIRST, LAST = Month.parse("2016-01"), Month.parse("2016-03")
_COLUMNS = {
    "month": "date",
    "security_id": "code",
    "close": "close",
    "total_return_price": "adjusted",
    "volume": "volume",
    "market_value": "coalesce(cap, close * volume)",
}
_WRITTEN: dict[str, dict[str, Any]] = {
    "prices-cp932.csv": {"encoding": "cp932", "code": CodeForm("^([0-9A-Z]{4})0?$", 4)},
    "prices-utf16.txt": {"encoding": "utf-16"},
    "prices.tsv": {"separator": "\t"},
    "prices-continental.csv": {
        "separator": ";",
        "decimal": ",",
        "thousands": ".",
        "date_format": "%d.%m.%Y",
        "missing": ("-",),
    },
}
_ENCODINGS = ("utf-8", "cp932", "utf-16", "latin-1", "utf-7", "utf-32", "iso2022_jp", "punycode", "unicode_escape")


@contextmanager
def cases() -> Iterator[Case]:
    """Write a file, and read it as a delivery."""
    seeds = {path.name: path.read_bytes() for path in corpus("prices*", "found-prices*")}
    folder = Path("delivery")
    folder.mkdir()

    def case(random: Random) -> str:
        name = random.choice(list(seeds))
        mapping = DatasetMapping(files="prices*", columns=_COLUMNS, **_WRITTEN.get(name, {}))
        if random.random() < 0.1:
            mapping = replace(mapping, encoding=random.choice(_ENCODINGS), separator=random.choice(",;\t|"))
        body = _damaged(random, name, seeds, mapping)
        path = folder / name
        path.write_bytes(body)
        try:
            return _read(FilesSource(FolderDelivery(folder, LARGEST), {"prices": mapping}, LARGEST), name)
        finally:
            path.unlink()
            assert not list(folder.iterdir()), "something was written into the delivery"

    yield case


def _damaged(random: Random, name: str, seeds: dict[str, bytes], mapping: DatasetMapping) -> bytes:
    kind = random.random()
    if kind < 0.5:
        return mutated(random, seeds[name], list(seeds.values()))
    if name.endswith(".parquet"):
        return _strange_types(random, seeds[name])
    text = gzip.decompress(seeds[name]) if name.endswith(".gz") else seeds[name]
    try:
        body = _strange_rows(random, text.decode(mapping.encoding), mapping)
    except UnicodeError:
        body = mutated(random, text, list(seeds.values()))
    return gzip.compress(body, 1) if name.endswith(".gz") else body


def _read(source: FilesSource, name: str) -> str:
    try:
        source.ready(FIRST)
        found = source.fetch("prices", FIRST, LAST)
    except SourceError as error:
        assert name in str(error) or "delivery" in str(error), f"the message names no file: {error}"
        assert len(str(error)) < 20_000, "the message is a book"
        return "refused"
    assert dict(found.schema) == dict(PRICES.columns), f"another table: {found.schema}"
    numbers = [value for each in found.get_columns() if each.dtype == pl.Float64 for value in each.drop_nulls()]
    assert all(math.isfinite(value) for value in numbers), "a number that is none"
    assert all(FIRST.first_day <= day <= LAST.first_day for day in found["month"]), "a month that was not asked for"
    return "read"


def _strange_rows(random: Random, text: str, mapping: DatasetMapping) -> bytes:
    """Return delimited text with fields, rows, quotes and line ends that do not belong."""
    rows = list(csv.reader(text.lstrip("\ufeff").splitlines(), delimiter=mapping.separator))
    for _ in range(random.randint(1, 3)):
        row = random.choice(rows)
        place = random.randrange(len(row)) if row else 0
        match random.randrange(8):
            case 0 | 1 | 2 if row:
                row[place] = random.choice(WORDS)
            case 3:
                row.insert(place, random.choice(WORDS))
            case 4 if row:
                del row[place]
            case 5:
                rows.append(list(random.choice(rows)))
            case 6 if row:
                row[place] = random.choice(("x", "é", "9", '"', "\n")) * random.choice((1_000, 140_000, 1_100_000))
            case _:
                row *= random.choice((0, 2, 400))
    target = io.StringIO()
    quoting = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    csv.writer(target, delimiter=mapping.separator, quoting=quoting, lineterminator="\n").writerows(rows)
    written = "".join(
        line.removesuffix("\n") + random.choice(("\n", "\n", "\n", "\r\n", "\n\n", "\r"))
        for line in target.getvalue().splitlines(keepends=True)
    )
    body = written.encode(mapping.encoding, errors="replace")
    return body.replace(b"a", random.choice(TOKENS), 1) if random.random() < 0.1 else body


def _strange_types(random: Random, body: bytes) -> bytes:
    """Return a Parquet file in which a few columns have another type, other values, or the same name."""
    table = pq.read_table(io.BytesIO(body))
    for _ in range(random.randint(1, 3)):
        place = random.randrange(table.num_columns)
        table = table.set_column(place, table.column_names[place], _strange_column(random, table.num_rows))
    if random.random() < 0.1:
        table = table.append_column(random.choice(table.column_names), _strange_column(random, table.num_rows))
    target = io.BytesIO()
    try:
        pq.write_table(
            table,
            target,
            compression=random.choice(("none", "snappy", "gzip", "zstd", "brotli", "lz4")),
            use_dictionary=random.random() < 0.5,
            row_group_size=random.choice((1, 5, 100)),
            data_page_version=random.choice(("1.0", "2.0")),
            version=random.choice(("1.0", "2.4", "2.6")),
            use_deprecated_int96_timestamps=random.random() < 0.2,
        )
    except pa.ArrowException:
        return mutated(random, body, [body])
    return target.getvalue()


def _strange_column(random: Random, rows: int) -> pa.Array:
    days = (date.min, date.max, date(2016, 2, 29), date(1, 1, 1) + timedelta(days=random.randrange(3_000_000)))
    types: tuple[tuple[pa.DataType, tuple[Any, ...]], ...] = (
        (pa.float64(), (0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, 5e-324)),
        (pa.float32(), (0.0, math.nan, math.inf, 3e38)),
        (pa.float16(), (0.0, 1.0)),
        (pa.int64(), (0, -1, 2**63 - 1, -(2**63))),
        (pa.uint64(), (0, 2**64 - 1)),
        (pa.int8(), (0, -128)),
        (pa.bool_(), (True, False)),
        (pa.string(), WORDS),
        (pa.large_string(), WORDS),
        (pa.string_view(), WORDS),
        (pa.dictionary(pa.int32(), pa.string()), WORDS),
        (pa.binary(), (b"", b"\xff\x00", b"1301")),
        (pa.binary(4), (b"1301", b"\xff" * 4)),
        (pa.date32(), days),
        (pa.date64(), days),
        (pa.timestamp("s"), (-(2**62), 2**62, 0)),
        (pa.timestamp("ms"), (datetime(1, 1, 1), datetime(9999, 12, 31), datetime(2016, 2, 29))),  # noqa: DTZ001
        (pa.timestamp("ns", "Asia/Tokyo"), (0, 2**62, -(2**62))),
        (pa.time64("us"), (0, 86_399_999_999)),
        (pa.duration("us"), (0, 2**62)),
        (pa.decimal128(38, 10), (Decimal("1.5"), Decimal("9" * 28))),
        (pa.decimal256(60, 2), (Decimal(0),)),
        (pa.list_(pa.float64()), ([], [1.0, 2.0])),
        (pa.struct([("x", pa.int32())]), ({"x": 1},)),
        (pa.map_(pa.string(), pa.int32()), ([("a", 1)],)),
        (pa.null(), (None,)),
    )
    kind, values = random.choice(types)
    return pa.array([random.choice((*values, None)) for _ in range(rows)], kind)
