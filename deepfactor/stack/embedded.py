"""A store for commands that run without Airflow."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from deepfactor.stack import object_store
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.layout import CHECKOUT, Layout, Ports
from deepfactor.stack.state import read_state, write_state
from deepfactor.store import Store


@contextmanager
def embedded_store(root: Path, checkout: Path = CHECKOUT, ports: Ports | None = None) -> Iterator[Store]:
    """Open the embedded stack's store, starting its S3 endpoint if need be.

    What was started here is stopped when its last user is done; the endpoint of a stack that is up is left alone.

    Raises
    ------
    StackError
        If the endpoint's environment is missing, or it does not start.
    """
    layout = Layout(root, checkout)
    layout.create()
    with (layout.local / "s3.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield _start(layout, ports or Ports()).open()
        finally:
            _stop_when_last(layout, users)


def _start(layout: Layout, ports: Ports) -> object_store.Endpoint:
    with layout.locked():
        state = read_state(layout)
        on_demand = state.s3_on_demand or object_store.running(state) is None
        endpoint, state = object_store.start(layout, ensure_credentials(layout), state, ports.s3)
        write_state(layout, replace(state, s3_on_demand=on_demand))
    return endpoint


def _stop_when_last(layout: Layout, users: IO[str]) -> None:
    with layout.locked():
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        state = read_state(layout)
        if state.s3_on_demand:
            object_store.stop(layout, state)
