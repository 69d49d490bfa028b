"""However a vendor writes the same figures and wherever the files lie, the raw table is the same."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from deepfactor.config import CodeForm, DatasetMapping, Delay, SourceConfig
from deepfactor.errors import SourceError
from deepfactor.months import Month
from deepfactor.schemas import RAW
from deepfactor.sources import FilesSource
from deepfactor.sources.bucket import DeliveredObjects, S3Delivery
from deepfactor.store import Store

FIRST, LAST = Month.parse("2015-01"), Month.parse("2016-02")
MAPPING = DatasetMapping(
    files="f/*.csv",
    columns={
        "security_id": "code",
        "period_end": "closed",
        "available_from": "known",
        "net_income": "income",
        "sales": "CASE WHEN unit = '百万円' THEN sales * 1000000 ELSE sales END",
        "operating_profit": "coalesce(operating, ordinary)",
        "net_assets": "assets - debt",
        "total_assets": "assets",
    },
    types={"unit": "text"},
    available_after=Delay(months=3),
)

_DAYS = st.dates(date(2014, 6, 1), date(2016, 6, 30))
_AMOUNTS = st.none() | st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
_ROWS = st.fixed_dictionaries(
    {
        "code": st.integers(0, 9999).map("{:04d}".format),
        "closed": _DAYS,
        "known": st.none() | _DAYS,
        "unit": st.sampled_from(["百万円", "円", None]),
        **dict.fromkeys(["income", "sales", "operating", "ordinary", "assets", "debt"], _AMOUNTS),
        "name": st.sampled_from(["極洋", 'a "quoted", name', "two\nlines", "", None]),
    }
)
_SCHEMA = {
    **dict.fromkeys(["code", "unit", "name"], pl.String),
    **dict.fromkeys(["closed", "known"], pl.Date),
    **dict.fromkeys(["income", "sales", "operating", "ordinary", "assets", "debt"], pl.Float64),
}
FRAMES = st.lists(_ROWS, max_size=8).map(lambda rows: pl.DataFrame(rows, schema=_SCHEMA))


@dataclass(frozen=True)
class Writing:
    """A way to write a frame, and what the mapping must say about it."""

    write: Callable[[pl.DataFrame, Path], None]
    mapping: DatasetMapping


def _text(frame: pl.DataFrame, folder: Path, name: str, mapping: DatasetMapping) -> None:
    """Write delimited text as the mapping says, with Python's own formatting."""
    lines = [mapping.separator.join(f" {name} " for name in frame.columns)]
    lines += [mapping.separator.join(_field(value, mapping) for value in row) for row in frame.rows()]
    body = ("\r\n".join(lines) + "\r\n\r\n").encode(mapping.encoding)
    (folder / name).write_bytes(gzip.compress(body) if name.lower().endswith(".gz") else body)


def _field(value: object, mapping: DatasetMapping) -> str:
    if value is None:
        return mapping.missing[0] if mapping.missing else " "
    if isinstance(value, date):
        return value.strftime(mapping.date_format or "%Y-%m-%d")
    if isinstance(value, float):
        text = f"{value:,.3f}" if mapping.thousands else f"{value:.3f}"
        signs = str.maketrans({",": mapping.thousands, ".": mapping.decimal})
        return '"' + text.translate(signs) + '"'
    return '"' + str(value).replace('"', '""') + '"'


def _plain(frame: pl.DataFrame, folder: Path) -> None:
    frame.write_csv(folder / "one.csv")


def _several(frame: pl.DataFrame, folder: Path) -> None:
    for start in range(0, max(frame.height, 1), 3):
        _text(frame.slice(start, 3), folder, f"{start}.csv", MAPPING)


def _parquet(frame: pl.DataFrame, folder: Path) -> None:
    frame.write_parquet(folder / "one.parquet")


def _compressed(frame: pl.DataFrame, folder: Path) -> None:
    with gzip.open(folder / "one.csv.gz", "wb") as file:
        frame.write_csv(file)


def _integer_codes(frame: pl.DataFrame, folder: Path) -> None:
    days = pl.col("closed", "known").dt.strftime("%Y%m%d").cast(pl.Int32)
    frame.with_columns(pl.col("code").cast(pl.Int32), days).write_parquet(folder / "one.parquet")


def _longer_codes(frame: pl.DataFrame, folder: Path) -> None:
    frame.with_columns(pl.col("code") + "0").write_csv(folder / "one.csv")


def _written(name: str = "one.csv", **options: object) -> Writing:
    suffix = name.partition(".")[2]
    mapping = replace(MAPPING, files=f"f/*.{suffix}", **options)
    return Writing(partial(_text, name=name, mapping=mapping), mapping)


