"""Servers on this machine that keep what they are sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


@dataclass
class Received:
    """What a server was sent, and where it listens."""

    port: int = 0
    messages: list[Any] = field(default_factory=list)


@contextmanager
def webhook(status: int = 200) -> Iterator[Received]:
    """Serve a webhook; each message is its path and its body."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.messages.append((self.path, json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with _served(ThreadingHTTPServer(("127.0.0.1", 0), Handler), received):
        yield received


@contextmanager
def mail_server() -> Iterator[Received]:
    """Serve SMTP, as little of it as a mail needs (RFC 5321); each message is the text between DATA and the dot."""
    received = Received()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self._answer("220 ready")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "DATA":
                    self._answer("354 go on")
                    text = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    received.messages.append("".join(text))
                self._answer("221 bye" if verb == "QUIT" else "250 fine")

        def _answer(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _served(ThreadingTCPServer(("127.0.0.1", 0), Handler), received):
        yield received


@contextmanager
def _served(server: Any, received: Received) -> Iterator[None]:
    server.daemon_threads = True
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
