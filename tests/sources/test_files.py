"""The files source: mapping, types, and every way in which a delivery is not what it should be."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.config import DatasetMapping, SourceConfig
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.months import Month
from deepfactor.schemas import RAW
from deepfactor.sources import FilesSource, open_source
from deepfactor.sources.files import _spans

JANUARY, FEBRUARY = Month.parse("2016-01"), Month.parse("2016-02")
MAPPING = {
    "month": "date",
    "security_id": "code",
    "close": "close",
    "volume": "thousands * 1000",
    "market_value": "coalesce(cap, close * shares)",
}
HEADER = "date,code,close,thousands,cap,shares\n"
GOOD = HEADER + "2016-01-29,0050,1.5,3,,100\n2016-02-29,0050,2.5,,7,\n"


def _source(folder: Path, files: str = "prices/*.csv", **columns: str) -> FilesSource:
    mapping = DatasetMapping(files=files, columns=MAPPING | columns)
    return FilesSource.from_config(SourceConfig(datasets={"prices": mapping}, folder=str(folder)))


def _deliver(folder: Path, content: str, name: str = "prices/2016.csv") -> FilesSource:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return _source(folder)


def _fetch(source: FilesSource) -> pl.DataFrame:
    return source.fetch("prices", JANUARY, FEBRUARY)


class TestRegression:
    def test_csv_becomes_the_raw_table(self, tmp_path: Path) -> None:
        rows = _fetch(_deliver(tmp_path, GOOD))
        assert dict(rows.schema) == {name: kind() for name, kind in RAW["prices"].columns.items()}
        assert rows.select("month", "security_id", "close", "volume", "market_value").rows() == [
            (date(2016, 1, 1), "0050", 1.5, 3000.0, 150.0),
            (date(2016, 2, 1), "0050", 2.5, None, 7.0),
        ]
        assert rows["total_return_price"].null_count() == 2

    @pytest.mark.parametrize("written", ["2016-02", "2016-02-01", "2016-02-29", " 2016-02-11 "])
    def test_any_day_means_its_month(self, tmp_path: Path, written: str) -> None:
        rows = _deliver(tmp_path, GOOD.replace("2016-02-29", written)).fetch("prices", FEBRUARY, FEBRUARY)
        assert rows["month"].to_list() == [date(2016, 2, 1)]

    @pytest.mark.parametrize("day", [date(2016, 2, 29), datetime(2016, 2, 29, 15), "2016-02"])  # noqa: DTZ001
    def test_parquet_types_of_a_month(self, tmp_path: Path, day: Any) -> None:
        frame = pl.DataFrame(
            {"date": [day], "code": [1301], "close": [2], "thousands": [1.0], "cap": [1.0], "shares": 1}
        )
        frame.write_parquet(tmp_path / "a.parquet")
        rows = _source(tmp_path, "*.parquet").fetch("prices", FEBRUARY, FEBRUARY)
        assert rows.row(0)[:3] == (date(2016, 2, 1), "1301", 2.0)

    def test_not_a_number_in_parquet_is_missing(self, tmp_path: Path) -> None:
        frame = pl.DataFrame(
            {"date": ["2016-02"], "code": ["1301"], "close": [float("nan")], "thousands": 1, "cap": 1.0, "shares": 1}
        )
        frame.write_parquet(tmp_path / "a.parquet")
        assert _source(tmp_path, "*.parquet").fetch("prices", FEBRUARY, FEBRUARY)["close"].to_list() == [None]

    def test_repeated_rows_are_kept_for_validation_to_see(self, tmp_path: Path) -> None:
        assert _fetch(_deliver(tmp_path, GOOD + "2016-02-29,0050,2.5,,7,\n")).height == 3

    def test_accounts_are_selected_by_the_day_they_became_known(self, tmp_path: Path) -> None:
        (tmp_path / "f.csv").write_text("code,closed,known\n1301,2015-12-31,2016-02-14\n1302,2016-02-14,2016-03-31\n")
        columns = {"security_id": "code", "period_end": "closed", "available_from": "known"}
        config = SourceConfig(datasets={"fundamentals": DatasetMapping("f.csv", columns)}, folder=str(tmp_path))
        rows = open_source(config).fetch("fundamentals", JANUARY, FEBRUARY)
        assert rows["security_id"].to_list() == ["1301"]
        assert rows["period_end"].to_list() == [date(2015, 12, 31)]


class TestProperties:
    def test_ready_once_a_price_is_there(self, tmp_path: Path) -> None:
        assert not _source(tmp_path).ready(FEBRUARY)
        source = _deliver(tmp_path, GOOD)
        assert [source.ready(FEBRUARY + n) for n in (-2, -1, 0, 1)] == [False, True, True, False]

    def test_ready_only_when_nothing_of_the_month_is_still_to_come(self, tmp_path: Path) -> None:
        source = _deliver(tmp_path, GOOD)
        columns = {"month": "date", "market_return": "index", "risk_free_rate": "bill"}
        mappings = {**source.mappings, "market": DatasetMapping("market.csv", columns)}
        source = FilesSource(source.delivery, mappings)
        assert not source.ready(FEBRUARY)
        market = tmp_path / "market.csv"
        market.write_text("date,index,bill\n2016-01-29,0.01,0.001\n")
        assert [source.ready(JANUARY), source.ready(FEBRUARY)] == [True, False]
        market.write_text(market.read_text() + "2016-02-29,0.02,0.001\n")
        assert source.ready(FEBRUARY)

    def test_months_fetched_apart_are_the_months_fetched_together(self, tmp_path: Path) -> None:
        source = _deliver(tmp_path, GOOD)
        apart = pl.concat([source.fetch("prices", month, month) for month in (JANUARY, FEBRUARY)])
        assert apart.equals(_fetch(source))

    def test_a_text_in_another_month_does_not_matter(self, tmp_path: Path) -> None:
        source = _deliver(tmp_path, GOOD + "2016-03-31,0050,text,,7,\n")
        assert _fetch(source).height == 2

    @given(st.sets(st.integers(0, 60), min_size=1))
    def test_spans_name_every_month_once(self, offsets: set[int]) -> None:
        named = set()
        for span in _spans({JANUARY + offset for offset in offsets}).split(", "):
            first, _, last = span.partition(" … ")
            start, end = Month.parse(first), Month.parse(last or first)
            named |= {start + n - JANUARY for n in range(end - start + 1)}
        assert named == offsets


class TestBadDeliveries:
    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ("2016-02-29,0050,many,,7,", "2016.csv, row 3, column close: 'many' stands where a finite number belongs"),
            ("2016-02-29,0050,1,000.5,7,", None),
            ("2016-02-29,0050,1,,NaN,", "2016.csv, row 3, column cap: 'NaN' stands where a finite number belongs"),
            ("2016-02-29,0050,1,,inf,", "row 3, column cap: 'inf' stands where"),
            (
                "2016-02-30,0050,1,,7,",
                r"row 3, column date: '2016-02-30' stands where a date \(YYYY-MM-DD or YYYY-MM\)",
            ),
            (",0050,1,,7,", r"row 3: there is no month \(date\), so the row belongs to no month"),
        ],
    )
    def test_value_that_cannot_be_read(self, tmp_path: Path, row: str, expected: str | None) -> None:
        source = _deliver(tmp_path, GOOD + row + "\n")
        if expected is None:
            assert _fetch(source).height == 3
        else:
            with pytest.raises(SourceError, match=expected):
                _fetch(source)

    def test_infinity_from_an_expression(self, tmp_path: Path) -> None:
        _deliver(tmp_path, GOOD)
        expected = r"row 1: close \(close / 0\) is inf where a finite number belongs; correct the values or the mapping"
        with pytest.raises(SourceError, match=expected):
            _fetch(_source(tmp_path, close="close / 0"))

    def test_infinity_in_parquet(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"date": ["2016-02"] * 2, "code": ["1", "2"], "close": [1.0, float("inf")]})
        frame.with_columns(thousands=1, cap=1.0, shares=1).write_parquet(tmp_path / "a.parquet")
        with pytest.raises(SourceError, match=r"a.parquet, row 2, column close: inf stands where a finite number"):
            _source(tmp_path, "*.parquet").fetch("prices", FEBRUARY, FEBRUARY)

    def test_missing_column_names_the_key_the_expression_the_file_and_the_columns(self, tmp_path: Path) -> None:
        source = _deliver(tmp_path, GOOD.replace("thousands", "volume"))
        expected = (
            r"2016.csv: source.datasets.prices.columns.volume \(thousands \* 1000\): there is no column thousands; "
            r"the columns are date, code, close, volume, cap, shares: deliver it, or correct the mapping"
        )
        with pytest.raises(SourceError, match=expected):
            _fetch(source)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"no file matches prices/\*.csv in .*: deliver the prices"):
            _fetch(_source(tmp_path))

    def test_missing_month_file(self, tmp_path: Path) -> None:
        _deliver(tmp_path, HEADER + "2015-12-30,0050,1.5,3,,\n", "prices/2015-12.csv")
        source = _deliver(tmp_path, HEADER + "2016-02-29,0050,1.5,3,,\n", "prices/2016-02.csv")
        with pytest.raises(SourceError, match=r"has no prices for 2016-01; it has 2015-12, 2016-02: deliver"):
            source.fetch("prices", JANUARY + -6, FEBRUARY)

    def test_month_that_has_not_happened(self, tmp_path: Path) -> None:
        expected = r"has no prices for 2016-03; it has 2016-01 … 2016-02: .* or ask for a month that is there"
        with pytest.raises(SourceError, match=expected):
            _deliver(tmp_path, GOOD).fetch("prices", JANUARY, FEBRUARY + 1)

    def test_history_may_begin_later_than_the_window(self, tmp_path: Path) -> None:
        assert _deliver(tmp_path, GOOD).fetch("prices", JANUARY + -60, FEBRUARY).height == 2

    @pytest.mark.parametrize("content", ["", "\0\0\0\0PAR1"])
    def test_damaged_file(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "a.parquet"
        path.write_text(content)
        with pytest.raises(SourceError, match=r"a.parquet cannot be read: .*; deliver the file again"):
            _fetch(_source(tmp_path, "*.parquet"))

    def test_other_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "a.xlsx").write_text(GOOD)
        with pytest.raises(SourceError, match=r"suffix must be .parquet or .csv, .tsv or .txt"):
            _fetch(_source(tmp_path, "*.xlsx"))

    @pytest.mark.parametrize(
        ("column", "values", "expected"),
        [
            ("code", [1301.0], "the column code holds Float64 where a security code belongs"),
            ("date", [201602], "the column date holds Int64 where a date"),
            ("close", [True], "the column close holds Boolean where a finite number belongs"),
        ],
    )
    def test_column_of_another_type(self, tmp_path: Path, column: str, values: list[Any], expected: str) -> None:
        content = {"date": ["2016-02"], "code": ["1301"], "close": [1.0], "thousands": [1], "cap": [1], "shares": [1]}
        pl.DataFrame(content | {column: values}).write_parquet(tmp_path / "a.parquet")
        with pytest.raises(SourceError, match=expected):
            _source(tmp_path, "*.parquet").fetch("prices", FEBRUARY, FEBRUARY)

    def test_link_out_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "delivery").mkdir()
        (tmp_path / "elsewhere.csv").write_text(GOOD)
        (tmp_path / "delivery" / "2016.csv").symlink_to(tmp_path / "elsewhere.csv")
        with pytest.raises(SourceError, match="leads out of the source's folder"):
            _fetch(_source(tmp_path / "delivery", "*.csv"))


class TestBadMappings:
    @pytest.mark.parametrize("files", ["../*.csv", "a/../../b.csv", "/etc/*.csv"])
    def test_files_outside_the_folder(self, tmp_path: Path, files: str) -> None:
        with pytest.raises(ConfigurationError, match="must lie inside the source's folder"):
            _source(tmp_path, files)

    @pytest.mark.parametrize("files", ["", ".", "a**.csv", "**/a/**/*.csv", "a\0b", "x" * 501])
    def test_what_is_no_glob(self, tmp_path: Path, files: str) -> None:
        with pytest.raises(ConfigurationError, match=r"prices.files: .* is no file or glob of at most 500 characters"):
            _source(tmp_path, files)

    def test_a_file_whose_name_no_file_system_takes(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"cannot be listed \(File name too long\)"):
            _source(tmp_path, "x" * 400 + ".csv").fetch("prices", JANUARY, FEBRUARY)

    def test_an_expression_without_an_end(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"columns.close: an expression has at most 1000 characters, not"):
            _source(tmp_path, close="1+" * 2_000 + "1")

    def test_unknown_column(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"prices.columns: unknown \['volum'\], missing none"):
            _source(tmp_path, volum="close")

    def test_expression_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"columns.close: 'close \+' is not an SQL expression"):
            _source(tmp_path, close="close +")

    def test_unknown_table(self, tmp_path: Path) -> None:
        config = SourceConfig(datasets={"quotes": DatasetMapping("a.csv", {})}, folder=str(tmp_path))
        with pytest.raises(ConfigurationError, match="there is no such table; the tables are prices"):
            open_source(config)

    def test_no_folder(self) -> None:
        with pytest.raises(ConfigurationError, match="pass --source"):
            open_source(SourceConfig(datasets={}))

    def test_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="absent does not exist"):
            open_source(SourceConfig(datasets={}, folder=str(tmp_path / "absent")))

    def test_table_that_is_not_mapped(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"the source maps no market, only prices: add source.datasets.market"):
            _source(tmp_path).fetch("market", JANUARY, FEBRUARY)
