"""Parquet files that stand for more than there is room for, or whose headers contradict each other."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import SourceError
from deepfactor.sources.parquet import scan_parquet
from deepfactor.sources.thrift import read_struct

LARGEST = 1_000_000
_COLUMNS = st.sampled_from(
    [
        [1.5, None, float("nan")],
        ["1301", None, "x" * 100],
        [[1, 2], None, []],
        [{"a": 1}, {"a": None}, None],
        [b"\x00", b"", None],
        [None, None, None],
    ]
)


def _written(table: pa.Table, **options: Any) -> bytes:
    target = BytesIO()
    pq.write_table(table, target, **options)
    return target.getvalue()


def _repeated(text: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([text]))


class TestProperties:
    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(_COLUMNS, min_size=1, max_size=3),
        st.sampled_from(["none", "snappy", "gzip", "zstd"]),
        st.sampled_from(["1.0", "2.0"]),
        st.booleans(),
        st.integers(1, 4),
    )
    def test_what_is_written_is_read(
        self, columns: list[list[Any]], compression: str, version: str, dictionary: bool, group: int
    ) -> None:
        table = pa.table({f"c{number}": pa.array(each * 3) for number, each in enumerate(columns)})
        options = {"compression": compression, "data_page_version": version, "row_group_size": group}
        body = _written(table, use_dictionary=dictionary, **options)
        assert scan_parquet("a.parquet", body, LARGEST).collect().height == 3 * len(columns[0])

    def test_what_polars_writes(self) -> None:
        frame = pl.DataFrame({"a": range(3_000), "b": [f"{each % 7}" for each in range(3_000)]})
        for options in ({}, {"row_group_size": 100}, {"data_page_size": 100}, {"compression": "uncompressed"}):
            target = BytesIO()
            frame.write_parquet(target, **options)
            assert scan_parquet("a.parquet", target.getvalue(), LARGEST).collect().equals(frame)
            assert scan_parquet("a.parquet", target.getvalue(), LARGEST).head(0).collect().height == 0


class TestBounds:
    @pytest.mark.parametrize(
        ("table", "options"),
        [
            (pa.table({"a": _repeated("x", 100_000)}), {}),
            (pa.table({"a": pa.array([0] * 100_000, pa.int8())}), {"compression": "zstd"}),
            (pa.table({"a": _repeated("x" * 10_000, 1_000)}), {"compression": "zstd"}),
            (pa.table({"a": pa.array(["x" * 10_000] * 1_000)}), {"compression": "zstd", "use_dictionary": False}),
            (
                pa.table({"a": pa.array(["x" * 10_000] * 1_000)}),
                {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}},
            ),
        ],
        ids=("runs", "compressed", "long text of a dictionary", "compressed text", "text that repeats its beginning"),
    )
    def test_more_than_there_is_room_for(self, table: pa.Table, options: dict[str, Any]) -> None:
        body = _written(table, **options)
        assert len(body) < LARGEST / 10
        message = r"^a.parquet unpacks to .* GB, and more than 0.001 GB .* or raise source.maximum_gigabytes"
        with pytest.raises(SourceError, match=message):
            scan_parquet("a.parquet", body, LARGEST)
        assert scan_parquet("a.parquet", body, 100 * LARGEST).collect().height == table.num_rows

    def test_a_long_text_that_stands_once_is_read(self) -> None:
        table = pa.table({"a": pa.array(["x" * 100_000] + ["y"] * 999)})
        assert scan_parquet("a.parquet", _written(table), LARGEST).collect().height == 1_000

    def test_columns(self) -> None:
        body = _written(pa.table({f"c{number}": [1] for number in range(10_001)}))
        with pytest.raises(SourceError, match="^a.parquet has 10001 columns, and more than 10000 are not read"):
            scan_parquet("a.parquet", body, 100 * LARGEST)


class TestDamage:
    BODY = _written(pa.table({"a": [1.5] * 100}), compression="none", use_dictionary=False)

    @pytest.mark.parametrize("body", [b"", b"PAR1", BODY[:-9], BODY[:50], BODY[50:], b"x" * 100])
    def test_no_parquet(self, body: bytes) -> None:
        with pytest.raises(SourceError, match=r"^a.parquet cannot be read: .*; deliver the file again"):
            scan_parquet("a.parquet", body, LARGEST)

    def test_a_page_that_says_something_else(self) -> None:
        # 100 values in the page's header, as the protocol writes the number.
        assert self.BODY.count(b"\xc8\x01") >= 2
        body = self.BODY.replace(b"\xc8\x01", b"\xc6\x01", 1)
        with pytest.raises(SourceError, match="pages of a hold 99 values, not as many as they should"):
            scan_parquet("a.parquet", body, LARGEST)


class TestThrift:
    def test_every_kind_that_stands_in_a_header(self) -> None:
        first = b"\x15\x02\x16\x03\x11\x12\x13\x07\x17" + bytes(8)
        body = first + b"\x18\x02hi\x1c\x15\x01\x00\x05\xc8\x01\x04\x00rest"
        fields, end = read_struct(body, 0)
        assert fields == {1: 1, 2: -2, 3: True, 4: False, 5: b"\x07", 6: bytes(8), 7: b"hi", 8: {1: -1}, 100: 2}
        assert body[end:] == b"rest"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"\x1c" * 9 + bytes(9), "nested too deeply"),
            (b"\x19\x00\x00", "unknown kind 9"),
            (b"\x15" + b"\x80" * 11 + b"\x00", "without an end"),
        ],
    )
    def test_what_is_none(self, body: bytes, expected: str) -> None:
        with pytest.raises(ValueError, match=expected):
            read_struct(body, 0)
        with pytest.raises(IndexError):
            read_struct(b"\x15", 0)
