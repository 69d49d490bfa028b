from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from deepfactor.months import Month
from deepfactor.pages.digest import ACCOUNTS, STOCKS, Headline
from deepfactor.pages.library import Library
from deepfactor.pages.shelf import Shelf
from deepfactor.publication import manifest_key, read_manifest, read_month
from tests.evaluating.made_span import STOCKS as NAMES
from tests.evaluating.made_span import publish_made
from tests.pages.conftest import MONTHS
from tests.pages.made import MODEL, publish_month

_ALL = 30.0


@pytest.fixture
def library(published: Shelf, tmp_path: Path) -> Iterator[Library]:
    library = Library(published, tmp_path)
    yield library
    library.close()


def test_a_headline_says_what_the_tables_say(library: Library, published: Shelf) -> None:
    catalogue = library.catalogue(_ALL)
    assert list(catalogue.headlines) == [MONTHS[0], MONTHS[1], MONTHS[2], MONTHS[4]]
    assert catalogue.damaged == {}
    assert catalogue.pending == ()
    for month, headline in catalogue.headlines.items():
        read = read_month(published, month)
        own = read.signals.filter(pl.col("model") == MODEL)
        ends = {number: own.filter(pl.col("quintile") == number)["prediction"].mean() for number in (1, 5)}
        assert headline.run_id == read.manifest.run_id
        assert headline.models == (MODEL, "dfm1")
        assert headline.stocks == own.height
        assert headline.spread == pytest.approx(ends[5] - ends[1], rel=1e-12)
        assert sum(share for share, _ in headline.shares.values()) == pytest.approx(1.0)
        assert headline.blessed
    assert [each.warnings for each in catalogue.headlines.values()] == [0, 2, 0, 0]
    assert catalogue.headlines[MONTHS[1]].warned == (f"placebo ({MODEL})",)
    assert catalogue.headlines[MONTHS[1]].remarks == ("prices: sales",)


def test_a_headline_comes_back_from_its_bytes(library: Library) -> None:
    for headline in library.catalogue(_ALL).headlines.values():
        assert Headline.from_bytes(headline.to_bytes()) == headline


def test_a_security_has_its_published_figures(library: Library, published: Shelf) -> None:
    catalogue = library.catalogue(_ALL)
    found = library.security(catalogue, NAMES[3])
    assert found.columns == [*STOCKS.columns, "month"]
    for month in catalogue.headlines:
        read = read_month(published, month)
        wanted = read.signals.join(read.ledger.drop("month", "prediction"), on=["model", "security_id"])
        wanted = wanted.filter(pl.col("security_id") == NAMES[3]).sort("model")
        ours = found.filter(pl.col("month") == month.first_day).sort("model")
        assert ours["rank"].to_list() == wanted["rank"].to_list()
        for name in ("prediction", "dispersion", *ACCOUNTS):
            assert ours[name].to_list() == pytest.approx(wanted[name].to_list(), rel=1e-6, abs=1e-9)


def test_an_unknown_security_has_no_rows(library: Library) -> None:
    assert library.security(library.catalogue(_ALL), "nobody").is_empty()


def test_securities_are_listed_with_their_months(library: Library) -> None:
    securities = library.securities(library.catalogue(_ALL))
    assert set(securities) == set(NAMES)
    assert securities[NAMES[0]] == (MONTHS[0], MONTHS[4], 4)


def test_what_is_kept_is_not_read_again(published: Shelf, tmp_path: Path) -> None:
    first = Library(published, tmp_path)
    wanted = first.catalogue(_ALL)
    first.close()
    again = Library(published, tmp_path)
    # Without any patience only what is kept can be there.
    assert again.catalogue(0.0) == wanted
    again.close()


def test_without_patience_months_are_pending_and_come_later(library: Library) -> None:
    catalogue = library.catalogue(0.0)
    assert set(catalogue.pending) | set(catalogue.headlines) == set(catalogue.published)
    assert library.catalogue(_ALL).pending == ()


def test_a_digest_that_is_cut_off_is_made_again(published: Shelf, tmp_path: Path) -> None:
    first = Library(published, tmp_path)
    wanted = first.catalogue(_ALL).headlines
    first.close()
    for path in tmp_path.rglob("*.json"):
        path.write_bytes(path.read_bytes()[:20])
    again = Library(published, tmp_path)
    assert again.catalogue(_ALL).headlines == wanted
    again.close()


def test_a_month_that_is_replaced_is_read_again_and_its_digest_goes(shelf: Shelf, tmp_path: Path) -> None:
    month = MONTHS[0]
    publish_month(shelf, month)
    library = Library(shelf, tmp_path)
    assert library.catalogue(_ALL).headlines[month].run_id == f"made-{month}"
    publish_month(shelf, month, run="again", warn=True)
    assert library.catalogue(_ALL).headlines[month].run_id == f"again-{month}"
    library.close()
    assert len(list(tmp_path.rglob("*.arrow"))) == 2
    Library(shelf, tmp_path).catalogue(_ALL)
    assert len(list(tmp_path.rglob("*.arrow"))) == 1


def test_a_damaged_month_says_why_and_the_others_are_there(shelf: Shelf, tmp_path: Path) -> None:
    verdicts = {f"{name}/verdict.json": b'{"passed": true}' for name in ("validation", "results")}
    damages: dict[Month, Callable[[], object]] = {
        MONTHS[0]: lambda: shelf.put(manifest_key(MONTHS[0]), b"{}"),
        MONTHS[1]: lambda: shelf.put(read_manifest(shelf, MONTHS[1]).named("ledger.parquet").key, b"PAR1"),
        MONTHS[2]: lambda: publish_made(shelf, MONTHS[2], change={**verdicts, "gates.json": b'[{"gate": 1}]'}),
    }
    for number in range(4):
        publish_month(shelf, MONTHS[number])
    for damage in damages.values():
        damage()
    library = Library(shelf, tmp_path)
    catalogue = library.catalogue(_ALL)
    library.close()
    assert list(catalogue.headlines) == [MONTHS[3]]
    assert "is not a manifest" in catalogue.damaged[MONTHS[0]]
    assert "is not what was written" in catalogue.damaged[MONTHS[1]]
    assert "verdicts of" in catalogue.damaged[MONTHS[2]]


def test_stores_do_not_share_digests(published: Shelf, shelf: Shelf, tmp_path: Path) -> None:
    for each in (published, shelf):
        library = Library(each, tmp_path)
        assert library.catalogue(_ALL).headlines.keys() == ({*MONTHS} - {MONTHS[3]} if each is published else set())
        library.close()
