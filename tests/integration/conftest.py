"""A stack of servers for the files that need all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepfactor.stack.layout import Layout
from deepfactor.stack.stack import Stack, down, up


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack of the file's own, on the ports that it names: files may be tested at the same time."""
    # Not below pytest's folder: PostgreSQL runs as another user where the tests run as root, and every pytest that
    # starts closes that folder to others.
    with tempfile.TemporaryDirectory(prefix="deepfactor-stack-") as root:
        layout = Layout(Path(root))
        try:
            yield up(layout, request.module.PORTS)
        finally:
            down(layout)
