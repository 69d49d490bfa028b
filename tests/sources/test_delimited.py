"""Delimited text: every way in which a file is not what it says, each with a message that names the place."""

from __future__ import annotations

import gzip

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.sources.delimited import NUMBERED, DelimitedText, unpacked

KEY = "source.datasets.prices"
LARGEST = 1_000_000


def _read(body: bytes, encoding: str = "utf-8", separator: str = ",") -> pl.DataFrame:
    mapping = DatasetMapping("a.csv", {}, encoding=encoding, separator=separator)
    return DelimitedText("a.csv", body, mapping, KEY, LARGEST).scan().collect()


class TestContent:
    @pytest.mark.parametrize(
        "body",
        [
            b"code,close\n1301,5\n,\n",
            b"code,close\r\n1301,5\r\n,",
            b"\xef\xbb\xbfcode,close\n1301,5\n,\n",
            b'\xef\xbb\xbf"code","close"\n"1301","5"\n"",""\n',
            b" code , close\n1301,5\n,\n",
            b"\n\ncode,close\n\n1301,5\n   \n,\n\n\n",
        ],
    )
    def test_ends_of_lines_marks_blanks_and_quotes_make_no_difference(self, body: bytes) -> None:
        found = _read(body)
        assert found.columns == ["code", "close"]
        assert found.with_columns(pl.all().replace("", None)).rows() == [("1301", "5"), (None, None)]

    def test_quoted_fields_hold_separators_and_lines(self) -> None:
        body = b'name,close\n"a, ""b""\nc",5\n d"e ,6\n'
        assert _read(body).rows() == [('a, "b"\nc', "5"), (' d"e ', "6")]

    def test_a_header_alone_is_a_table_without_rows(self) -> None:
        assert _read(b"code,close").shape == (0, 2)

    def test_names_that_do_not_tell_a_column_are_out_of_reach(self) -> None:
        found = _read(b"code,close,close ,,\n1,2,3,4,5\n")
        assert found.columns == [
            "code",
            *(f"{name}{NUMBERED}{n}" for n, name in [(2, "close"), (3, "close"), (4, ""), (5, "")]),
        ]

    def test_gzip_of_several_members(self) -> None:
        body = gzip.compress(b"code,close\n1301,5\n") + gzip.compress(b"1302,6\n")
        assert _read(unpacked("a.csv.gz", body, LARGEST)).height == 2

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.lists(st.text(max_size=4), min_size=3, max_size=3), max_size=5), st.sampled_from([",", ";", "\t"])
    )
    def test_what_polars_writes_is_read_back(self, rows: list[list[str]], separator: str) -> None:
        frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.String), orient="row")
        body = frame.write_csv(separator=separator, quote_style="always").encode()
        found = _read(body, separator=separator)
        assert found.fill_null("").equals(frame)


class TestDamage:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"", "a.csv is empty, it has not even a header: deliver the file again"),
            (b"\r\n \n", "a.csv is empty"),
            (b"a,b\n1,2\n3\n", r"a.csv, row 2: 1 fields, but the header has 2 \(a, b\): correct the row or source"),
            (b"a,b\n\n1,2,3\n", "a.csv, row 1: 3 fields, but the header has 2"),
            (b'a,b\n1,"2\n3,4\n', "a.csv is not delimited text: unexpected end of data; correct its quotes"),
            (b'a,b\n1,"2"3\n', "a.csv is not delimited text: ',' expected after '\"'"),
            (b"a,b\r1,2\r", r"a.csv is not delimited text: new-line .*correct its quotes and line ends \(LF or CRLF\)"),
        ],
    )
    def test_the_message_names_file_and_row(self, body: bytes, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            _read(body)

    @pytest.mark.parametrize(
        ("body", "encoding", "expected"),
        [
            ("code,名前\n1301,極洋\n".encode("cp932"), "utf-8", r"a.csv, the header: .* is not utf-8: set source.data"),
            (
                "code,name,x\n1301,a,1\n1302,極洋,1\n".encode("cp932"),
                "utf-8",
                r"a.csv, row 2, column name: b'\\x8b\\xc9\\x97m' is not utf-8: set source.datasets.prices.encoding to",
            ),
            (b"code,name\n\n1301,a\x81\xff\n", "cp932", r"a.csv, row 1, column name: b'\\x81\\xff' is not cp932"),
            (b'code,name\n"13\n01",a\n1302,\xff\n', "ascii", r"a.csv, row 2, column name: b'\\xff' is not ascii"),
            (b"code,name\n1301,a\n\xff2,b\n", "utf-8", r"a.csv, row 2, column code: b'\\xff2' is not utf-8"),
            (b"code,name\n", "utf-16", "a.csv, the header: .* is not utf-16"),
        ],
    )
    def test_another_encoding(self, body: bytes, encoding: str, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            _read(body, encoding=encoding)

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (gzip.compress(b"a,b\n" + b"1,2\n" * 99)[:-9], "a.csv.gz is not a whole gzip file: Compressed file ended"),
            (gzip.compress(b"a,b\n1,2\n")[:-8] + bytes(8), "a.csv.gz is not a whole gzip file: CRC check failed"),
            (b"a,b\n1,2\n", "a.csv.gz is not a whole gzip file: Not a gzipped file .*deliver the file again"),
        ],
        ids=("cut off", "damaged", "not packed"),
    )
    def test_damaged_gzip(self, body: bytes, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            unpacked("a.csv.gz", body, LARGEST)


class TestBounds:
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"a\n" + b"1" * 2_000_000, r"a.csv is not delimited text: a row has more than 1000000 characters"),
            (b"1," * 1_000_000, r"a.csv is not delimited text: a row has more than 1000000 characters"),
            (b"a\n" + b'"1\n",' * 300_000, r"a.csv is not delimited text: a row has more than 1000000 characters"),
            (b"a\n" + b"1" * 200_000, r"a.csv is not delimited text: field larger than field limit \(131072\)"),
            (b",".join([b"a"] * 10_001), "a.csv has 10001 columns, and more than 10000 are not read"),
            (
                b"a,b,c\n" + b",,\n" * 50_000,
                r"a.csv unpacks to 0.001 GB, and more than 0.001 GB are not read into memory: deliver it in smaller "
                r"files, such as one a year, or raise source.maximum_gigabytes",
            ),
        ],
        ids=("one line", "one row", "quoted lines", "one field", "columns", "fields"),
    )
    def test_what_would_fill_the_memory(self, body: bytes, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            _read(body)

    def test_a_bomb_is_not_unpacked(self) -> None:
        body = gzip.compress(bytes(LARGEST + 1))
        assert len(body) < 2_000
        assert len(unpacked("a.csv.gz", body, LARGEST + 1)) == LARGEST + 1
        with pytest.raises(SourceError, match=r"^a.csv.gz unpacks to 0.00\d+ GB, and more than 0.001 GB are not read"):
            unpacked("a.csv.gz", body, LARGEST)
