"""What a mapping can say about a vendor's files, and what it must not."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.config import CodeForm, DatasetMapping, Delay, SourceConfig
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.months import Month
from deepfactor.sources import FilesSource
from deepfactor.sources.availability import known_from

FIRST, LAST = Month.parse("2015-01"), Month.parse("2016-12")
ACCOUNTS = {"security_id": "code", "period_end": "closed", "available_from": "known", "sales": "sales"}
GOOD = {"code": ["1301"], "closed": ["2015-03-31"], "known": ["2015-05-15"], "sales": ["1.5"], "unit": ["yen"]}


def _mapping(name: str, columns: dict[str, str] | None = None, **options: Any) -> DatasetMapping:
    return DatasetMapping(name, {**ACCOUNTS, **(columns or {})}, **options)


def _read(
    folder: Path, content: dict[str, Any], columns: dict[str, str] | None = None, kind: str = "csv", **options: Any
) -> pl.DataFrame:
    """Deliver accounts that differ from good ones in some columns, and read them."""
    frame = pl.DataFrame(GOOD | content)
    frame.write_csv(folder / "a.csv", quote_style="always")
    frame.write_parquet(folder / "a.parquet")
    return _source(folder, _mapping(f"a.{kind}", columns, **options)).fetch("fundamentals", FIRST, LAST)


def _source(folder: Path, mapping: DatasetMapping) -> FilesSource:
    return FilesSource.from_config(SourceConfig(datasets={"fundamentals": mapping}, folder=str(folder)))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
class TestNotation:
    @pytest.mark.parametrize(
        ("date_format", "written", "meant"),
        [
            (None, "2015-03", date(2015, 3, 31)),
            ("%Y/%m/%d", "2015/3/31", date(2015, 3, 31)),
            ("%d.%m.%Y", "28.02.2015", date(2015, 2, 28)),
            ("%Y%m%d", "20150331", date(2015, 3, 31)),
            ("%Y%m", "201502", date(2015, 2, 28)),
            ("%y-%m-%d", "15-03-31", date(2015, 3, 31)),
            ("%Y-%m-%d %H:%M:%S", "2015-03-31 15:30:00", date(2015, 3, 31)),
        ],
    )
    def test_dates(self, tmp_path: Path, kind: str, date_format: str | None, written: str, meant: date) -> None:
        content = {"closed": [written], "known": [written]}
        found = _read(tmp_path, content, kind=kind, date_format=date_format)
        assert found.select("period_end", "available_from").rows() == [(meant, meant)]

    @pytest.mark.parametrize(
        ("date_format", "written"),
        [
            (None, "2015/03/31"),
            (None, "15-03-31"),
            (None, "20015-03-31"),
            ("%Y/%m/%d", "15/03/31"),
            ("%Y/%m/%d", "2015-03-31"),
            ("%d.%m.%Y", "31.02.2015"),
            ("%Y%m%d", "2015331"),
        ],
    )
    def test_dates_in_another_format(self, tmp_path: Path, kind: str, date_format: str | None, written: str) -> None:
        wanted = date_format or "YYYY-MM-DD or YYYY-MM"
        expected = (
            rf"a.{kind}, row 2, column closed: '{written}' stands where a date \({wanted}\) belongs; "
            "correct the value, leave it empty if it is not known, or set source.datasets.fundamentals.date_format"
        )
        day = date(2015, 5, 15).strftime(date_format or "%Y-%m-%d")
        content = {
            "code": ["1301"] * 2,
            "closed": [day, written],
            "known": [day, day],
            "sales": ["1"] * 2,
            "unit": [""] * 2,
        }
        with pytest.raises(SourceError, match=expected):
            _read(tmp_path, content, kind=kind, date_format=date_format)

    @pytest.mark.parametrize(
        ("decimal", "thousands", "written", "meant"),
        [
            (".", "", "-1e3", -1000.0),
            (".", ",", "1,234,567.5", 1234567.5),
            (".", ",", "1234.5", 1234.5),
            (",", ".", "-1.234,5", -1234.5),
            (",", "", "+,5", 0.5),
            (".", " ", "12 345", 12345.0),
            (".", "'", "1'000.", 1000.0),
            (".", ",", "1,5", None),
            (".", ",", "1,2345", None),
            (".", ",", ",123", None),
            (".", "", "1,234", None),
            (",", "", "1.5", None),
            (",", ".", "1.5", None),
            (",", "", "1,5,0", None),
            (".", "", "1_000", None),
            (".", ",", "1,000e400", None),
            (",", ".", ",", None),
        ],
    )
    def test_numbers(
        self, tmp_path: Path, kind: str, decimal: str, thousands: str, written: str, meant: float | None
    ) -> None:
        if meant is None:
            with pytest.raises(SourceError, match=r"row 1, column sales: .* stands where a finite number belongs"):
                _read(tmp_path, {"sales": [written]}, kind=kind, decimal=decimal, thousands=thousands)
        else:
            found = _read(tmp_path, {"sales": [written]}, kind=kind, decimal=decimal, thousands=thousands)
            assert found["sales"].to_list() == [meant]

    def test_what_stands_for_missing(self, tmp_path: Path, kind: str) -> None:
        content = {"code": ["1", "2", "3"], "sales": ["-", " N/A", "0"], "unit": ["-", "x", None]}
        content |= {name: GOOD[name] * 3 for name in ("closed", "known")}
        columns = {"net_income": "CASE WHEN unit IS NULL THEN 1 ELSE 0 END"}
        found = _read(tmp_path, content, columns, kind, missing=["-", "N/A"], types={"unit": "text"})
        assert found.select("sales", "net_income").rows() == [(None, 1.0), (None, 0.0), (0.0, 1.0)]
        with pytest.raises(
            SourceError, match=r"row 1, column sales: '-' .*name it in source.datasets.fundamentals.mis"
        ):
            _read(tmp_path, content, kind=kind)

    @pytest.mark.parametrize(
        ("form", "written", "meant"),
        [
            (CodeForm("^([0-9A-Z]{4})0?$"), "13010", "1301"),
            (CodeForm("^([0-9A-Z]{4})0?$"), "130A", "130A"),
            (CodeForm("([0-9]{4})( JP| JT)"), "1301 JT", "1301"),
            (CodeForm("[0-9]{4}", zero_pad=4), "50", "0050"),
            (CodeForm(zero_pad=4), "50A", "50A"),
            (CodeForm("([0-9A-Z]{4})0?|X(.)"), "X1", None),
            (CodeForm("^([0-9A-Z]{4})0?$"), "13011", None),
            (CodeForm("^([0-9A-Z]{4})0?$"), "50", None),
            (CodeForm("[0-9]{4}"), "1301x", None),
            (CodeForm("([0-9]*)X"), "X", None),
        ],
    )
    def test_codes(self, tmp_path: Path, kind: str, form: CodeForm, written: str, meant: str | None) -> None:
        if meant is None:
            expected = rf"row 1: security_id \(code\) is '{written}' where a security code that matches .* belongs"
            with pytest.raises(SourceError, match=expected + r".*or correct source.datasets.fundamentals.code"):
                _read(tmp_path, {"code": [written]}, kind=kind, code=form)
        else:
            assert _read(tmp_path, {"code": [written]}, kind=kind, code=form)["security_id"].to_list() == [meant]


class TestParquetTypes:
    def test_integers_are_codes_dates_and_numbers_that_do_not_overflow(self, tmp_path: Path) -> None:
        content = {
            "code": pl.Series([50], dtype=pl.Int16),
            "closed": pl.Series([20150331], dtype=pl.Int32),
            "known": pl.Series([20150515], dtype=pl.UInt32),
            "sales": pl.Series([30_000_000], dtype=pl.Int32),
        }
        columns = {"sales": "sales * 1000000"}
        found = _read(tmp_path, content, columns, "parquet", date_format="%Y%m%d", code=CodeForm(zero_pad=4))
        assert found.select("security_id", "available_from", "sales").row(0) == ("0050", date(2015, 5, 15), 3e13)

    def test_a_number_that_stands_for_missing(self, tmp_path: Path) -> None:
        found = _read(tmp_path, {"sales": [-999.0]}, None, "parquet", missing=["-999", "n/a"])
        assert found["sales"].to_list() == [None]

    def test_codes_that_a_program_made_floats(self, tmp_path: Path) -> None:
        columns, types = {"security_id": "CAST(code AS BIGINT)"}, {"code": "number"}
        found = _read(tmp_path, {"code": [50.0]}, columns, "parquet", types=types, code=CodeForm(zero_pad=4))
        assert found["security_id"].to_list() == ["0050"]

    def test_a_day_that_no_calendar_has(self, tmp_path: Path) -> None:
        far = pl.Series([3_000_000], dtype=pl.Int32).cast(pl.Date)
        with pytest.raises(SourceError, match=r"row 1, column closed: \+10183-09-21 stands where a date"):
            _read(tmp_path, {"closed": far}, None, "parquet")
        assert _source(tmp_path, _mapping("a.parquet"))._months("fundamentals") == {Month.parse("2015-05")}


class TestExpressions:
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_text_in_a_numeric_expression(self, tmp_path: Path, kind: str) -> None:
        content = {"code": ["1", "2", "3"], "sales": ["2", "2", "2"], "unit": ["million", "yen", None]}
        content |= {name: GOOD[name] * 3 for name in ("closed", "known")}
        columns = {"sales": "CASE WHEN unit = 'million' THEN sales * 1000000 ELSE sales END"}
        assert _read(tmp_path, content, columns, kind, types={"unit": "text"})["sales"].to_list() == [2e6, 2.0, 2.0]
        expected = (
            r"columns.sales \(CASE .* END\) cannot be computed: .*unit \(Float64\): .*or say in types beside columns"
        )
        with pytest.raises(SourceError, match=expected):
            _read(tmp_path, content, columns, kind)

    def test_text_that_an_expression_gives_is_read_as_the_vendor_s(self, tmp_path: Path) -> None:
        content = {"closed": ["FY2015/03"], "known": ["2015/05"], "sales": ["(12)"]}
        columns = {
            "period_end": "replace(closed, 'FY', '')",
            "sales": "replace(replace(sales, '(', '-'), ')', '')",
            "security_id": "code || '.T'",
        }
        types, code = {"closed": "text", "sales": "text"}, CodeForm(r"(.*)\.T")
        found = _read(tmp_path, content, columns, types=types, date_format="%Y/%m", code=code)
        assert found.row(0)[:4] == ("1301", date(2015, 3, 31), date(2015, 5, 31), None)
        assert found["sales"].to_list() == [-12.0]

    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ({"sales": "code * 2"}, r"column code serves as a security code elsewhere; .* or say in source.*types"),
            ({"sales": "sales || 'x'"}, None),
            ({"sales": "sales > 1"}, r"columns.sales \(sales > 1\) gives Boolean where a finite number belongs"),
            (
                {"sales": "upper(sales)"},
                r"a.csv: source.datasets.fundamentals.columns.sales \(upper\(sales\)\) cannot be",
            ),
            ({"sales": "sum(sales)"}, r"columns.sales \(sum\(sales\)\) does not go row by row"),
            ({"period_end": "closed + 1"}, r"columns.period_end \(closed \+ 1\)"),
        ],
    )
    def test_expressions_that_cannot_serve(self, tmp_path: Path, columns: dict[str, str], expected: str | None) -> None:
        expected = expected or r"row 1: sales \(sales \|\| 'x'\) is '1.5x' where a finite number belongs"
        with pytest.raises(SourceError, match=expected):
            _read(tmp_path, {}, columns)

    def test_a_column_that_stands_twice(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("code,closed,known,sales,sales\n1301,2015-03-31,2015-05-15,1,2\n")
        expected = (
            r"a.csv: source.datasets.fundamentals.columns.sales \(sales\): the column sales stands there twice; "
            "the columns are code, closed, known, sales, sales: deliver it"
        )
        with pytest.raises(SourceError, match=expected):
            _source(tmp_path, _mapping("a.csv")).fetch("fundamentals", FIRST, LAST)
        unused = DatasetMapping("a.csv", {name: text for name, text in ACCOUNTS.items() if name != "sales"})
        assert _source(tmp_path, unused).fetch("fundamentals", FIRST, LAST).height == 1


class TestDelay:
    @pytest.mark.parametrize(
        ("period_end", "delay", "known"),
        [
            (date(2015, 6, 30), Delay(months=3), date(2015, 9, 30)),
            (date(2015, 11, 30), Delay(months=3), date(2016, 2, 29)),
            (date(2016, 2, 29), Delay(months=3), date(2016, 5, 31)),
            (date(2015, 2, 28), Delay(months=12), date(2016, 2, 29)),
            (date(2015, 12, 20), Delay(months=2), date(2016, 2, 20)),
            (date(2015, 12, 30), Delay(months=2), date(2016, 2, 29)),
            (date(2015, 12, 31), Delay(months=0), date(2015, 12, 31)),
            (date(2015, 12, 31), Delay(days=45), date(2016, 2, 14)),
        ],
    )
    def test_days(self, period_end: date, delay: Delay, known: date) -> None:
        assert pl.select(known_from(pl.lit(period_end), delay)).item() == known

    @settings(deadline=None)
    @given(st.lists(st.dates(date(1990, 1, 1), date(2030, 1, 1)), min_size=2), st.integers(0, 30))
    def test_never_before_the_period_and_in_its_order(self, days: list[date], months: int) -> None:
        frame = pl.DataFrame({"day": sorted(days)}).with_columns(known=known_from(pl.col("day"), Delay(months=months)))
        assert frame["known"].is_sorted()
        for day, known in frame.rows():
            assert Month.containing(known) - Month.containing(day) == months
            assert (
                known.day == min(day.day, Month.containing(known).last_day.day) or day == Month.containing(day).last_day
            )

    def test_stands_in_where_no_date_is_delivered(self, tmp_path: Path) -> None:
        content = {"code": ["1", "2"], "closed": ["2014-11-30"] * 2, "known": ["2015-01-09", None]}
        content |= {name: GOOD[name] * 2 for name in ("sales", "unit")}
        found = _read(tmp_path, content, available_after=Delay(months=3))
        assert found["available_from"].to_list() == [date(2015, 1, 9), date(2015, 2, 28)]

    def test_rows_are_selected_by_the_day_it_gives(self, tmp_path: Path) -> None:
        _read(tmp_path, {})
        columns = {name: text for name, text in ACCOUNTS.items() if name != "available_from"}
        source = _source(tmp_path, DatasetMapping("a.csv", columns, available_after=Delay(days=31)))
        april, may = Month.parse("2015-04"), Month.parse("2015-05")
        assert source.fetch("fundamentals", april, april).height == 0
        assert source.fetch("fundamentals", may, may)["available_from"].to_list() == [date(2015, 5, 1)]
        assert source._months("fundamentals") == {may}

    @pytest.mark.parametrize("known", ["soon", "2015-02-30"])
    def test_does_not_cover_up_a_date_that_cannot_be_read(self, tmp_path: Path, known: str) -> None:
        (tmp_path / "a.csv").write_text(f"code,closed,known,sales\n1301,2015-03-31,{known},1\n")
        source = _source(tmp_path, _mapping("a.csv", available_after=Delay(months=60)))
        with pytest.raises(SourceError, match=f"row 1, column known: '{known}' stands where a date"):
            source.fetch("fundamentals", FIRST, LAST)

    def test_needs_the_end_of_the_period(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="row 1: there is no available_from"):
            _read(tmp_path, {"closed": [None], "known": [None]}, available_after=Delay(months=3))


class TestBadMappings:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"encoding": "cp9932"}, "fundamentals.encoding: Python knows no encoding 'cp9932'"),
            ({"encoding": "base64"}, "fundamentals.encoding: Python knows no encoding 'base64'"),
            ({"date_format": "YYYY-MM-DD"}, "date_format: 'YYYY-MM-DD' does not say year, month and day"),
            ({"date_format": "%Y"}, "date_format: '%Y' does not say"),
            ({"date_format": "%m/%d"}, "date_format: '%m/%d' does not say"),
            ({"date_format": "%Q"}, "date_format: '%Q' does not say"),
            ({"thousands": "."}, r"thousands: '.' cannot stand beside the decimal sign '.'"),
            ({"code": CodeForm("([0-9")}, r"code.pattern: '\(\[0-9' is not a regular expression"),
            ({"code": CodeForm("(?=1)1301")}, r"code.pattern: .* is not a regular expression"),
            (
                {"types": {"unit": "text"}},
                "types: no expression uses unit; the columns used are closed, code, known, sal",
            ),
        ],
    )
    def test_the_message_names_the_key(self, tmp_path: Path, options: dict[str, Any], expected: str) -> None:
        with pytest.raises(ConfigurationError, match=expected):
            _source(tmp_path, _mapping("a.csv", **options))

    def test_no_availability_at_all(self, tmp_path: Path) -> None:
        columns = {name: text for name, text in ACCOUNTS.items() if name != "available_from"}
        with pytest.raises(ConfigurationError, match=r"missing \['available_from'\].*available_after can stand in"):
            _source(tmp_path, DatasetMapping("a.csv", columns))

    def test_a_delay_of_prices(self, tmp_path: Path) -> None:
        mapping = DatasetMapping("a.csv", {"month": "date", "security_id": "code"}, available_after=Delay(days=1))
        with pytest.raises(ConfigurationError, match="prices.available_after: the table has no available_from"):
            FilesSource.from_config(SourceConfig(datasets={"prices": mapping}, folder=str(tmp_path)))


def test_days_of_a_time_zone_are_its_own(tmp_path: Path) -> None:
    known = pl.Series([datetime(2015, 4, 30, 23)]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")  # noqa: DTZ001
    assert _read(tmp_path, {"known": known}, None, "parquet")["available_from"].to_list() == [date(2015, 5, 1)]
