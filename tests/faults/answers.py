"""What a store says, and what one says that has gone wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from tests.faults.plan import Fault

PAGE = b"<html><head><title>Sign in</title></head><body>Sign in to go on.</body></html>"


@dataclass(frozen=True)
class Answer:
    """An answer of the store."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def without(self, start: str) -> Answer:
        """Return it without the headers that start like this."""
        return replace(self, headers=tuple(each for each in self.headers if not each[0].lower().startswith(start)))


def error(status: int, code: str) -> Answer:
    """Return an error as S3 writes it."""
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>-</Message></Error>'
    return Answer(status, (("Content-Type", "application/xml"),), body.encode())


ANSWERED = {
    Fault.ERROR: error(500, "InternalError"),
    Fault.SLOW_DOWN: error(503, "SlowDown"),
    Fault.EMPTY_ERROR: Answer(503, (), b""),
    Fault.ERROR_PAGE: Answer(503, (("Content-Type", "text/html"),), PAGE),
    Fault.PAGE: Answer(200, (("Content-Type", "text/html"),), PAGE),
}


def unlisted(body: bytes, written: set[str]) -> bytes:
    """Return a listing without what was written, or if nothing was, without each second entry."""
    entries = re.findall(rb"<Contents>.*?</Contents>", body, flags=re.DOTALL)
    keys = [unquote(re.findall(rb"<Key>(.*?)</Key>", entry)[0].decode()) for entry in entries]
    gone = [entry for entry, key in zip(entries, keys, strict=True) if key in written] or entries[::2]
    for entry in gone:
        body = body.replace(entry, b"")
    return body
