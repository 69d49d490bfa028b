from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from deepfactor.errors import StoreError
from deepfactor.stack import object_store, processes
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.embedded import embedded_store
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import CHECKOUT, Layout, Ports
from deepfactor.stack.stack import down
from deepfactor.stack.state import read_state
from deepfactor.store import Store

pytestmark = pytest.mark.integration

PORTS = Ports(s3=24566)


def _server(layout: Layout) -> psutil.Process:
    process = processes.find(read_state(layout).processes["s3"])
    assert process is not None
    return process


def test_the_endpoint_is_started_for_the_time_of_use(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with embedded_store(tmp_path, ports=PORTS) as store:
        store.put("a/b", b"content")
        server = _server(layout)
        with embedded_store(tmp_path, ports=PORTS) as second:
            assert second.get("a/b") == b"content"
            assert _server(layout) == server
        # Its first user is not done.
        assert server.is_running()
    assert not server.is_running()
    with embedded_store(tmp_path, ports=PORTS) as store:
        assert store.get("a/b") == b"content"


def test_objects_survive_a_kill(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with embedded_store(tmp_path, ports=PORTS) as store:
        reference = store.put("a/b", b"content")
        tag = store.etag("a/b")
        server = _server(layout)
        server.kill()
        server.wait(5)
        with embedded_store(tmp_path, ports=PORTS) as again:
            assert _server(layout) != server
            assert again.read(reference) == b"content"
            assert again.etag("a/b") == tag
            assert again.honours_conditions()


def test_it_listens_on_loopback_only_and_refuses_unknown_keys(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with embedded_store(tmp_path, ports=PORTS):
        connections = _server(layout).net_connections()
        addresses = {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
        assert addresses == {"127.0.0.1"}
        url = object_store.running(read_state(layout))
        with pytest.raises(StoreError, match="refused the credentials"):
            Store.open("s3://deepfactor", url, "somebody", "else")


def test_an_endpoint_of_the_stack_is_left_running(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    object_store.start(layout, ensure_credentials(layout), read_state(layout), PORTS.s3)
    server = _server(layout)
    with embedded_store(tmp_path, ports=PORTS) as store:
        store.put("a", b"b")
    assert server.is_running()
    assert down(layout) == ["s3"]
    assert not server.is_running()


def test_a_taken_port_is_left_to_its_holder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with embedded_store(tmp_path, ports=Ports(s3=port)) as store:
            store.put("a", b"b")
            assert read_state(Layout(tmp_path)).ports["s3"] != port
        assert f"port {port} for the S3 endpoint is taken" in caplog.text


def test_a_missing_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make setup"), embedded_store(tmp_path, checkout=tmp_path):
        pass


def test_the_checkout_has_the_endpoints_environment() -> None:
    assert Layout(CHECKOUT).store_python.exists()
