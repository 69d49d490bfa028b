"""What is kept of the service's answers, and what is not believed."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from deepfactor.errors import SourceError, SourceUnreachable
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.endpoints import BARS, DIVIDENDS, STATEMENTS, TOPIX
from tests.sources.jquants.conftest import client_of
from tests.sources.jquants.server import Service

DAYS = [(day, day) for day in (date(2015, 2, 25), date(2015, 2, 26), date(2015, 2, 27))]


def _archive(service: Service, cache: Path, today: date = date(2015, 3, 1)) -> Archive:
    return Archive(cache, client_of(service), lambda: today)


def _files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


class TestRegression:
    def test_what_is_kept_is_not_asked_for_again(self, service: Service, tmp_path: Path) -> None:
        first = _archive(service, tmp_path).read(BARS, DAYS)
        asked = len(service.asked)
        assert first.height == 45
        assert first["Date"].is_sorted()
        assert_frame_equal(_archive(service, tmp_path).read(BARS, DAYS), first)
        assert len(service.asked) == asked
        assert [path.relative_to(tmp_path).parts[:2] for path in _files(tmp_path)] == [("bars", "2015")] * 3

    def test_a_month_at_once(self, service: Service, tmp_path: Path) -> None:
        service.page_size = 100
        frame = _archive(service, tmp_path).read(TOPIX, [(date(2015, 2, 1), date(2015, 2, 28))])
        assert frame.height == 19
        assert len(service.asked) == 1
        assert _files(tmp_path)[0].name.startswith("2015-02-")

    def test_a_fetch_that_is_stopped_keeps_whole_days(self, service: Service, tmp_path: Path) -> None:
        service.gives_up_after = 4  # in the middle of the second day's pages
        with pytest.raises(SourceUnreachable):
            _archive(service, tmp_path).read(BARS, DAYS)
        assert [path.name[:10] for path in _files(tmp_path)] == ["2015-02-25"]
        service.gives_up_after = None
        assert _archive(service, tmp_path).read(BARS, DAYS).height == 45

    def test_today_is_not_kept(self, service: Service, tmp_path: Path) -> None:
        archive = _archive(service, tmp_path, today=date(2015, 2, 27))
        assert archive.read(BARS, DAYS).height == 45
        assert [path.name[:10] for path in _files(tmp_path)] == ["2015-02-25", "2015-02-26"]
        # Within one ingestion it stays what it was.
        asked = len(service.asked)
        archive.read(BARS, DAYS)
        assert len(service.asked) == asked

    def test_the_future_is_not_asked_for(self, service: Service, tmp_path: Path) -> None:
        assert _archive(service, tmp_path, today=date(2015, 2, 25)).read(BARS, DAYS).height == 15
        assert {query["date"] for _, query in service.asked} == {"2015-02-25"}

    def test_a_day_without_statements_is_kept_but_no_session_without_bars(
        self, service: Service, tmp_path: Path
    ) -> None:
        service.spoil = lambda _path, _rows: []
        archive = _archive(service, tmp_path)
        for endpoint in (STATEMENTS, DIVIDENDS, BARS):
            assert archive.read(endpoint, DAYS[:1]).is_empty()
        assert {path.parts[-3] for path in _files(tmp_path)} == {"statements", "dividends"}


class TestDamage:
    @pytest.mark.parametrize("damage", ["cut off", "empty", "one bit", "another table"])
    def test_a_damaged_file_is_fetched_again(
        self, service: Service, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        good = _archive(service, tmp_path).read(BARS, DAYS)
        path = _files(tmp_path)[1]
        body = path.read_bytes()
        if damage == "cut off":
            path.write_bytes(body[: len(body) // 2])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "one bit":
            path.write_bytes(body[:100] + bytes([body[100] ^ 1]) + body[101:])
        else:
            pl.DataFrame({"C": [1.0]}).write_parquet(path)
        service.asked.clear()
        assert_frame_equal(_archive(service, tmp_path).read(BARS, DAYS), good)
        assert {query["date"] for _, query in service.asked} == {"2015-02-26"}
        assert f"{path} is damaged" in caplog.text
        assert _files(tmp_path)[1].read_bytes() == body

    def test_a_file_of_another_version_is_fetched_again(self, service: Service, tmp_path: Path) -> None:
        archive = _archive(service, tmp_path)
        good = archive.read(BARS, DAYS[:1])
        _files(tmp_path)[0].unlink()
        archive._keep(BARS, DAYS[0][0], good.drop("AdjFactor"))
        assert_frame_equal(archive.read(BARS, DAYS[:1]), good)

    def test_an_unfinished_file_is_not_looked_at(self, service: Service, tmp_path: Path) -> None:
        good = _archive(service, tmp_path).read(BARS, DAYS)
        (tmp_path / "bars/2015/2015-02-26-0000.4711").write_bytes(b"half")
        assert_frame_equal(_archive(service, tmp_path).read(BARS, DAYS), good)


class TestValidation:
    def test_a_cache_that_cannot_be_written(self, service: Service, tmp_path: Path) -> None:
        (tmp_path / "bars").write_text("a file where a folder should be")
        with pytest.raises(SourceError, match=r"bars/2015/2015-02-25.*cannot be written.*source\.jquants\.cache"):
            _archive(service, tmp_path).read(BARS, DAYS)

    def test_progress_is_logged(self, service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        days = [date(2014, 1, 1) + timedelta(days=number) for number in range(101)]
        with caplog.at_level("INFO"):
            _archive(service, tmp_path).read(DIVIDENDS, [(day, day) for day in days])
        assert "J-Quants dividends: 2014-04-10 fetched, 100 of 101" in caplog.text
