"""Airflow's REST API, as much of it as the stack, the demonstration and the backfill need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from ipaddress import ip_address
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import httpx

from deepfactor.stack.errors import StackError

FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

_PAGE = 100

# What Airflow says while its database is away or locked, and what a proxy says while the server is started again.
_AWAY = frozenset({500, 502, 503, 504})

_ERRORS = frozenset({"error", "critical"})
# What Airflow logs as an error after the one that ended the task.
_AFTERWARDS = frozenset({"Task exited", "Failed to run task callback", "error calling listener"})
_GROUPS = frozenset({"::group::", "::endgroup::"})


class AirflowUnreachable(StackError):
    """Airflow's API server does not answer; it may later."""

    retryable: ClassVar[bool] = True


class AirflowRefused(StackError):
    """Airflow's API server refuses a request.

    Attributes
    ----------
    status
        The answer's HTTP status.
    detail
        Its reason.
    """

    def __init__(self, message: str, status: int, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


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
        Of the server, with the path below which it answers if there is one.
    user, password
        A login of its auth manager; the session is opened with the first call that needs it.
    token
        A bearer token, instead of a login.
    """

    def __init__(
        self, address: str, user: str | None = None, password: str | None = None, *, token: str | None = None
    ) -> None:
        # Proxy variables of the caller must not send loopback traffic elsewhere.
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=not _is_loopback(address))
        self._login = {"username": user, "password": password}
        self._token = token
        self.address = address.rstrip("/")

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

    def runs_between(self, dag: str, first: date, last: date) -> list[dict[str, Any]]:
        """Return the runs whose logical date is one of these days, ends included, oldest first."""
        span = {
            "logical_date_gte": f"{first}T00:00:00Z",
            "logical_date_lte": f"{last}T23:59:59Z",
            "order_by": "logical_date",
        }
        return list(self._pages(f"/api/v2/dags/{quote(dag)}/dagRuns", "dag_runs", span))

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """Return the state of each task of a run."""
        found = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances", params={"limit": 100})
        return [_task_state(each) for each in found.json()["task_instances"]]

    def log(self, dag: str, run: str, task: TaskState) -> list[str]:
        """Return the lines of a task's last attempt."""
        return [line for each in self._log_entries(dag, run, task) for line in _log_lines(each)]

    def failure(self, dag: str, run: str, task: TaskState) -> str | None:
        """Return the last error that a task's last attempt has logged, none if there is none."""
        reasons = (_error(each) for each in reversed(self._log_entries(dag, run, task)))
        return next((reason for reason in reasons if reason), None)

    def _log_entries(self, dag: str, run: str, task: TaskState) -> list[Any]:
        path = f"/api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task.task}/logs/{max(task.attempt, 1)}"
        answer = self.call("GET", path, params={"map_index": task.index, "full_content": True}, accepted=(404,))
        return list(answer.json()["content"]) if answer.is_success else []

    def _pages(self, path: str, what: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self.call("GET", path, params={**query, "limit": _PAGE, "offset": offset}).json()[what]
            yield from page
            offset += _PAGE
            if len(page) < _PAGE:
                return

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
        AirflowUnreachable
            If the server does not answer.
        AirflowRefused
            If it refuses, with its reason.
        """
        answer = self._answer(method, path, options)
        if answer.status_code == 401 and self._token is None:
            # The session's token has expired.
            del self._http.headers["Authorization"]
            answer = self._answer(method, path, options)
        if not answer.is_success and answer.status_code not in accepted:
            detail = _detail(answer)
            message = f"Airflow refused {method} {path} ({answer.status_code}): {detail}"
            raise AirflowRefused(message, answer.status_code, detail)
        return answer

    def _answer(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        try:
            if "Authorization" not in self._http.headers:
                self._http.headers["Authorization"] = f"Bearer {self._token or self._new_token()}"
            answer = self._http.request(method, path, **options)
            if answer.status_code in _AWAY:
                answer.raise_for_status()
            return answer
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise AirflowUnreachable(
                f"Airflow at {self.address} does not answer {method} {path}: {reason}; is it up, and is this its "
                "address? Look at its logs"
            ) from None

    def _new_token(self) -> str:
        answer = self._http.post("/auth/token", json=self._login)
        if answer.is_server_error:
            answer.raise_for_status()
        try:
            return str(answer.json()["access_token"])
        except (ValueError, KeyError, TypeError):
            raise AirflowRefused(
                f"Airflow at {self.address} refused the login of user {self._login['username']} "
                f"({answer.status_code}): {_detail(answer)}",
                answer.status_code,
                _detail(answer),
            ) from None

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


def _error(entry: Any) -> str | None:
    """Return what a log entry says of an error, none if it is about none."""
    if not isinstance(entry, dict) or str(entry.get("level", "")).lower() not in _ERRORS:
        return None
    if str(entry.get("event", "")) in _AFTERWARDS:
        return None
    details = [each for each in entry.get("error_detail") or [] if each.get("exc_value")]
    if not details:
        return str(entry.get("event", "")) or None
    kind, value = str(details[-1].get("exc_type", "")), str(details[-1]["exc_value"])
    # Expected failures come wrapped, and their message says all.
    return value if kind.startswith("Airflow") or not kind else f"{kind}: {value}"


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
