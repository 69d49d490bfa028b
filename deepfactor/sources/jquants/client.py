"""The exchange's own client, with patience, pacing, and errors that say what to do."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

import requests
from jquantsapi import ClientV2
from requests.adapters import HTTPAdapter

from deepfactor.errors import ConfigurationError, SourceError, SourceUnreachable

LOGGER = logging.getLogger(__name__)

KEY_VARIABLE = "JQUANTS_API_KEY"
STATEMENTS_PATH = "/fins/summary"
# Seconds before the second, third … attempt. The service sends no Retry-After: it asks to wait a minute or two, and
# may shut out for five minutes whoever goes on asking.
_WAITS = (1.0, 2.0, 5.0, 15.0, 30.0)
_RATE_LIMIT_WAITS = (65.0, 65.0, 130.0, 300.0, 300.0)
_LONGEST_WAIT = 300.0
# Of all pages of an answer, unpacked. The largest, a day's prices of all stocks, have three megabytes.
_LARGEST_ANSWER = 100_000_000
_MOST_PAGES = 1_000
_CHUNK = 1 << 16
_COVERED = re.compile(r"covers the following dates:\s*(\d{4}-\d{2}-\d{2})?\s*~\s*(\d{4}-\d{2}-\d{2})?")


class OutsidePlan(SourceError):
    """The subscription does not cover a date that was asked for.

    Attributes
    ----------
    covered_from
        First day it covers, where the service says so.
    """

    def __init__(self, message: str, covered_from: date | None) -> None:
        super().__init__(message)
        self.covered_from = covered_from


@dataclass(frozen=True)
class _Again:
    """An answer that another attempt may better: why, and after how many seconds (None: as usual)."""

    reason: str
    seconds: float | None = None
    rate_limited: bool = False


class Client(ClientV2):  # type: ignore[misc]  # it has no types
    """:class:`jquantsapi.ClientV2`, asked through :meth:`records`.

    Its sessions, headers and paging are used as they are. Its own retries come without a pause, which the service
    punishes, so this class does them; its methods for single endpoints read what they don't understand as missing
    and need columns that not every plan has, so :mod:`deepfactor.sources.jquants.endpoints` reads the records.

    Parameters
    ----------
    api_key
        Sent with every request, and nowhere else.
    base_url
        Root of the service; other than https only on this machine.
    requests_per_minute, statements_per_minute
        What the plan allows, of all requests and of those for statements.
    timeout
        Longest silence of the service, in seconds.
    sleep
        Waits a number of seconds.

    Raises
    ------
    ConfigurationError
        If there is no usable key, or the address is not one it may be sent to.
    """

    def __init__(
        self,
        api_key: str | None,
        *,
        base_url: str,
        requests_per_minute: float,
        statements_per_minute: float,
        timeout: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(api_key=_usable(api_key))
        address = urlsplit(base_url)
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost"):
            raise ConfigurationError(f"source.jquants.base_url: {base_url!r} must begin with https://")
        self.JQUANTS_API_BASE = base_url.rstrip("/")
        self._pauses = {STATEMENTS_PATH: 60 / min(requests_per_minute, statements_per_minute)}
        self._pause = 60 / requests_per_minute
        self._sleep = sleep
        self._asked_at = float("-inf")
        self._pages = 0
        self._adapter = _Adapter(timeout)
        self._connection = requests.Session()
        # The key must not follow to another host.
        self._connection.max_redirects = 0
        for scheme in ("https://", "http://"):
            self._connection.mount(scheme, self._adapter)

    def records(self, path: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return all records of an endpoint, of all pages.

        Raises
        ------
        OutsidePlan
            If the subscription does not cover the dates.
        SourceUnreachable
            If the service did not answer in any of a few attempts.
        SourceError
            If it refused, or answered with something else than records, or with too many.
        """
        self._pages, self._adapter.left = 0, _LARGEST_ANSWER
        found: list[dict[str, Any]] = self._get_paginated(path, dict(parameters))
        return found

    def _load_config(self) -> dict[str, str]:
        """Read no file: the key is an argument, and nothing else decides what is asked."""
        return {}

    def _request_session(self, *_: Any, **__: Any) -> requests.Session:
        return self._connection

    def _get(self, url: str, params: Mapping[str, Any] | None = None) -> requests.Response:
        path = url.removeprefix(self.JQUANTS_API_BASE)
        asked = ", ".join(f"{name}={value}" for name, value in (params or {}).items() if name != "pagination_key")
        where = f"J-Quants {path} ({asked})"
        self._pages += 1
        if self._pages > _MOST_PAGES:
            raise SourceError(f"{where}: the answer has more than {_MOST_PAGES} pages; report it to the service")
        for attempt in range(len(_WAITS) + 1):
            self._keep_pace(path)
            outcome = self._ask(url, params, where)
            if isinstance(outcome, requests.Response):
                return outcome
            if isinstance(outcome, SourceError):
                # Raised here, outside of any handler: the client's own exception holds the headers, and so the key.
                raise outcome
            again = outcome
            if attempt < len(_WAITS):
                usual = (_RATE_LIMIT_WAITS if again.rate_limited else _WAITS)[attempt]
                seconds = usual if again.seconds is None else min(again.seconds, _LONGEST_WAIT)
                LOGGER.warning("%s: %s, asked again in %.0f s", where, again.reason, seconds)
                self._sleep(seconds)
        raise SourceUnreachable(
            f"{where}: {again.reason}, {len(_WAITS) + 1} times; what has been fetched is kept, run it again later"
            + (", or lower source.jquants.requests_per_minute to what the plan allows" if again.rate_limited else "")
        )

    def _keep_pace(self, path: str) -> None:
        pause = self._asked_at + self._pauses.get(path, self._pause) - time.monotonic()
        if pause > 0:
            self._sleep(pause)
        self._asked_at = time.monotonic()

    def _ask(self, url: str, params: Mapping[str, Any] | None, where: str) -> requests.Response | SourceError | _Again:
        """Ask once; return the answer, why there will be none, or why to ask again."""
        try:
            response: requests.Response = super()._get(url, params)
            payload = response.json()
        except _TooMuch:
            return SourceError(
                f"{where}: the answer has more than {_LARGEST_ANSWER / 1e6:.0f} MB; report it to the service"
            )
        except requests.HTTPError as error:
            return self._read_refusal(error.response, where)
        except requests.TooManyRedirects:
            return SourceError(f"{where}: is answered from another address; correct source.jquants.base_url")
        except requests.RequestException as error:
            # Connection lost, silence, or a body that ends too early.
            return _Again(type(error).__name__)
        except (ValueError, RecursionError) as error:
            # JSON that Python does not hold: numbers of thousands of digits, thousands of lists in each other.
            return SourceError(f"{where}: the answer cannot be read ({error}); report it to the service")
        if response.status_code != requests.codes.ok or not isinstance(payload, dict):
            return SourceError(f"{where}: status {response.status_code} without records; try again later")
        if not isinstance(payload.get("data"), list):
            return SourceError(f"{where}: the answer has no list named data, but {str(sorted(payload))[:200]}")
        if params and payload.get("pagination_key") == params.get("pagination_key", ""):
            return SourceError(f"{where}: the service repeats a page for ever; report it to the service")
        return response

    def _read_refusal(self, response: requests.Response, where: str) -> SourceError | _Again:
        status, message = response.status_code, self._message(response)
        if status == requests.codes.too_many_requests:
            seconds = response.headers.get("Retry-After", "")
            return _Again("too many requests", float(seconds) if seconds.isdecimal() else None, rate_limited=True)
        if status >= requests.codes.internal_server_error:
            return _Again(f"status {status}")
        covered = _COVERED.search(message)
        if covered:
            first, last = (_day(day) for day in covered.groups())
            return OutsidePlan(
                f"{where}: the subscription covers {first or 'the past'} to {last or 'now'}: ask for months within, or "
                "choose a plan that reaches further",
                first,
            )
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            what = (
                f"the key is not accepted: put a valid one into {KEY_VARIABLE} or Airflow's connection"
                if "api key" in message.lower()
                else "the subscription's plan does not have this, or the key is wrong: choose a plan that has it"
                + (", or set source.jquants.dividends to false" if "/fins/dividend" in where else "")
            )
            return SourceError(f"{where}: status {status} ({message}): {what}")
        return SourceError(f"{where}: status {status} ({message})")

    def _message(self, response: requests.Response) -> str:
        """Return what the service says, in one line and without the key, should it repeat it."""
        try:
            text = str(response.json()["message"])
        except (ValueError, RecursionError, KeyError, TypeError):
            text = response.text
        return " ".join(text.replace(self._api_key, "***").split())[:200]


class _TooMuch(Exception):
    """The answer is larger than any can be."""


class _Adapter(HTTPAdapter):
    """Never asks again by itself, does not wait for ever, and does not read without an end.

    Attributes
    ----------
    left
        Bytes that answers may still have.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout
        self.left = _LARGEST_ANSWER

    def send(self, *args: Any, **options: Any) -> requests.Response:
        response = super().send(*args, **options | {"timeout": self._timeout})
        parts = []
        for part in response.iter_content(_CHUNK):
            self.left -= len(part)
            if self.left < 0:
                response.close()
                raise _TooMuch
            parts.append(part)
        # As requests does it itself, without a bound.
        response._content = b"".join(parts)
        return response


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _usable(api_key: str | None) -> str:
    key = (api_key or "").strip()
    if not key:
        raise ConfigurationError(
            f"there is no key for J-Quants: put it into the environment variable {KEY_VARIABLE}, or into the password "
            "of Airflow's connection jquants_default"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(f"the key for J-Quants ({KEY_VARIABLE}) has characters that no key has: copy it anew")
    return key
