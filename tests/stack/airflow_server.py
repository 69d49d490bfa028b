"""A server on 127.0.0.1 that answers as Airflow's REST API does, as far as backfills ask it; it computes nothing.

What the real one does is tested in ``tests/integration/test_backfill.py``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from deepfactor.months import Month, month_range, planned_session

DAG = "deepfactor_monthly"
USER, PASSWORD = "analyst", "a password"
START = datetime(2006, 3, 1, tzinfo=UTC)
LAST_DUE = Month.parse("2016-02")

Answer = tuple[int, Any]


@dataclass
class AirflowServer:
    """What the server holds; each look at the runs moves them on by one state."""

    runs: dict[Month, str] = field(default_factory=dict)
    verdicts: dict[Month, str] = field(default_factory=dict)
    """How a month's run ends, if not well."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Of each task that failed."""
    backfills: list[dict[str, Any]] = field(default_factory=list)
    paused: bool = False
    denied: tuple[str, ...] = ()
    """Methods with which the user may not touch backfills."""
    tokens: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    """Statuses with which the next requests are answered."""
    moves: bool = True
    slow: float = 0.0
    """Seconds between the start of a backfill and the answer."""
    address: str = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, token: str) -> Answer:
        self.asked.append(f"{method} {path}")
        if path == "/auth/token":
            return self._login(body)
        if self.failures:
            return self.failures.pop(0), {"detail": "as the test wants it"}
        if token not in self.tokens:
            return 401, {"detail": "Invalid JWT token"}
        parts = path.removeprefix("/api/v2/").split("/")
        if parts[0] == "backfills":
            return self._backfills(method, parts[1:], body)
        if parts[:2] != ["dags", DAG]:
            return 404, {"detail": "not found"}
        return self._dag(parts[2:], query)

    def expire(self) -> None:
        self.tokens.clear()

    def _login(self, body: Any) -> Answer:
        if body != {"username": USER, "password": PASSWORD}:
            return 401, {"detail": "Invalid credentials"}
        token = f"token-{len(self.asked)}"
        self.tokens.add(token)
        return 201, {"access_token": token}

    def _dag(self, parts: list[str], query: dict[str, str]) -> Answer:
        match parts:
            case ["details"]:
                return 200, {"is_paused": self.paused, "max_active_runs": 2, "start_date": START.isoformat()}
            case ["dagRuns"]:
                self._move()
                offset, limit = int(query["offset"]), int(query["limit"])
                chosen = [self._run(month) for month in sorted(self.runs) if _between(month, query)]
                return 200, {"dag_runs": chosen[offset : offset + limit]}
            case ["dagRuns", run, "taskInstances"]:
                return 200, {"task_instances": self._tasks(Month.parse(run[-7:]))}
            case ["dagRuns", _, "taskInstances", _, "logs", _]:
                return 200, {"content": self.log}
        return 404, {"detail": "not found"}

    def _run(self, month: Month) -> dict[str, Any]:
        over = self.runs[month] in ("success", "failed")
        return {
            "dag_run_id": f"backfill__{month}",
            "logical_date": _logical_date(month),
            "run_type": "backfill",
            "state": self.runs[month],
            "start_date": "2026-01-01T00:00:00Z",
            "end_date": "2026-01-01T00:01:00Z" if over else None,
        }

    def _tasks(self, month: Month) -> list[dict[str, Any]]:
        state = "success" if self.runs[month] == "success" else "failed"
        tasks = [("ingest", "success"), ("validate", state)] if self.log else []
        return [
            {
                "task_id": name,
                "map_index": -1,
                "state": state,
                "duration": 1.0,
                "start_date": "2026-01-01T00:00:00Z",
                "try_number": 1,
            }
            for name, state in tasks
        ]

    def _backfills(self, method: str, parts: list[str], body: Any) -> Answer:
        if method in self.denied:
            return 403, {"detail": "Forbidden"}
        match method, parts:
            case "GET", []:
                return 200, {"backfills": list(reversed(self.backfills))}
            case "POST", ["dry_run"]:
                months = [month for month in _span(body) if self.runs.get(month) not in ("queued", "running")]
                return 200, {"backfills": [{"logical_date": _logical_date(month)} for month in months]}
            case "POST", []:
                return self._create(body)
            case "GET", [number]:
                return 200, self._look(self.backfills[int(number) - 1])
            case "PUT", [number, action]:
                backfill = self.backfills[int(number) - 1]
                if action == "cancel":
                    backfill["completed_at"] = "2026-01-01T00:00:00Z"
                    self.runs |= {month: "failed" for month, state in self.runs.items() if state == "queued"}
                else:
                    backfill["is_paused"] = action == "pause"
                return 200, backfill
        return 404, {"detail": "not found"}

    def _create(self, body: Any) -> Answer:
        if any(each["completed_at"] is None for each in self.backfills):
            return 409, {"detail": "There is already a running backfill for dag"}
        again = {"none": (), "failed": ("failed",), "completed": ("failed", "success")}[body["reprocess_behavior"]]
        for month in _span(body):
            if self.runs.get(month) in (None, *again):
                self.runs[month] = "queued"
        backfill = {
            **{name: body[name] for name in ("from_date", "to_date", "reprocess_behavior", "max_active_runs")},
            "id": len(self.backfills) + 1,
            "dag_run_conf": body["dag_run_conf"],
            "is_paused": False,
            "created_at": "2026-01-01T00:00:00Z",
            "completed_at": None,
        }
        self.backfills.append(backfill)
        time.sleep(self.slow)
        return 200, backfill

    def _look(self, backfill: dict[str, Any]) -> dict[str, Any]:
        if all(state in ("success", "failed") for state in self.runs.values()):
            backfill["completed_at"] = backfill["completed_at"] or "2026-01-01T00:00:00Z"
        return backfill

    def _move(self) -> None:
        if not self.moves or not any(not each["is_paused"] for each in self.backfills):
            return
        for month, state in self.runs.items():
            ends = {"queued": "running", "running": self.verdicts.get(month, "success")}
            self.runs[month] = ends.get(state, state)


@contextmanager
def served(airflow: AirflowServer) -> Iterator[AirflowServer]:
    """Serve on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, content = airflow.answer(self.command, unquote(url.path), query, body, token)
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(ConnectionError):  # of a client that was interrupted
                self.wfile.write(answer)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that the base class calls

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    airflow.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield airflow
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _logical_date(month: Month) -> str:
    return f"{planned_session(month)}T00:00:00Z"


def _between(month: Month, query: dict[str, str]) -> bool:
    moment = _logical_date(month)
    return query["logical_date_gte"] <= moment <= query["logical_date_lte"]


def _span(body: Any) -> list[Month]:
    """Return the months whose last session lies between the dates, as Airflow does, also before the DAG's start."""
    first, last = (Month.containing(datetime.fromisoformat(body[name]).date()) for name in ("from_date", "to_date"))
    months = month_range(first, min(last, LAST_DUE))
    return [month for month in months if body["from_date"] <= _logical_date(month) <= body["to_date"]]
