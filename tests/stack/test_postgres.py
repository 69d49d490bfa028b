"""Where the server's socket is; the server itself is tested with the stack in ``tests/integration``."""

from __future__ import annotations

import shutil
from pathlib import Path

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
