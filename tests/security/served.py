"""Airflow's own application with our pages, served on this machine."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deepfactor.stack.layout import CHECKOUT

_PROGRAM = """
import json, pathlib, sys
from airflow.cli.cli_parser import get_parser

given = get_parser().parse_args(["db", "migrate"])
given.func(given)

import uvicorn
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

app = create_app(apps="core")
tokens = {
    role or "nobody": get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role or "nobody", role=role))
    for role in ("viewer", "admin", None)
}
pathlib.Path(sys.argv[2]).write_text(json.dumps(tokens))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""
_PATIENCE = 180.0


@dataclass(frozen=True)
class Served:
    """A running server.

    Attributes
    ----------
    address
        Of it.
    port
        The same.
    tokens
        Of a viewer, an administrator, and somebody without a role (``nobody``).
    log
        What it has written.
    """

    address: str
    port: int
    tokens: dict[str, str]
    log: Path

    def ask(self, method: str, path: str, who: str | None = None, **headers: str) -> httpx.Response:
        """Ask as somebody, or as nobody at all; the path is sent as it is."""
        cookies = {"_token": self.tokens[who]} if who else {}
        with httpx.Client(trust_env=False, timeout=60, cookies=cookies) as client:
            return client.request(method, f"{self.address}{path}", headers=headers)

    def raw(self, request: bytes) -> bytes:
        """Send bytes, and return what comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer


@contextmanager
def served(folder: Path, port: int, connection: dict[str, object]) -> Iterator[Served]:
    """Serve Airflow's application on a database of its own, with this store.

    Parameters
    ----------
    folder
        Airflow's home.
    port
        Where to listen on 127.0.0.1.
    connection
        The store, as Airflow's connection has it.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "DEEPFACTOR"))},
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "AIRFLOW_CONN_DEEPFACTOR_STORE": json.dumps(connection),
        "DEEPFACTOR_PAGES": str(folder / "digests"),
        "NO_PROXY": "*",
    }
    log, tokens = folder / "server.log", folder / "tokens.json"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(port), str(tokens)],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=output,
        )
        try:
            _wait(f"http://127.0.0.1:{port}", process, log)
            yield Served(f"http://127.0.0.1:{port}", port, json.loads(tokens.read_text(encoding="utf-8")), log)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            if httpx.get(f"{address}/api/v2/monitor/health", trust_env=False, timeout=60).is_success:
                return
        except httpx.HTTPError:
            alive = process.poll() is None and time.monotonic() < deadline
            assert alive, log.read_text(encoding="utf-8")[-4000:]
        time.sleep(0.1)
