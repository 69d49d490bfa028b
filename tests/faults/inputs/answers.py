"""Answers of the data service over HTTP: damaged JSON, values that do not belong, compressed, endless, repeated."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from deepfactor.errors import SourceError
from deepfactor.sources.jquants.archive import Archive
from deepfactor.sources.jquants.client import Client
from deepfactor.sources.jquants.endpoints import BARS, CALENDAR, DIVIDENDS, STATEMENTS
from deepfactor.sources.jquants.trading_days import TradingDays
from tests.faults.inputs.fuzzing import CORPUS, Case, corpus
from tests.faults.inputs.mutation import WORDS, mutated, nested, spoiled

_KEY = "a-key-that-nobody-may-see"
_DAY = date(2016, 2, 29)
_SEEDS = {"bars": BARS, "statements": STATEMENTS, "calendar": CALENDAR, "dividends": DIVIDENDS}


class _Service(ThreadingHTTPServer):
    """Answers everything alike; ``body`` is sent as it is, ``pages`` with an ever new key of a next page."""

    daemon_threads = True
    status = 200
    body = b""
    headers: tuple[tuple[str, str], ...] = ()
    pages = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Service
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        body = self.server.body
        if self.server.pages:
            self.server.pages += 1
            body = json.dumps({"data": [], "pagination_key": str(self.server.pages)}).encode()
        self.send_response(self.server.status)
        for name, value in (("Content-Length", str(len(body))), *self.server.headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def cases() -> Iterator[Case]:
    """Ask a service that answers with something, and read what it says."""
    seeds = {name: (CORPUS / f"answer-{name}.json").read_bytes() for name in _SEEDS}
    others = [path.read_bytes() for path in corpus("answer-*.json", "found-answer*")]
    service = _Service(("127.0.0.1", 0), _Handler)
    threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
    client = Client(
        _KEY,
        base_url=f"http://127.0.0.1:{service.server_address[1]}/v2",
        requests_per_minute=1e9,
        statements_per_minute=1e9,
        timeout=5.0,
        sleep=lambda _: None,
    )

    def case(random: Random) -> str:
        name = random.choice(list(_SEEDS))
        endpoint = _SEEDS[name]
        service.status, service.headers, service.pages, service.body = 200, (), 0, b""
        _prepare(random, service, seeds[name], others)
        # Nothing that is in the future is kept.
        archive = Archive(Path("archive"), client, lambda: _DAY)
        try:
            found = archive.read(endpoint, [(_DAY, _DAY)])
            if endpoint is CALENDAR:
                TradingDays.from_calendar(found)
        except SourceError as error:
            assert _KEY not in str(error), "the key is told"
            assert len(str(error)) < 5_000, "the message is a book"
            assert "J-Quants" in str(error), f"the message does not say whose: {error}"
            return "may be asked again" if error.retryable else "refused"
        assert dict(found.schema) == dict(endpoint.columns), f"another table: {found.schema}"
        return "read"

    yield case
    service.shutdown()
    service.server_close()


def _prepare(random: Random, service: _Service, good: bytes, seeds: list[bytes]) -> None:
    kind = random.random()
    if kind < 0.4:
        service.body = mutated(random, good, seeds)
    elif kind < 0.85:
        content: Any = spoiled(random, json.loads(good), random.choice((0.02, 0.1)))
        if isinstance(content, dict) and random.random() < 0.1:
            content["pagination_key"] = random.choice(("", None, 1, [], {}))
        service.body = json.dumps(content, default=str).encode()
    elif kind < 0.9:
        service.status = random.choice((204, 301, 302, 400, 401, 403, 404, 429, 500, 503))
        message: Any = random.choice(
            (_KEY, "covers the following dates: 2016-99-99 ~ ", "covers the following dates: ~ 2020-01-01", *WORDS)
        )
        service.body = json.dumps({"message": message}).encode() if service.status != 204 else b""
        service.headers = (
            (("Retry-After", random.choice(("1", "9" * 400, "٣", "-1", "x"))),) if message.isascii() else ()
        )
    elif kind < 0.995:
        bombs = (nested(random, "[", "]"), nested(random, '{"data":', "}"), '{"data": [' + "9" * 6_000 + "]}")
        service.body = random.choice(
            (*bombs, '{"data": [{}, 5, "x", []]}', '{"data": ["\\ud800"]}', "\ufeff{}")
        ).encode()
    elif random.random() < 0.5:
        service.pages = 1
    else:
        # A hundred kilobytes that stand for more than a hundred megabytes.
        service.body = gzip.compress(bytes(110_000_000), 1)
        service.headers = (("Content-Encoding", "gzip"),)
    if kind < 0.4 and random.random() < 0.1:
        service.headers = (("Content-Encoding", random.choice(("gzip", "deflate", "br", "zstd", "x"))),)
