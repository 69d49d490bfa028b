from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator

import pytest

from deepfactor.stack import ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        yield server


def test_a_free_port_is_taken_as_it_is(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert ports.choose("a service", port) == port


def test_a_taken_port_is_named_with_its_holder(listener: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    port = listener.getsockname()[1]
    with caplog.at_level(logging.WARNING):
        chosen = ports.choose("Airflow's API server", port)
    assert chosen != port
    assert ports.is_free(chosen)
    assert f"port {port} for Airflow's API server is taken by process {os.getpid()}" in caplog.text
    assert f"using {chosen} instead" in caplog.text


def test_a_port_taken_on_every_interface_is_not_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("0.0.0.0", 0))  # noqa: S104 - the very case that is tested
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


def test_the_holder_of_a_free_port_is_nobody(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert ports.holder(port).pid == os.getpid()  # type: ignore[union-attr]
    listener.close()
    assert ports.holder(port) is None
