"""Many files read together: in their order, in lots that fit, and the damaged one named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import LARGEST_FILE, DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.schemas import RAW
from deepfactor.sources import reading
from deepfactor.sources.delivery import DeliveredFile
from deepfactor.sources.reading import Reader

READER = Reader(
    RAW["constituents"],
    DatasetMapping("*", {"month": "month", "security_id": "code"}),
    lambda file: file.path.read_bytes(),
    LARGEST_FILE,
)
SPAN = ("month", date(2016, 1, 1), date(2016, 12, 31))


@pytest.fixture
def files(tmp_path: Path) -> list[DeliveredFile]:
    files = []
    for number in (3, 1, 2):
        path = tmp_path / f"{number}.parquet"
        codes = [f"{number}{row:05}" for row in range(2_000)]
        pl.DataFrame({"month": "2016-01", "code": codes}).write_parquet(path)
        files.append(DeliveredFile(path.name, path))
    return files


@pytest.mark.parametrize("together", [1, 10_000, 64_000_000])
def test_the_order_is_that_of_the_files(
    files: list[DeliveredFile], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_READ_TOGETHER", together)
    found = READER.between(files, *SPAN)
    assert found["security_id"].str.head(1).unique(maintain_order=True).to_list() == ["3", "1", "2"]
    assert found.height == 6_000
    assert READER.days(files, "month") == {date(2016, 1, 1)}


def test_no_files_are_an_empty_table() -> None:
    assert READER.between([], *SPAN).equals(RAW["constituents"].empty())


@pytest.mark.parametrize("number", range(3))
def test_the_damaged_file_is_named(files: list[DeliveredFile], number: int) -> None:
    # The footer stays, so that only the values turn out to be damaged.
    body = bytearray(files[number].path.read_bytes())
    body[20 : len(body) // 2] = bytes(len(body) // 2 - 20)
    files[number].path.write_bytes(body)
    with pytest.raises(SourceError, match=f"^{files[number].name} cannot be read: .*; deliver the file again"):
        READER.between(files, *SPAN)


def test_files_may_differ_in_columns_that_are_not_used(files: list[DeliveredFile]) -> None:
    first = pl.read_parquet(files[0].path)
    first.select(pl.lit(1).alias("other"), "code", pl.col("month").str.to_date("%Y-%m")).write_parquet(files[0].path)
    assert READER.between(files, *SPAN).height == 6_000
    first.drop("code").write_parquet(files[1].path)
    with pytest.raises(SourceError, match=r"^1.parquet: .*there is no column code; the columns are month: deliver it"):
        READER.between(files, *SPAN)


def test_the_rows_of_all_files_have_a_bound(files: list[DeliveredFile]) -> None:
    few = Reader(RAW["constituents"], READER._mapping, READER._read, 130_000)
    assert few.between(files[:1], *SPAN).height == 2_000
    with pytest.raises(SourceError, match=r"and the constituents before it have .* or raise source.maximum_gigabytes"):
        few.between(files * 3, *SPAN)
