from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import Config
from deepfactor.errors import SourceError, SourceUnreachable
from deepfactor.months import Month
from deepfactor.sources import Source, open_source
from deepfactor.sources.span import SpanSource

FIRST, LAST = Month.parse("2004-11"), Month.parse("2016-03")


class Counting:
    """A source that counts how often it is asked."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.asked: list[tuple[str, Month, Month]] = []

    def ready(self, month: Month) -> bool:
        return self.source.ready(month)

    def datasets(self) -> tuple[str, ...]:
        return self.source.datasets()

    def fetch(self, dataset: str, first_month: Month, last_month: Month) -> pl.DataFrame:
        self.asked.append((dataset, first_month, last_month))
        return self.source.fetch(dataset, first_month, last_month)


@contextmanager
def changed(folder: Path, name: str, expression: pl.Expr) -> Iterator[None]:
    """Keep only some rows of a delivered file."""
    before = (folder / name).read_bytes()
    pl.read_parquet(folder / name).filter(expression).write_parquet(folder / name)
    yield
    (folder / name).write_bytes(before)


@pytest.fixture(scope="module")
def delivery(
    small_config: Config, raw_tables: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    assert raw_tables
    assert small_config.source.folder is not None
    folder = tmp_path_factory.mktemp("span") / "delivery"
    return Path(shutil.copytree(small_config.source.folder, folder))


@pytest.fixture
def source(small_config: Config, delivery: Path) -> Counting:
    return Counting(open_source(replace(small_config.source, folder=str(delivery), simulate=None)))


@pytest.mark.parametrize(
    ("first", "last"), [("2004-11", "2016-03"), ("2005-01", "2016-01"), ("2010-02", "2010-02"), ("2016-03", "2016-03")]
)
def test_the_frames_are_the_sources_own_and_read_once(source: Counting, first: str, last: str) -> None:
    span = SpanSource(source, FIRST, LAST)
    months = Month.parse(first), Month.parse(last)
    for dataset in source.datasets():
        for _ in range(2):
            assert span.fetch(dataset, *months).equals(source.source.fetch(dataset, *months)), dataset
    assert source.asked == [(dataset, FIRST, LAST) for dataset in source.datasets()]
    assert span.datasets() == source.datasets()
    assert span.ready(LAST)
    assert not span.ready(LAST + 1)


def test_months_outside_are_asked_of_the_source(source: Counting) -> None:
    span = SpanSource(source, FIRST, LAST)
    for months in ((FIRST + -1, LAST), (FIRST + -2, FIRST + -1)):
        assert span.fetch("prices", *months).equals(source.source.fetch("prices", *months))
        assert source.asked.pop() == ("prices", *months)
    with pytest.raises(SourceError, match="has no prices for 2016-04"):
        span.fetch("prices", FIRST, LAST + 1)


def test_a_month_that_is_missing_fails_those_that_need_it_and_no_other(source: Counting, delivery: Path) -> None:
    with changed(delivery, "prices/2014.parquet", pl.col("date").dt.month() != 7):
        span = SpanSource(source, FIRST, LAST)
        for last in ("2014-07", "2014-08", "2016-02"):
            with pytest.raises(SourceError, match="has no prices for 2014-07"):
                span.fetch("prices", FIRST, Month.parse(last))
        for months in ((FIRST, Month.parse("2014-06")), (Month.parse("2014-08"), LAST)):
            assert span.fetch("prices", *months).equals(source.source.fetch("prices", *months))


def test_a_month_before_all_that_was_delivered(source: Counting, delivery: Path) -> None:
    """History may begin later than the span; a window that ends before it is a missing delivery all the same."""
    with changed(delivery, "constituents.parquet", pl.col("date").dt.year() >= 2010):
        span = SpanSource(source, FIRST, LAST)
        months = FIRST, Month.parse("2010-05")
        assert span.fetch("constituents", *months).equals(source.source.fetch("constituents", *months))
        with pytest.raises(SourceError, match="has no constituents for 2009-12"):
            span.fetch("constituents", FIRST, Month.parse("2009-12"))


def test_accounts_of_a_month_without_any(source: Counting, delivery: Path) -> None:
    quiet = Month.parse("2012-04")
    days = pl.col("announced").is_between(quiet.first_day, quiet.last_day)
    with changed(delivery, "fundamentals.parquet", ~days):
        rows = SpanSource(source, FIRST, LAST).fetch("fundamentals", FIRST, quiet)
        assert rows.equals(source.source.fetch("fundamentals", FIRST, quiet))
        assert rows.height > 0


def test_a_source_that_does_not_answer_is_not_asked_month_by_month(source: Counting) -> None:
    class Silent(Counting):
        def fetch(self, *asked: object) -> pl.DataFrame:
            raise SourceUnreachable(f"no answer to {asked}")

    with pytest.raises(SourceUnreachable):
        SpanSource(Silent(source), FIRST, LAST).fetch("prices", FIRST, FIRST)
