"""Airflow's REST API, as much of it as the stack and the demonstration need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from deepfactor.stack.errors import StackError

FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

_GROUPS = frozenset({"::group::", "::endgroup::"})


@dataclass(frozen=True)
class TaskState:
    """One task, or one of the copies that it is mapped to."""

    task: str
    index: int
    label: str | None
    state: str | None
    seconds: float | None
    started: datetime | None
    attempt: int

    @property
    def name(self) -> str:
        """The task's name, with what it is mapped over."""
        if self.index < 0:
            return self.task
        return f"{self.task} [{self.label or self.index}]"


class AirflowClient:
    """A session with one Airflow API server.

    Parameters
    ----------
    address
        Of the server, without a path.
    user, password
        A login of its SimpleAuthManager; the session is opened with the first call that needs it.
    """

    def __init__(self, address: str, user: str, password: str) -> None:
        # Proxy variables of the caller must not send loopback traffic elsewhere.
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=False)
        self._login = {"username": user, "password": password}

    def health(self) -> dict[str, str | None]:
        """Return the state of each component, nothing if the server does not answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health", timeout=3)
            return {name: (part or {}).get("status") for name, part in answer.json().items()}
        except (httpx.HTTPError, ValueError, AttributeError):
            return {}

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Create a pool unless it is there."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        self.call("POST", "/api/v2/pools", json=body, accepted=(409,))

    def has_dag(self, dag: str) -> bool:
        """Tell whether the DAG has been parsed."""
        return self.call("GET", f"/api/v2/dags/{dag}", accepted=(404,)).is_success

    def import_errors(self) -> list[str]:
        """Return why DAG files could not be parsed."""
        return [each["stack_trace"] for each in self.call("GET", "/api/v2/importErrors").json()["import_errors"]]

    def unpause(self, dag: str) -> None:
        """Let the DAG's runs start."""
        self.call("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False})

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        """Start a run that belongs to no logical date, and return its id."""
        body = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"/api/v2/dags/{dag}/dagRuns", json=body).json()["dag_run_id"])

    def run(self, dag: str, run: str) -> dict[str, Any]:
        """Return a run as the API describes it."""
        content: dict[str, Any] = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run)}").json()
        return content

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """Return the hundred newest runs."""
        query = {"limit": 100, "order_by": "-run_after"}
        found: list[dict[str, Any]] = self.call("GET", f"/api/v2/dags/{dag}/dagRuns", params=query).json()["dag_runs"]
        return found

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """Return the state of each task of a run."""
        found = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances", params={"limit": 100})
        return [_task_state(each) for each in found.json()["task_instances"]]

    def log(self, dag: str, run: str, task: TaskState) -> list[str]:
        """Return the lines of a task's last attempt."""
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task.task}/logs/{max(task.attempt, 1)}"
        answer = self.call("GET", path, params={"map_index": task.index, "full_content": True}, accepted=(404,))
        if not answer.is_success:
            return []
        return [line for each in answer.json()["content"] for line in _log_lines(each)]

    def call(self, method: str, path: str, accepted: tuple[int, ...] = (), **options: Any) -> httpx.Response:
        """Ask the server.

        Parameters
        ----------
        method, path, options
            Of the request, as ``httpx`` takes them.
        accepted
            Statuses that are an answer, too, besides those of success.

        Raises
        ------
        StackError
            If the server does not answer, or refuses, with its reason.
        """
        try:
            if "Authorization" not in self._http.headers:
                token = self._http.post("/auth/token", json=self._login)
                token.raise_for_status()
                self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise StackError(f"Airflow does not answer {method} {path}: {error}; look at its logs") from None
        if not answer.is_success and answer.status_code not in accepted:
            raise StackError(f"Airflow refused {method} {path} ({answer.status_code}): {_detail(answer)}")
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _task_state(content: dict[str, Any]) -> TaskState:
    started = content["start_date"]
    return TaskState(
        task=content["task_id"],
        index=content["map_index"],
        label=content.get("rendered_map_index"),
        state=content["state"],
        seconds=content["duration"],
        started=datetime.fromisoformat(started) if started else None,
        attempt=content["try_number"],
    )


def _log_lines(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return [str(entry)]
    event = str(entry.get("event", ""))
    if event.startswith(tuple(_GROUPS)):
        return []
    reasons = [f"{each.get('exc_type')}: {each.get('exc_value')}" for each in entry.get("error_detail") or []]
    return [event, *reasons]


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
