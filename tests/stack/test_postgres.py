"""Where the server's socket is; the server itself is tested with the stack in ``tests/integration``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from deepfactor.stack import postgres
from deepfactor.stack.layout import Layout


def test_the_socket_is_in_the_data_folder_where_its_path_is_short() -> None:
    layout = Layout(Path("/deepfactor"))
    assert postgres._socket(layout, None) == str(layout.postgres)


def test_elsewhere_it_keeps_its_folder_when_the_server_is_started_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ("deep" * 25))
    layout.create()
    folder = postgres._socket(layout, None)
    assert len(folder) < 60
    assert postgres._socket(layout, None) == folder
    shutil.rmtree(folder)
    another = postgres._socket(layout, None)
    assert another != folder
    assert postgres._socket(layout, None) == another
    shutil.rmtree(another)


def test_only_the_locks_of_a_server_that_is_dead_are_removed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    held = {"dead": child.pid, "alive": os.getpid()}
    for name, holder in held.items():
        (tmp_path / name).write_text(f"{holder}\n/data\n", encoding="utf-8")
    (tmp_path / "cut").write_text("", encoding="utf-8")
    postgres.forget_dead(*(tmp_path / name for name in ("dead", "alive", "cut", "missing")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "cut"]
    child.wait()
