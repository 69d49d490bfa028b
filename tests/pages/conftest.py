from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from deepfactor.evaluating.evaluate import evaluate
from deepfactor.pages.shelf import Shelf
from deepfactor.pages.site import Site
from deepfactor.stack.layout import BUCKET
from deepfactor.stack.object_store import Endpoint
from tests.evaluating.made_span import FIRST
from tests.pages.made import publish_month, stop_at_gates, stop_at_validation

MONTHS = tuple(FIRST + number for number in range(5))
"""Published: the first three, of which the second warns, and the last; the fourth failed its validation."""


@pytest.fixture(scope="session")
def new_shelf(endpoint: Endpoint) -> Callable[[], Shelf]:
    """Opens empty stores."""
    key = endpoint.credentials

    def opened() -> Shelf:
        return Shelf.open(f"s3://{BUCKET}/{secrets.token_hex(6)}", endpoint.url, key.access_key, key.secret_key)

    return opened


@pytest.fixture
def shelf(new_shelf: Callable[[], Shelf]) -> Shelf:
    """An empty store of the test's own."""
    return new_shelf()


@pytest.fixture(scope="package")
def published(new_shelf: Callable[[], Shelf]) -> Shelf:
    """A store with published months, evaluated; with one that failed its validation and one that a gate refused."""
    shelf = new_shelf()
    for number in (0, 1, 2, 4):
        publish_month(shelf, MONTHS[number], warn=number == 1)
    evaluate(shelf, MONTHS[0], MONTHS[2])
    stop_at_validation(shelf, MONTHS[3])
    stop_at_gates(shelf, MONTHS[4] + 2)
    return shelf


@pytest.fixture(scope="package")
def site(published: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages of that store, which wait as long as reading takes."""
    site = Site(published, tmp_path_factory.mktemp("digests"), "/deep-factor", patience=30.0)
    yield site
    site.close()
