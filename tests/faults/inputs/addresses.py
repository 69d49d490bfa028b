"""Addresses of the pages, through the application that the plugin mounts, as an ASGI server hands them over."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, unquote

from deepfactor.stack.layout import CHECKOUT
from tests.faults.inputs.fuzzing import Case
from tests.faults.inputs.mutation import WORDS

# Logged with its trace by the server; everything else is an answer.
_EXPECTED = {200, 303, 304, 400, 404, 405, 413, 422}
_PARTS = (
    "months",
    "securities",
    "evaluations",
    "files",
    "show",
    "runs",
    "validation",
    "gates",
    "manifest",
    "report.html",
    "signals.parquet",
    "data_docs",
    "index.html",
    "2013-01",
    "2013-02",
    "2013-01_2013-02",
    "2199-12",
    "1900-01",
    "made-2013-01",
    "1300",
    "1307",
    "..",
    ".",
    "",
    "dag-runs",
)
_PLACES = (
    "",
    "months/2013-01",
    "months/2013-01/gates",
    "months/2013-01/validation",
    "months/2013-01/files/report.html",
    "months/2013-01/files/signals.csv",
    "months/2013-01/show/validation/data_docs/index.html",
    "months/2013-01/runs/made-2013-01/files/gates.json",
    "months/2013-03",
    "securities",
    "securities/1300",
    "evaluations",
    "evaluations/2013-01_2013-02/files/summary.json",
    "dag-runs/other/run",
)


@contextmanager
def cases() -> Iterator[Case]:
    """Ask for an address; the login that every request needs is taken as given, ``tests/plugins`` tests that."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="home-", dir=Path.cwd())
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(CHECKOUT / "plugins")
    import sys

    sys.path.insert(0, str(CHECKOUT / "plugins"))
    import deep_factor_pages as pages

    app = pages.build_app(pages.Sites(Path("digests")))
    app.dependency_overrides[app.router.dependencies[0].dependency] = lambda: None
    loop = asyncio.new_event_loop()

    def case(random: Random) -> str:
        raw, query = _address(random)
        headers = [(b"host", b"airflow"), (b"if-none-match", random.choice(WORDS).encode("latin-1", "replace"))]
        status, body = loop.run_until_complete(_ask(app, raw, query, headers[: random.randint(1, 2)]))
        assert status in _EXPECTED, f"{status} for {raw[:200]!r}?{query[:200]!r}: {body[-300:]!r}"
        assert b"Traceback" not in body
        return str(status)

    yield case
    loop.close()


async def _ask(app: Any, raw: bytes, query: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        # As uvicorn makes it of the bytes of a request.
        "path": unquote(raw.decode("ascii")),
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    status, parts = 0, []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        parts.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception as error:  # what the server would log as a fault of the program
        raise AssertionError(f"{raw[:200]!r}?{query[:200]!r}: {type(error).__name__}: {error}") from error
    return status, b"".join(parts)


def _address(random: Random) -> tuple[bytes, bytes]:
    kind = random.random()
    if kind < 0.4:
        text = random.choice(_PLACES)
        place = random.randint(0, len(text))
        text = (
            text[:place]
            + random.choice((*WORDS, *_PARTS, "/", "%2f", "%00", "%"))
            + text[place + random.randint(0, 3) :]
        )
    else:
        parts = (random.choice(_PARTS if random.random() < 0.8 else WORDS) for _ in range(random.randint(0, 7)))
        text = "/".join(parts)
    safe = "/%" if random.random() < 0.5 else "/"
    raw = b"/" + quote(text.encode("utf-8", "surrogatepass"), safe=safe).encode("ascii")
    if random.random() < 0.1:
        raw = raw + b"%" + random.choice((b"ff", b"ed%a0%80", b"c0%af", b"0", b"zz", b"2e%2e/%2e%2e"))
    if random.random() < 0.02:
        raw = raw + b"/a" * random.choice((1_000, 30_000))
    names = ("query", "month", "model", random.choice(WORDS))
    query = "&".join(
        f"{quote(random.choice(names), safe='')}={quote(random.choice((*WORDS, *_PARTS)), safe=safe)}"
        for safe in random.choices(("", "%&="), k=random.randint(0, 3))
    )
    return raw, query.encode("ascii", "replace")
