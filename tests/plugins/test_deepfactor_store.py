"""The store is that of Airflow's connection."""

from __future__ import annotations

import importlib
import json
from types import ModuleType

import pytest

from deepfactor.errors import ConfigurationError
from deepfactor.stack.airflow_settings import CONNECTION
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store


@pytest.fixture(scope="module")
def module() -> ModuleType:
    importlib.import_module("airflow")
    return importlib.import_module("deepfactor_store")


def test_the_store_is_that_of_the_connection(
    module: ModuleType, endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"login": endpoint.credentials.access_key, "password": endpoint.credentials.secret_key}
    extra = {"store": store.url("").rstrip("/"), "endpoint_url": endpoint.url}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", json.dumps({"conn_type": "aws", "extra": extra} | keys))
    assert module.CONNECTION == CONNECTION
    reference = module.open_store().put("body", b"bytes")
    assert store.read(reference) == b"bytes"


def test_a_connection_without_a_store_says_what_is_missing(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", '{"conn_type": "aws"}')
    with pytest.raises(ConfigurationError, match='deepfactor_store has no "store" in its extra: set it'):
        module.open_store()
