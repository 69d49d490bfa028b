"""A vendor who delivers while the delivery is read: what was read is one whole version, or the change is noticed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import polars as pl
import pytest

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceChanged, SourceError
from deepfactor.months import Month
from deepfactor.sources import FilesSource
from deepfactor.sources.bucket import DeliveredObjects, S3Delivery
from deepfactor.sources.delivery import DeliveredFile, FolderDelivery
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.endpoints import BARS
from deepfactor.store import Store
from tests.faults.tally import Tally
from tests.sources.jquants.conftest import client_of
from tests.sources.jquants.market import build_market
from tests.sources.jquants.server import Service

MAPPING = DatasetMapping(
    files="prices*", columns={"month": "date", "security_id": "code", "close": "close"}, date_format="%Y-%m-%d"
)
FIRST, LAST = Month.parse("2016-01"), Month.parse("2016-02")
# More than two of the parts in which a file is read.
ROWS = 100_000


def _table(price: int) -> pl.DataFrame:
    days = pl.Series([date(2016, 1, 29), date(2016, 2, 29)] * (ROWS // 2))
    codes = pl.int_range(ROWS, eager=True).cast(pl.String).str.zfill(8)
    return pl.DataFrame({"date": days, "code": codes, "close": pl.repeat(price, ROWS, eager=True)})


@dataclass(frozen=True)
class Versions:
    """A file as it was and as it becomes, and how the vendor gets there."""

    before: bytes
    after: bytes
    change: Callable[[Path], None]


def _versions(kind: str, suffix: str) -> Versions:
    old, new = (_written(_table(price), suffix) for price in (100, 200))

    def rewrite(path: Path, body: bytes, *, same_times: bool = False) -> None:
        found = path.stat()
        with path.open("r+b") as file:
            file.write(body)
            file.truncate()
        if same_times:
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def replace(path: Path) -> None:
        other = path.with_name("arriving")
        other.write_bytes(new)
        other.rename(path)

    # Text ends with a whole row in both cases.
    cut = old[: old.index(b"\n", len(old) // 2) + 1] if suffix == ".csv" else old[: len(old) // 2]
    twice = old + (old[old.index(b"\n") + 1 :] if suffix == ".csv" else old)
    return {
        "restates": Versions(old, new, lambda path: rewrite(path, new)),
        "restates, and sets the time back,": Versions(old, new, lambda path: rewrite(path, new, same_times=True)),
        "replaces": Versions(old, new, replace),
        "truncates": Versions(old, cut, lambda path: os.truncate(path, len(cut))),
        "repeats": Versions(old, twice, lambda path: rewrite(path, twice)),
    }[kind]


def _written(frame: pl.DataFrame, suffix: str) -> bytes:
    target = BytesIO()
    if suffix == ".csv":
        frame.write_csv(target)
    else:
        frame.write_parquet(target, compression="uncompressed")
    return target.getvalue()


KINDS = ("restates", "restates, and sets the time back,", "replaces", "truncates", "repeats")


@contextmanager
def _at_read(number: int, act: Callable[[], None]) -> Iterator[list[bool]]:
    """Act just before a file is read for the n-th time, part by part; the yielded list says whether that was."""
    acted: list[bool] = []
    seen = 0

    def profile(_frame: FrameType, event: str, called: Any) -> None:
        nonlocal seen
        if event == "c_call" and called.__name__ == "read" and not acted:
            seen += 1
            if seen == number:
                acted.append(True)
                sys.setprofile(None)
                act()

    sys.setprofile(profile)
    try:
        yield acted
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_in_a_folder(
    kind: str, suffix: str, tmp_path: Path, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    count = tally(f"a vendor {kind} a file in a folder while it is read")
    versions = _versions(kind, suffix)
    path = tmp_path / f"prices{suffix}"
    for number in range(cases(20, 3)):
        path.write_bytes(versions.before)
        expected = _fetch(tmp_path)
        moment = Random(number).randint(1, 3)
        what = f"{suffix}, seed {number}, at read {moment}"
        with count.case(what), _at_read(moment, lambda: versions.change(path)) as acted:
            try:
                found = _fetch(tmp_path)
            except SourceChanged as error:
                assert path.name in str(error)
                assert "run again once the vendor has finished" in str(error)
                count.ended("detected")
            else:
                assert not acted, "the file was changed and nobody noticed"
                assert found.equals(expected)
                count.ended("read before the change")


def _fetch(folder: Path) -> pl.DataFrame:
    return FilesSource(FolderDelivery(folder), {"prices": MAPPING}).fetch("prices", FIRST, LAST)


@pytest.mark.parametrize("size", [True, False], ids=["same size", "other size"])
def test_between_two_tables(
    size: bool, tmp_path: Path, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    count = tally("a vendor restates one table while another is read")
    for number in range(cases(20, 3)):
        with count.case(f"seed {number}"):
            (tmp_path / "prices.csv").write_text("date,code,close\n2016-01-31,1301,1\n2016-02-29,1301,2\n")
            (tmp_path / "members.csv").write_text("date,code\n2016-01-31,1301\n2016-02-29,1301\n")
            members = DatasetMapping(files="members.csv", columns={"month": "date", "security_id": "code"})
            source = FilesSource(FolderDelivery(tmp_path), {"prices": MAPPING, "constituents": members})
            source.fetch("prices", FIRST, LAST)
            restated = f"date,code,close\n2016-01-31,1301,{7 if size else 77}\n2016-02-29,1301,2\n"
            (tmp_path / "prices.csv").write_text(restated)
            with pytest.raises(SourceChanged, match="prices.csv has changed"):
                source.fetch("constituents", FIRST, LAST)
            assert source.fetch("prices", FIRST, LAST)["close"][0] == (7 if size else 77)
            source.fetch("constituents", FIRST, LAST)
            count.ended("detected")


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["restates", "truncates", "repeats"])
def test_an_object_of_a_bucket(
    kind: str, store: Store, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    count = tally(f"a vendor {kind} an object of a bucket while it is read")
    versions = _versions(kind, ".csv")
    for number in range(cases(20, 3)):
        moment = Random(number).choice(("listed", "fetched"))

        class Delivering(DeliveredObjects):
            """The vendor delivers between two calls."""

            def etags(self, prefix: str) -> dict[str, str]:
                listed = super().etags(prefix)
                if moment == "listed" and listed:  # noqa: B023 - called within the loop
                    self.put("prices.csv", versions.after)
                return listed

            def download(self, key: str, tag: str, path: Path, largest: int) -> None:
                super().download(key, tag, path, largest)
                if moment == "fetched":  # noqa: B023 - called within the loop
                    self.put("prices.csv", versions.after)

        with count.case(f"seed {number}, after it was {moment}"):
            store.put("prices.csv", versions.before)
            delivery = S3Delivery(Delivering.of(store))
            with pytest.raises(SourceChanged, match=r"s3://.*/prices.csv has changed .* run again once"):
                FilesSource(delivery, {"prices": MAPPING}).fetch("prices", FIRST, LAST)
            count.ended("detected")


def test_a_day_of_the_archive(tmp_path: Path, tally: Callable[[str], Tally], cases: Callable[[int, int], int]) -> None:
    count = tally("a kept day of J-Quants is restated, truncated or repeated while it is read")
    day = date(2015, 2, 27)
    with Service(build_market(), page_size=1000) as service:
        expected = Archive(tmp_path, client_of(service), lambda: date(2015, 3, 1)).read(BARS, [(day, day)])
        for number in range(cases(60, 9)):
            (path,) = tmp_path.rglob("2015-*.parquet")
            body = path.read_bytes()
            other = (body[::-1], body[: len(body) // 2], body + body)[number % 3]
            archive = Archive(tmp_path, client_of(service), lambda: date(2015, 3, 1))
            with count.case(f"seed {number}"), _at_read(1, lambda: path.write_bytes(other)) as acted:  # noqa: B023
                asked = len(service.asked)
                found = archive.read(BARS, [(day, day)])
                assert acted
                assert found.equals(expected)
                count.ended("detected, and fetched again" if len(service.asked) > asked else "read before the change")


def test_half_a_row_of_a_file_that_is_being_written_is_no_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,code,close\n2016-01-31,13")
    with pytest.raises(SourceError) as caught:
        _fetch(tmp_path)
    assert not caught.value.retryable

    class Delivering(FolderDelivery):
        """The vendor goes on writing."""

        def read(self, file: DeliveredFile) -> bytes:
            body = super().read(file)
            path.write_text("date,code,close\n2016-01-31,1301,1\n")
            return body

    with pytest.raises(SourceChanged) as changed:
        FilesSource(Delivering(tmp_path), {"prices": MAPPING}).fetch("prices", FIRST, LAST)
    assert changed.value.retryable
