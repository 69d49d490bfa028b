"""What many tests need: a real S3 endpoint, and a small simulated market."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, sync_playwright

from deepfactor.config import Config, SimulationConfig, TrainingConfig, UniverseConfig, load_config
from deepfactor.descriptors import describe
from deepfactor.features import Samples, rank_panel, training_samples
from deepfactor.months import Month, Window
from deepfactor.panel import build_panel
from deepfactor.sources import open_source
from deepfactor.stack import object_store
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.layout import Layout
from deepfactor.stack.object_store import Endpoint
from deepfactor.stack.state import read_state
from deepfactor.store import Store

AS_OF = Month.parse("2016-02")


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A real S3 endpoint, for the whole session."""
    layout = Layout(tmp_path_factory.mktemp("store"))
    layout.create()
    # Two workers that look for a free port at the same moment find the same one.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    preferred = 14566 + 100 * worker
    started, state = object_store.start(layout, ensure_credentials(layout), read_state(layout), preferred=preferred)
    yield started
    object_store.stop(layout, state)


@pytest.fixture(scope="session")
def bucket(endpoint: Endpoint) -> Store:
    """The endpoint's bucket."""
    return endpoint.open()


@pytest.fixture
def store(bucket: Store) -> Store:
    """An empty store of the test's own."""
    return bucket.below(secrets.token_hex(6))


@pytest.fixture(scope="session")
def market_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the small simulated market lies."""
    return tmp_path_factory.mktemp("market") / "landed"


@pytest.fixture(scope="session")
def small_config(market_folder: Path) -> Config:
    """The default configuration on a small market, trained briefly."""
    config = load_config()
    return replace(
        config,
        source=replace(config.source, folder=str(market_folder), simulate=SimulationConfig(stocks=80)),
        universe=UniverseConfig(minimum_stocks=20),
        training=TrainingConfig(members=2, epochs=2, batch_size=32, learning_rate=0.001),
    )


@pytest.fixture(scope="session")
def raw_tables(small_config: Config) -> dict[str, pl.DataFrame]:
    """The small market's raw tables of the window of ``AS_OF``."""
    source = open_source(small_config.source)
    window = Window(AS_OF)
    return {name: source.fetch(name, window.first_history, AS_OF) for name in source.datasets()}


@pytest.fixture(scope="session")
def panel(raw_tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The small market's panel."""
    return build_panel(raw_tables, Window(AS_OF), UniverseConfig(), "XTKS")


@pytest.fixture(scope="session")
def described(panel: pl.DataFrame) -> pl.DataFrame:
    """The small market's descriptors."""
    return describe(panel, Window(AS_OF))


@pytest.fixture(scope="session")
def training(described: pl.DataFrame) -> Samples:
    """The small market's training samples."""
    window = Window(AS_OF)
    return training_samples(rank_panel(described, window), window, UniverseConfig(minimum_stocks=20))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is missing, and pages are tested in it: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program)
        yield running
        running.close()
