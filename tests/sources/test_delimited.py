"""Delimited text: every way in which a file is not what it says, each with a message that names the place."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.sources.delimited import NUMBERED, DelimitedText
from deepfactor.sources.delivery import DeliveredFile

KEY = "source.datasets.prices"


def _read(
    folder: Path, body: bytes, name: str = "a.csv", encoding: str = "utf-8", separator: str = ","
) -> pl.DataFrame:
    path = folder / name
    path.write_bytes(body)
    mapping = DatasetMapping(name, {}, encoding=encoding, separator=separator)
    return DelimitedText(DeliveredFile(str(path), path), mapping, KEY).scan().collect()


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
    def test_ends_of_lines_marks_blanks_and_quotes_make_no_difference(self, tmp_path: Path, body: bytes) -> None:
        found = _read(tmp_path, body)
        assert found.columns == ["code", "close"]
        assert found.with_columns(pl.all().replace("", None)).rows() == [("1301", "5"), (None, None)]

    def test_quoted_fields_hold_separators_and_lines(self, tmp_path: Path) -> None:
        body = b'name,close\n"a, ""b""\nc",5\n d"e ,6\n'
        assert _read(tmp_path, body).rows() == [('a, "b"\nc', "5"), (' d"e ', "6")]

    def test_a_header_alone_is_a_table_without_rows(self, tmp_path: Path) -> None:
        assert _read(tmp_path, b"code,close").shape == (0, 2)

    def test_names_that_do_not_tell_a_column_are_out_of_reach(self, tmp_path: Path) -> None:
        found = _read(tmp_path, b"code,close,close ,,\n1,2,3,4,5\n")
        assert found.columns == [
            "code",
            *(f"{name}{NUMBERED}{n}" for n, name in [(2, "close"), (3, "close"), (4, ""), (5, "")]),
        ]

    def test_gzip_of_several_members(self, tmp_path: Path) -> None:
        body = gzip.compress(b"code,close\n1301,5\n") + gzip.compress(b"1302,6\n")
        assert _read(tmp_path, body, "a.csv.gz").height == 2

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.lists(st.text(max_size=4), min_size=3, max_size=3), max_size=5), st.sampled_from([",", ";", "\t"])
    )
    def test_what_polars_writes_is_read_back(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str
    ) -> None:
        frame = pl.DataFrame(rows, schema=dict.fromkeys("abc", pl.String), orient="row")
        body = frame.write_csv(separator=separator, quote_style="always").encode()
        found = _read(tmp_path_factory.mktemp("written"), body, separator=separator)
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
    def test_the_message_names_file_and_row(self, tmp_path: Path, body: bytes, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            _read(tmp_path, body)

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
    def test_another_encoding(self, tmp_path: Path, body: bytes, encoding: str, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            _read(tmp_path, body, encoding=encoding)

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (gzip.compress(b"a,b\n" + b"1,2\n" * 99)[:-9], "a.csv.gz is not a whole gzip file: Compressed file ended"),
            (gzip.compress(b"a,b\n1,2\n")[:-8] + bytes(8), "a.csv.gz is not a whole gzip file: CRC check failed"),
            (b"a,b\n1,2\n", "a.csv.gz is not a whole gzip file: Not a gzipped file .*deliver the file again"),
            (b"", "a.csv.gz is empty"),
        ],
        ids=("cut off", "damaged", "not packed", "empty"),
    )
    def test_damaged_gzip(self, tmp_path: Path, body: bytes, expected: str) -> None:
        with pytest.raises(SourceError, match=expected):
            _read(tmp_path, body, "a.csv.gz")
