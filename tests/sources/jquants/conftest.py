"""A running service, sources that ask it, and two histories that are fetched once for many tests."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import JQuantsConfig
from deepfactor.errors import SourceUnreachable
from deepfactor.months import Month, Window
from deepfactor.sources.jquants import JQuantsSource
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.client import Client
from tests.sources.jquants.market import LAST_DAY, Market, build_market
from tests.sources.jquants.server import KEY, Service

FIRST, LAST = Month.parse("2014-08"), Month.parse("2015-09")
WINDOW = Window(Month.parse("2019-12"))
FAST = {"requests_per_minute": 1e9, "statements_per_minute": 1e9}


def client_of(service: Service, naps: list[float] | None = None, key: str = KEY, timeout: float = 5.0) -> Client:
    """Return a client that notes its naps instead of taking them."""
    noted = naps if naps is not None else []
    return Client(key, base_url=service.url, timeout=timeout, sleep=noted.append, **FAST)


def source_of(
    service: Service, cache: Path, config: JQuantsConfig | None = None, today: Callable[[], date] = lambda: LAST_DAY
) -> JQuantsSource:
    """Return a source that asks a service."""
    return JQuantsSource(Archive(cache, client_of(service), today), config or JQuantsConfig())


@dataclass(frozen=True)
class Fetched:
    """Tables, the source they come from, and what the service was asked for."""

    source: JQuantsSource
    tables: dict[str, pl.DataFrame]
    asked: list[tuple[str, dict[str, str]]]
    asked_before_the_stop: int = 0


@pytest.fixture(scope="session")
def market() -> Market:
    return build_market()


@pytest.fixture
def service(market: Market) -> Iterator[Service]:
    """A service that gives small pages."""
    with Service(market) as running:
        yield running


@pytest.fixture(scope="session")
def sparse_market(market: Market) -> Market:
    """The market, open on three days of each month: what takes 132 months would take the most of a test's time."""
    sparse = copy.copy(market)
    sessions: dict[Month, list[date]] = {}
    for day in market.sessions:
        sessions.setdefault(Month.containing(day), []).append(day)
    kept = {day for days in sessions.values() for day in (*days[:1], *days[-2:])}
    sparse.calendar = {day: "1" if day in kept else "0" for day in market.calendar}
    return sparse


@pytest.fixture(scope="session")
def whole_window(sparse_market: Market, tmp_path_factory: pytest.TempPathFactory) -> Fetched:
    """What an ingestion of one month asks for, 133 months, stopped in the middle and begun anew."""
    cache = tmp_path_factory.mktemp("window")
    months = (WINDOW.first_history, WINDOW.as_of)
    with Service(sparse_market, page_size=1000) as service:
        service.gives_up_after = 2000
        config = JQuantsConfig(dividends=False)
        with pytest.raises(SourceUnreachable):
            source_of(service, cache, config).fetch("fundamentals", *months)
        before = len(service.asked)
        service.gives_up_after = None
        source = source_of(service, cache, config)
        tables = {name: source.fetch(name, *months) for name in source.datasets()}
        return Fetched(source, tables, service.asked, before)


@pytest.fixture(scope="session")
def fetched(market: Market, whole_window: Fetched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetched]:
    """Fourteen months with everything in them; the service goes on running."""
    cache = tmp_path_factory.mktemp("months")
    shutil.copytree(whole_window.source.archive.folder / "statements", cache / "statements")
    with Service(market, page_size=1000) as service:
        source = source_of(service, cache)
        yield Fetched(source, {name: source.fetch(name, FIRST, LAST) for name in source.datasets()}, service.asked)