WRITINGS = {
    "csv": Writing(_plain, MAPPING),
    "several csv": Writing(_several, MAPPING),
    "parquet": Writing(_parquet, replace(MAPPING, files="f/*.parquet")),
    "csv.gz": Writing(_compressed, replace(MAPPING, files="**/*.csv.gz")),
    "cp932": _written(encoding="cp932"),
    "utf-16": _written("one.txt", encoding="utf-16"),
    "byte order mark": _written(encoding="utf-8-sig"),
    "tabs": _written("one.tsv", separator="\t", missing=["n/a", "-"]),
    "slashes": _written("one.CSV.GZ", date_format="%Y/%m/%d", missing=["-"]),
    "European": _written(separator=";", date_format="%d.%m.%Y", decimal=",", thousands=".", encoding="euc-jp"),
    "thousands": _written(thousands=",", date_format="%Y%m%d"),
    "integers": Writing(
        _integer_codes,
        replace(MAPPING, files="f/*.parquet", date_format="%Y%m%d", code=CodeForm("^[0-9]{4}$", zero_pad=4)),
    ),
    "five digits": Writing(_longer_codes, replace(MAPPING, code=CodeForm("^([0-9A-Z]{4})0?$"))),
}


def _slowly(frame: pl.DataFrame) -> pl.DataFrame:
    """The raw table, row by row from the mapping's meaning."""
    rows = []
    for row in frame.to_dicts():
        known = row["known"] or _three_months_after(row["closed"])
        if not FIRST.first_day <= known <= LAST.last_day:
            continue
        sales = row["sales"]
        both = row["assets"] is not None and row["debt"] is not None
        rows.append(
            {
                "security_id": row["code"],
                "period_end": row["closed"],
                "available_from": known,
                "net_income": row["income"],
                "sales": sales * 1_000_000 if sales is not None and row["unit"] == "百万円" else sales,
                "operating_profit": row["ordinary"] if row["operating"] is None else row["operating"],
                "net_assets": row["assets"] - row["debt"] if both else None,
                "total_assets": row["assets"],
            }
        )
    return pl.DataFrame(rows, schema=dict(RAW["fundamentals"].columns))


def _three_months_after(day: date) -> date:
    month = Month.containing(day)
    if day == month.last_day:
        return (month + 3).last_day
    return min(date.fromordinal((month + 3).first_day.toordinal() + day.day - 1), (month + 3).last_day)


def _source(mapping: DatasetMapping, folder: Path) -> FilesSource:
    return FilesSource.from_config(SourceConfig(datasets={"fundamentals": mapping}, folder=str(folder)))


@pytest.mark.parametrize("way", WRITINGS)
@settings(max_examples=12, deadline=None)
@given(frame=FRAMES)
def test_the_same_figures_are_the_same_table(way: str, frame: pl.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "f").mkdir()
        WRITINGS[way].write(frame, Path(folder) / "f")
        found = _source(WRITINGS[way].mapping, Path(folder)).fetch("fundamentals", FIRST, LAST)
    assert found.equals(_slowly(frame))


@pytest.mark.integration
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],  # an example takes seconds, and the property above shrinks better
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(frame=FRAMES)
def test_from_a_prefix_as_from_a_folder(store: Store, frame: pl.DataFrame) -> None:
    for way, writing in WRITINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "f").mkdir()
            writing.write(frame, Path(folder) / "f")
            local = _source(writing.mapping, Path(folder)).fetch("fundamentals", FIRST, LAST)
            remote = store.below(f"{way}/{frame.hash_rows().sum()}")
            for path in (Path(folder) / "f").iterdir():
                remote.put(f"f/{path.name}", path.read_bytes())
            source = FilesSource(
                S3Delivery(DeliveredObjects.of(remote)),
                {"fundamentals": writing.mapping},
            )
            assert source.fetch("fundamentals", FIRST, LAST).equals(local)


_PIECES = st.sampled_from(
    [b",", b",,", b"\n", b"\r\n", b"\r", b'"', b'""', b" ", b"\x0b", b"\x00", b"\xff", b"\x83\x5c", b"\xef\xbb\xbf"]
) | st.sampled_from([b"code", b"closed", b"1301", b"2015-03-31", b"-", b"1e400", b"nan", b"inf", "銘柄".encode()])
_SMALL = {"security_id": "code", "period_end": "closed", "available_from": "known", "sales": "sales"}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=60) | st.lists(_PIECES, max_size=30).map(b"".join), headed=st.booleans())
@example(body=b'1301,2015-03-31,2015-06-30,1,2"x\n3,4"\n', headed=True)
@example(body=b'1301,2015-03-31,2015-06-30,1,"2\n', headed=True)
@example(body=b"1301,2015-03-31,2015-06-30\n", headed=True)
@example(body=b"1301,2015-03-31,2015-06-30,1\r1302,2015-03-31,2015-06-30,1\r", headed=True)
@example(body=b"1301,20000-03-31,20000-06-30,1\n", headed=True)
def test_any_bytes_are_a_table_or_an_error_that_names_the_file(name: str, body: bytes, headed: bool) -> None:
    content = b"code,closed,known,sales\n" + body if headed else body
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(gzip.compress(content) if name.endswith(".gz") and len(body) % 2 else content)
        source = _source(DatasetMapping(name, _SMALL), Path(folder))
        try:
            found = source.fetch("fundamentals", Month.of(1000, 1), Month.of(9999, 11))
        except SourceError as error:
            assert str(Path(folder) / name) in str(error)
        else:
            assert found.height <= content.count(b"\n") + 1
            RAW["fundamentals"].empty().extend(found)
