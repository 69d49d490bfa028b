"""The service on this machine: endpoints, pages, errors and moods as documented."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.sources.jquants.market import FIRST_DAY, Market

KEY = "ak-5eCr3t_0123456789"
SUBSCRIPTION = "Your subscription covers the following dates: {} ~ . If you want more data, please check other plans"


class Service:
    """A running service.

    Attributes
    ----------
    asked
        Every request that was answered: path and parameters.
    moods
        What happens to the next requests, one each: a status, or ``reset``, ``truncated``, ``slow``, ``html``,
        ``redirect``, ``no list``, ``same page``.
    gives_up_after
        Number of requests after which no more are answered; None: never.
    without
        Paths that the subscription's plan does not have.
    rename
        Columns that the service has renamed: (path, old name) to new name.
    """

    def __init__(self, market: Market, page_size: int = 6) -> None:
        self.market = market
        self.page_size = page_size
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.moods: deque[Any] = deque()
        self.gives_up_after: int | None = None
        self.retry_after: str | None = None
        self.without: set[str] = set()
        self.rename: dict[tuple[str, str], str] = {}
        self.covered_from = FIRST_DAY
        self.spoil: Callable[[str, list[dict[str, Any]]], list[dict[str, Any]]] = lambda _path, rows: rows
        service = self

        class Handler(_Handler):
            pass

        Handler.service = service
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v2"

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def rows(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """Return the records of a request."""
        by_day = {
            "/equities/bars/daily": self.market.bars,
            "/equities/master": self.market.master,
            "/fins/summary": self.market.statements,
            "/fins/dividend": self.market.dividends,
        }
        if path in by_day:
            day = date.fromisoformat(query["date"])
            while path == "/equities/master" and day not in self.market.master:
                day += timedelta(days=1)  # the listing of the next session, as documented
            rows = by_day[path].get(day, [])
        else:
            first, last = (date.fromisoformat(query[name]) for name in ("from", "to"))
            if path == "/markets/calendar":
                pairs = [(day, {"HolDiv": division}) for day, division in self.market.calendar.items()]
            else:
                pairs = [(day, dict.fromkeys("OHLC", close)) for day, close in self.market.topix.items()]
            rows = [{"Date": day.isoformat(), **values} for day, values in pairs if first <= day <= last]
        renamed = {old: new for (of, old), new in self.rename.items() if of == path}
        return self.spoil(path, [{renamed.get(name, name): value for name, value in row.items()} for row in rows])


class _Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        service = self.service
        if service.gives_up_after is not None and len(service.asked) >= service.gives_up_after:
            self.close_connection = True
            return
        address = urlsplit(self.path)
        path, query = address.path.removeprefix("/v2"), dict(parse_qsl(address.query))
        mood = service.moods.popleft() if service.moods else None
        if mood == "reset":
            self.close_connection = True
        elif mood == "slow":
            time.sleep(0.4)
            self._send(200, {"data": []})
        elif mood == "html":
            self._send(200, b"<html>maintenance</html>")
        elif mood == "redirect":
            self._send(302, b"", Location="http://127.0.0.1:9/elsewhere")
        elif mood == "no list":
            self._send(200, {"info": []})
        elif mood == "same page":
            self._send(200, {"data": [], "pagination_key": query.get("pagination_key", "again")})
        elif isinstance(mood, int):
            message = {"message": f"status {mood} for key {self.headers.get('x-api-key')}"}
            self._send(mood, message, **{"Retry-After": service.retry_after} if service.retry_after else {})
        else:
            self._answer(path, query, truncated=mood == "truncated")

    def _answer(self, path: str, query: dict[str, str], *, truncated: bool) -> None:
        service = self.service
        if self.headers.get("x-api-key") != KEY:
            return self._send(403, {"message": "The incoming api key is invalid or expired."})
        if path in service.without:
            return self._send(403, {"message": "This API is not available on your subscription."})
        day = query.get("date") or query.get("from")
        if day is None:
            return self._send(400, {"message": "This API requires at least 1 parameter as follows; date, code"})
        if date.fromisoformat(day) < service.covered_from and path != "/equities/master":
            return self._send(400, {"message": SUBSCRIPTION.format(service.covered_from)})
        service.asked.append((path, query))
        rows = service.rows(path, query)
        start = int(query.get("pagination_key", "page-0").removeprefix("page-"))
        answer: dict[str, Any] = {"data": rows[start : start + service.page_size]}
        if start + service.page_size < len(rows) and path != "/markets/calendar":
            answer["pagination_key"] = f"page-{start + service.page_size}"
        elif path == "/markets/calendar":
            answer["data"] = rows
        return self._send(200, answer, truncated=truncated)

    def _send(self, status: int, content: Any, *, truncated: bool = False, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if truncated else body)
        if truncated:
            self.close_connection = True
