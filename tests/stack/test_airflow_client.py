from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from deepfactor.months import Month, month_range
from deepfactor.stack.airflow_client import AirflowClient, AirflowRefused, AirflowUnreachable, TaskState
from tests.stack.airflow_server import DAG, PASSWORD, USER, AirflowServer, served

TASK = TaskState("validate", -1, None, "failed", 1.0, None, 1)


@pytest.fixture
def airflow() -> Iterator[AirflowServer]:
    with served(AirflowServer()) as server:
        yield server


@pytest.fixture
def session(airflow: AirflowServer) -> Iterator[AirflowClient]:
    client = AirflowClient(airflow.address, USER, PASSWORD)
    yield client
    client.close()


def test_it_logs_in_once(airflow: AirflowServer, session: AirflowClient) -> None:
    for _ in range(3):
        session.call("GET", f"/api/v2/dags/{DAG}/details")
    assert airflow.asked.count("POST /auth/token") == 1


def test_it_logs_in_again_when_the_token_has_expired(airflow: AirflowServer, session: AirflowClient) -> None:
    session.call("GET", f"/api/v2/dags/{DAG}/details")
    airflow.expire()
    assert session.call("GET", f"/api/v2/dags/{DAG}/details").is_success
    assert airflow.asked.count("POST /auth/token") == 2


def test_a_token_needs_no_login(airflow: AirflowServer) -> None:
    airflow.tokens.add("given")
    client = AirflowClient(airflow.address, token="given")
    assert client.call("GET", f"/api/v2/dags/{DAG}/details").is_success
    airflow.expire()
    with pytest.raises(AirflowRefused, match="Invalid JWT token") as refused:
        client.call("GET", f"/api/v2/dags/{DAG}/details")
    assert refused.value.status == 401
    assert "POST /auth/token" not in airflow.asked
    client.close()


def test_a_wrong_login_is_refused_without_telling_the_password(airflow: AirflowServer) -> None:
    client = AirflowClient(airflow.address, USER, "another word")
    with pytest.raises(AirflowRefused, match=f"refused the login of user {USER} .401.: Invalid credentials") as refused:
        client.call("GET", "/api/v2/dags")
    assert "another word" not in str(refused.value)
    assert not refused.value.retryable
    client.close()


def test_a_refusal_keeps_status_and_reason(airflow: AirflowServer, session: AirflowClient) -> None:
    with pytest.raises(AirflowRefused, match="refused GET /api/v2/dags/other .404.: not found") as refused:
        session.call("GET", "/api/v2/dags/other")
    assert (refused.value.status, refused.value.detail) == (404, "not found")


def test_nobody_there() -> None:
    with served(AirflowServer()) as gone:
        pass
    client = AirflowClient(gone.address, USER, PASSWORD)
    with pytest.raises(AirflowUnreachable, match=f"Airflow at {gone.address} does not answer GET /api/v2/dags") as lost:
        client.call("GET", "/api/v2/dags")
    assert lost.value.retryable
    client.close()


def test_runs_come_in_pages(airflow: AirflowServer, session: AirflowClient) -> None:
    months = list(month_range(Month.parse("2006-03"), Month.parse("2016-02")))
    airflow.runs = dict.fromkeys(months, "success")
    found = session.runs_between(DAG, months[0].first_day, months[-1].last_day)
    assert [run["dag_run_id"][-7:] for run in found] == list(map(str, months))
    (one,) = session.runs_between(DAG, months[5].first_day, months[5].last_day)
    assert one["logical_date"].startswith("2006-08-31")


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], None),
        ([{"level": "info", "event": "all is well"}, "a line without structure"], None),
        ([{"level": "error", "event": "first"}, {"level": "error", "event": "last"}, {"level": "info"}], "last"),
        (
            [{"level": "error", "event": "2019-05 is missing"}, {"level": "error", "event": "Task exited"}],
            "2019-05 is missing",
        ),
        ([{"level": "critical", "event": "killed by a signal"}], "killed by a signal"),
        (
            [
                {
                    "level": "error",
                    "event": "Task failed with exception",
                    "error_detail": [{"exc_type": "AirflowFailException", "exc_value": "2019-05 is missing"}],
                }
            ],
            "2019-05 is missing",
        ),
        (
            [
                {
                    "level": "error",
                    "event": "Task failed with exception",
                    "error_detail": [{"exc_type": "KeyError", "exc_value": "'close'"}],
                }
            ],
            "KeyError: 'close'",
        ),
    ],
)
def test_the_reason_is_the_last_error(
    airflow: AirflowServer, session: AirflowClient, entries: list[Any], reason: str | None
) -> None:
    airflow.log = entries
    assert session.failure(DAG, "backfill__2016-02", TASK) == reason
