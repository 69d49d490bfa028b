from __future__ import annotations

import secrets

import pytest

from deepfactor.evaluating.evaluate import evaluate
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.store import Store
from tests.evaluating.made_span import FIRST, LAST, publish_span


@pytest.fixture(scope="package")
def span_store(bucket: Store) -> Store:
    """A store in which twenty months and the one after them are published."""
    store = bucket.below(secrets.token_hex(6))
    publish_span(store, FIRST, LAST + 1)
    return store


@pytest.fixture(scope="package")
def evaluation(span_store: Store) -> Evaluation:
    """The evaluation of the twenty months, published."""
    return evaluate(span_store, FIRST, LAST)[0]


@pytest.fixture(scope="package")
def leaking(bucket: Store) -> Evaluation:
    """The evaluation of twelve months in which an input held the next month's return."""
    store = bucket.below(secrets.token_hex(6))
    publish_span(store, FIRST, FIRST + 12, leak=True)
    return evaluate(store, FIRST, FIRST + 11)[0]
