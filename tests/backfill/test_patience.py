from __future__ import annotations

import logging

import pytest

from deepfactor.backfill.patience import patiently
from deepfactor.errors import StoreError, StoreUnreachable


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepfactor.backfill.patience._INTERVAL", 0.0)


def test_a_server_is_waited_for_and_that_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    troubles = [StoreUnreachable("no answer"), StoreUnreachable("no answer either")]

    def look() -> int:
        if troubles:
            raise troubles.pop(0)
        return 7

    with caplog.at_level(logging.WARNING):
        assert patiently(look) == 7
    assert [each.message for each in caplog.records] == ["no answer; waiting for it"]


def test_a_refusal_is_none_to_wait_for() -> None:
    asked = []

    def look() -> None:
        asked.append(1)
        raise StoreError("no such bucket")

    with pytest.raises(StoreError, match="no such bucket"):
        patiently(look)
    assert asked == [1]


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepfactor.backfill.patience._PATIENCE", 0.05)

    def look() -> None:
        raise StoreUnreachable("no answer")

    with pytest.raises(StoreUnreachable):
        patiently(look)
