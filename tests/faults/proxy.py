"""A store that answers wrongly: a proxy on loopback before a real endpoint."""

from __future__ import annotations

import hashlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.exceptions import ClientError

from deepfactor.patience import Patience
from deepfactor.stack.layout import BUCKET
from deepfactor.stack.object_store import REGION, Endpoint
from deepfactor.store import Store
from tests.faults.answers import ANSWERED, Answer, error, unlisted
from tests.faults.plan import Call, Fault, Plan

_HOP = {"connection", "transfer-encoding", "content-length", "date", "server", "keep-alive"}
_LONGEST = 20.0


class Proxy(ThreadingHTTPServer):
    """Passes calls on to an endpoint, but for those that meet a fault.

    Attributes
    ----------
    plan
        Which do; it may be exchanged at any time.
    calls
        What was asked, in order.
    caused
        How often which fault was met.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = Plan()
        self.calls: list[Call] = []
        self.caused: Counter[Fault] = Counter()
        self.healed = threading.Event()
        self.lock = threading.Lock()
        self.before: dict[str, Answer] = {}
        self.read: dict[str, Answer] = {}
        self._endpoint = endpoint
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint.url,
            region_name=REGION,
            aws_access_key_id=endpoint.credentials.access_key,
            aws_secret_access_key=endpoint.credentials.secret_key,
        )

    def open(self, patience: Patience) -> Store:
        """Open the bucket through the proxy."""
        host, port = self.server_address[:2]
        credentials = self._endpoint.credentials
        url = f"http://{host!s}:{port}"
        return Store.open(f"s3://{BUCKET}", url, credentials.access_key, credentials.secret_key, patience)

    def begin(self, plan: Plan) -> None:
        """Forget what was, and follow a plan."""
        with self.lock:
            self.plan = plan
            self.calls.clear()
            self.caused.clear()
            self.before.clear()
            self.healed = threading.Event()

    def heal(self) -> None:
        """Cause no more faults, and end those that last."""
        self.plan = Plan()
        self.healed.set()

    def meet(self, call: Call) -> tuple[Fault | None, random.Random]:
        """Note a call and return the fault that it meets."""
        with self.lock:
            self.calls.append(call)
            fault, chance = self.plan.meets(call)
            if fault is not None:
                self.caused[fault] += 1
            return fault, chance

    def remember(self, key: str) -> None:
        """Keep what is there before it is written for the first time since the plan began."""
        if key in self.before:
            return
        try:
            there = self._client.get_object(Bucket=BUCKET, Key=key)
        except ClientError:
            self.before[key] = error(404, "NoSuchKey")
            return
        kept = tuple((f"x-amz-meta-{name}", text) for name, text in there["Metadata"].items())
        self.before[key] = Answer(200, (("ETag", there["ETag"]), *kept), there["Body"].read())

    @property
    def endpoint_address(self) -> tuple[str, int]:
        """Where the real endpoint listens."""
        parts = urlsplit(self._endpoint.url)
        assert parts.hostname is not None and parts.port is not None
        return parts.hostname, parts.port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is part of the game."""


@contextmanager
def proxied(endpoint: Endpoint) -> Iterator[Proxy]:
    """Run a proxy before an endpoint."""
    with Proxy(endpoint) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.heal()
            proxy.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _upstream: HTTPConnection | None = None

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_GET(self) -> None:
        self._serve("LIST" if "list-type" in parse_qs(urlsplit(self.path).query) else "GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        if method == "LIST":
            key = parse_qs(parts.query).get("prefix", [""])[0]
        call = Call(method, key)
        fault, chance = self.server.meet(call)
        healed = self.server.healed
        if fault is Fault.RESET_BEFORE:
            self._reset()
        elif fault is Fault.STALL:
            self._wait(healed)
        elif fault in ANSWERED:
            self._send(ANSWERED[fault])
        elif fault is Fault.LOSE:
            self._send(Answer(200, (("ETag", f'"{hashlib.md5(sent, usedforsecurity=False).hexdigest()}"'),), b""))
        else:
            if method == "PUT":
                self.server.remember(key)
            answer = self._wronged(call, self._pass_on(sent), fault, chance)
            self._answer(answer, fault, chance, healed)

    def _pass_on(self, sent: bytes) -> Answer:
        if self._upstream is None:
            self._upstream = HTTPConnection(*self.server.endpoint_address, timeout=60)
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                self._upstream.putheader(name, value)
        self._upstream.endheaders(sent or None)
        answer = self._upstream.getresponse()
        headers = tuple(each for each in answer.getheaders() if each[0].lower() not in _HOP)
        if self.command == "HEAD":
            headers += (("Content-Length", answer.getheader("Content-Length", "0")),)
        return Answer(answer.status, headers, answer.read())

    def _wronged(self, call: Call, answer: Answer, fault: Fault | None, chance: random.Random) -> Answer:
        """Return what is said in place of a right answer."""
        server = self.server
        if fault is Fault.STALE and call.method == "LIST":
            written = {key for key, there in server.before.items() if there.status == 404}
            return replace(answer, body=unlisted(answer.body, written))
        if fault is Fault.STALE:
            before = server.before.get(call.key, error(404, "NoSuchKey"))
            return before if call.method == "GET" else replace(before, body=b"")
        if answer.status != 200 or call.method != "GET":
            return answer
        with server.lock:
            others = [key for key in server.read if key != call.key]
            server.read[call.key] = answer
            if fault is Fault.OTHER and others:
                return server.read[chance.choice(others[-20:])]
        if fault is Fault.FLIP and answer.body:
            body = bytearray(answer.body)
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            answer = replace(answer, body=bytes(body))
        # Not every store keeps checksums of its own.
        return answer.without("x-amz-checksum") if fault and chance.random() < 0.5 else answer

    def _answer(self, answer: Answer, fault: Fault | None, chance: random.Random, healed: threading.Event) -> None:
        part = answer.body[: chance.randrange(len(answer.body))] if answer.body else b""
        match fault:
            case Fault.RESET_AFTER:
                self._reset()
            case Fault.DRIP:
                self._drip(self._head(answer, len(answer.body)) + answer.body, healed)
            case Fault.STALL_IN_BODY:
                self.wfile.write(self._head(answer, len(answer.body)) + part)
                self._wait(healed)
            case Fault.CUT:
                self.wfile.write(self._head(answer, len(answer.body)) + part)
                self.close_connection = True
            case Fault.CUT_CHUNKED:
                chunked = replace(answer, headers=(*answer.headers, ("Transfer-Encoding", "chunked")))
                self.wfile.write(self._head(chunked, None) + (b"%x\r\n%b\r\n" % (len(part), part) if part else b""))
                self.close_connection = True
            case Fault.CUT_CLOSED:
                closed = replace(answer, headers=(*answer.headers, ("Connection", "close")))
                self.wfile.write(self._head(closed, None) + part)
                self.close_connection = True
            case _:
                self._send(answer)

    def _send(self, answer: Answer) -> None:
        known = any(name.lower() == "content-length" for name, _ in answer.headers)
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write(self._head(answer, None if known else len(body)) + body)

    def _head(self, answer: Answer, length: int | None) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in answer.headers)]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _wait(self, healed: threading.Event) -> None:
        healed.wait(_LONGEST)
        self._reset()

    def _drip(self, answer: bytes, healed: threading.Event) -> None:
        """Send a byte now and then: no silence is long, and the end is far."""
        deadline = time.monotonic() + _LONGEST
        for number in range(len(answer)):
            self.wfile.write(answer[number : number + 1])
            if healed.wait(0.05) or time.monotonic() > deadline:
                break
        self._reset()
