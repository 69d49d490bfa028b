from __future__ import annotations

import secrets

import pytest

from deepfactor.explaining.published import PublishedModel, read_model_month
from deepfactor.store import Store
from tests.explaining.made_months import LAST_MONTH, MONTH, publish_made


@pytest.fixture(scope="package")
def two_months(bucket: Store) -> Store:
    """A store in which two months are published."""
    store = bucket.below(secrets.token_hex(6))
    for month in (LAST_MONTH, MONTH):
        publish_made(store, month)
    return store


@pytest.fixture(scope="package")
def published(two_months: Store) -> PublishedModel:
    """The second of them."""
    return read_model_month(two_months, MONTH)
