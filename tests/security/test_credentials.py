"""Credentials stay where they belong: not in messages, not in what objects say of themselves, not on a command line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deepfactor.address import StoreAddress
from deepfactor.cli import app
from deepfactor.errors import DeepfactorError
from deepfactor.stack.credentials import Credentials, ensure_credentials
from deepfactor.stack.layout import Layout
from deepfactor.stack.object_store import Endpoint
from deepfactor.stack.private_files import write_private
from tests.security.leaks import in_files, needles, readable_by_others

SECRET = "Zq7-very-5eCr3t/key+0123456789"
ANSWER = f"""<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code>
<Message>The key {SECRET} does not match</Message><StringToSign>{SECRET}</StringToSign></Error>""".encode()


@contextmanager
def service(status: int) -> Iterator[str]:
    """Serve an S3 that refuses everything, and repeats what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(ANSWER)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - the server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(url: str, endpoint: str, caplog: pytest.LogCaptureFixture) -> str:
    """Return everything that is said where a store cannot be opened."""
    with caplog.at_level(logging.INFO), pytest.raises(DeepfactorError) as raised:
        StoreAddress(url, endpoint, "DFKEY", SECRET).open()
    messages, error = [caplog.text], raised.value
    chain: BaseException | None = error
    while chain is not None:
        messages.append(f"{chain} {chain!r}")
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return "\n".join(messages)


@pytest.mark.parametrize("status", [403, 400, 401, 500])
def test_a_store_that_refuses_the_secret(status: int, caplog: pytest.LogCaptureFixture) -> None:
    with service(status) as host:
        text = told("s3://bucket/x", f"http://{host}", caplog)
    assert "s3://bucket" in text
    assert SECRET not in text


@pytest.mark.parametrize("host", ["127.0.0.1:9", "nowhere.invalid"])
def test_a_store_that_does_not_answer_and_whose_address_has_a_password(
    host: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = told("s3://bucket/x", f"http://me:{SECRET.replace('/', '')}@{host}", caplog)
    assert SECRET.replace("/", "") not in text
    assert "user" in text and "password" in text


def test_an_address_of_the_environment_that_has_a_password(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://me:5eCr3t-5eCr3t@127.0.0.1:9")
    monkeypatch.setenv("DEEPFACTOR_STORE", "s3://bucket/x")
    result = CliRunner().invoke(app, ["show", "--month", "2016-02"])
    assert result.exit_code == 1
    assert "5eCr3t-5eCr3t" not in result.output + caplog.text


@pytest.mark.parametrize("url", ["s3://key:5eCr3t-5eCr3t@bucket/x", "https://key:5eCr3t-5eCr3t@host/x"])
def test_a_store_whose_url_has_a_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert "5eCr3t-5eCr3t" not in told(url, "http://127.0.0.1:9", caplog)


def test_objects_do_not_say_what_they_keep() -> None:
    credentials = Credentials()
    shown = repr(StoreAddress("s3://b", "http://x", credentials.access_key, credentials.secret_key))
    shown += repr(Endpoint("http://x", credentials)) + str(credentials) + f"{credentials!s:>200}"
    for name, secret in asdict(credentials).items():
        assert secret not in shown, name


def test_no_command_takes_a_secret() -> None:
    """A command line is seen by everybody on the machine, and kept by shells."""
    options = list(_options(typer.main.get_command(app)))
    assert len(options) > 40
    words = ("password", "secret", "token", "key", "credential", "login")
    assert [each for each in options if any(word in each for word in words)] == []


def _options(command: Any, of: str = "") -> Iterator[str]:
    for parameter in command.params:
        yield from (f"{of} {name}".lower() for name in (*parameter.opts, *parameter.secondary_opts))
    for name, each in getattr(command, "commands", {}).items():
        yield from _options(each, f"{of} {name}")


def test_a_failure_that_nobody_foresaw_shows_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the command line's traces nor Airflow's tell the values of local variables."""
    assert app.pretty_exceptions_enable is False
    from airflow.sdk._shared.logging.structlog import structlog_processors

    processors, _, _ = structlog_processors(json_output=True)
    transformers = [getattr(each, "format_exception", None) for each in processors]
    (transformer,) = [each for each in transformers if each is not None]
    assert transformer.show_locals is False


def test_what_is_private_is_so_whatever_the_umask(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    import os

    before = os.umask(0)
    try:
        credentials = ensure_credentials(layout)
        write_private(tmp_path / "other", "x")
        write_private(tmp_path / "other", "y")
    finally:
        os.umask(before)
    kept = [layout.secrets, layout.password, tmp_path / "other"]
    assert readable_by_others(kept) == []
    assert in_files(tmp_path, {"secret": credentials.secret_key}, but=kept) == []
    # The search does find.
    assert f"secret in {layout.secrets}" in in_files(tmp_path, {"secret": credentials.secret_key})
    assert len(needles({"x": credentials.secret_key})) == 4
