"""The data service's key comes from Airflow's connection, and only where it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from deepfactor.config import Config, load_config
from deepfactor.stack.layout import CHECKOUT

KEY = "ak-5eCr3t_0123456789"


@pytest.fixture(scope="module")
def service_key() -> Callable[[Config], str | None]:
    found: Any = importlib.import_module("deepfactor_airflow").service_key
    return found  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def jquants() -> Config:
    return load_config(CHECKOUT / "include" / "config" / "jquants.yaml")


@pytest.mark.parametrize("password", [f'"{KEY}"', '""', "null"])
def test_key_of_the_connection(
    service_key: Callable[[Config], str | None], jquants: Config, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_JQUANTS_DEFAULT", f'{{"conn_type": "generic", "password": {password}}}')
    assert service_key(jquants) == (KEY if KEY in password else None)


def test_without_the_connection_the_environment_decides(
    service_key: Callable[[Config], str | None], jquants: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_JQUANTS_DEFAULT", raising=False)
    assert service_key(jquants) is None


def test_files_need_none(service_key: Callable[[Config], str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_JQUANTS_DEFAULT", "not even looked at")
    assert service_key(load_config()) is None
