"""When a month is late, and what happens then."""

from __future__ import annotations

import asyncio
import importlib
import json
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.months import Month
from deepfactor.publication import manifest_key
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store

from .servers import webhook

DUE = {"calendar": "XTKS", "at": "18:00", "timezone": "Asia/Tokyo", "last_month": None}


@pytest.fixture(scope="module")
def module() -> ModuleType:
    importlib.import_module("airflow")
    return importlib.import_module("deepfactor_lateness")


@pytest.fixture
def late(module: ModuleType, endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Misses the deadline of 2016-02, and returns what the webhook was sent."""
    keys = {"login": endpoint.credentials.access_key, "password": endpoint.credentials.secret_key}

    def late(address: str = endpoint.url) -> list[str]:
        extra = {"store": store.url("").rstrip("/"), "endpoint_url": address}
        monkeypatch.setenv("AIRFLOW_CONN_DEEPFACTOR_STORE", json.dumps({"conn_type": "aws", "extra": extra} | keys))
        run = {"dag_id": "deepfactor_monthly", "dag_run_id": "scheduled__2016", "state": "running"}
        context = {"dag_run": run, "deadline": {"deadline_time": "2016-02-29T23:00:00Z"}}
        with webhook() as received:
            alerts = {"conn_type": "http", "host": "127.0.0.1", "port": received.port}
            monkeypatch.setenv("AIRFLOW_CONN_DEEPFACTOR_ALERTS", json.dumps(alerts))
            asyncio.run(module.month_is_late(DUE, context))
        return [body["text"] for _, body in received.messages]

    return late


def test_a_month_that_is_not_published_is_told_of(late: Any) -> None:
    (text,) = late()
    assert text.startswith(
        "deepfactor_monthly 2016-02 is not published by 2016-03-01 08:00 Asia/Tokyo\nIts run is running.\nRun: http"
    )
    assert "/dags/deepfactor_monthly/runs/scheduled__2016\n" in text


def test_one_that_another_run_has_published_is_not(late: Any, store: Store) -> None:
    store.put(manifest_key(Month.parse("2016-02")), b"{}")
    assert late() == []


def test_a_store_that_does_not_answer_is_no_reason_for_silence(late: Any) -> None:
    (text,) = late("http://127.0.0.1:9")
    assert text.startswith("deepfactor_monthly 2016-02 is not published by 2016-03-01 08:00 Asia/Tokyo, as far as")


@pytest.mark.parametrize(
    ("by", "due", "deadline"),
    [
        ("08:00", "2016-02-29T18:00+09:00", "2016-03-01T08:00+09:00"),
        ("22:30", "2016-02-29T18:00+09:00", "2016-02-29T22:30+09:00"),
        ("18:00", "2016-02-29T18:00+09:00", "2016-03-01T18:00+09:00"),
    ],
)
def test_the_deadline_is_the_first_such_time_after_the_month_is_due(
    module: ModuleType, by: str, due: str, deadline: str
) -> None:
    reference = module.PublishedBy(by, DUE)
    assert reference.deadline(datetime.fromisoformat(due)) == datetime.fromisoformat(deadline)


@given(st.times(), st.integers(0, 2_000_000_000))
def test_it_is_within_a_day(module: ModuleType, by: Any, seconds: int) -> None:
    due = datetime.fromtimestamp(seconds, UTC)
    deadline = module.PublishedBy(f"{by:%H:%M}", DUE).deadline(due)
    assert 0 < (deadline - due).total_seconds() <= 86_400
    assert (deadline.hour, deadline.minute) == (by.hour, by.minute)


def test_there_and_back(module: ModuleType) -> None:

    from airflow.sdk import AsyncCallback, DeadlineAlert
    from airflow.serialization.decoders import decode_deadline_alert
    from airflow.serialization.encoders import encode_deadline_alert

    reference = module.PublishedBy("08:00", DUE)
    alert = DeadlineAlert(reference, timedelta(0), AsyncCallback(module.month_is_late, {"schedule": DUE}))
    encoded = encode_deadline_alert(alert)
    assert encoded["reference"]["__class_path"] == "deepfactor_lateness.PublishedBy"
    decoded = decode_deadline_alert(json.loads(json.dumps(encoded)))
    assert decoded.reference.inner_ref == reference
    assert hash(decoded.reference) == hash(reference)
    assert decoded.callback == alert.callback


@pytest.mark.parametrize("by", ["8", "25:00", ""])
def test_what_is_no_time_of_day_is_refused(module: ModuleType, by: str) -> None:
    from airflow.exceptions import AirflowTimetableInvalid

    with pytest.raises(AirflowTimetableInvalid, match="is not a time of day: write it as HH:MM"):
        module.PublishedBy(by, DUE)
