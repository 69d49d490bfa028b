"""Where Airflow is, how to get in, and the store of its months: an embedded stack, or any Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deepfactor.address import StoreAddress
from deepfactor.backfill.errors import BackfillError
from deepfactor.backfill.patience import patiently
from deepfactor.stack import airflow_services, keeper, object_store
from deepfactor.stack.airflow_client import AirflowClient
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.layout import Layout
from deepfactor.stack.state import read_state
from deepfactor.store import Store

# Passwords and tokens are read from here only: a command line is seen by everybody on the machine.
PASSWORD = "DEEPFACTOR_AIRFLOW_PASSWORD"  # noqa: S105 - the variable's name
TOKEN = "DEEPFACTOR_AIRFLOW_TOKEN"  # noqa: S105 - the variable's name
STORE = "DEEPFACTOR_STORE"


@dataclass(frozen=True)
class Connection:
    """A session with Airflow, and the store that its months are published to.

    Attributes
    ----------
    session
        With the API server.
    store
        The store, none if it is not known from here.
    is_local
        Whether the tasks run on this machine.
    """

    session: AirflowClient
    store: Store | None
    is_local: bool


@contextmanager
def connected(root: Path, address: str | None, user: str | None) -> Iterator[Connection]:
    """Connect to an Airflow by its address, else to the embedded stack.

    Parameters
    ----------
    root
        Where the embedded stack keeps what it has.
    address
        Of another Airflow. Its store is the one that DEEPFACTOR_STORE names, its password or token is in
        DEEPFACTOR_AIRFLOW_PASSWORD or DEEPFACTOR_AIRFLOW_TOKEN.
    user
        Whom to log in as there.

    Raises
    ------
    BackfillError
        If the stack is not up, or a login is incomplete.
    StoreError
        If the store does not answer.
    """
    connection = _embedded(Layout(root)) if address is None else _remote(address, user)
    try:
        yield connection
    finally:
        connection.session.close()


def _embedded(layout: Layout) -> Connection:
    state = read_state(layout)
    if not keeper.is_running(state):
        raise BackfillError(
            f"no stack is up below {layout.local}: start it with `deepfactor stack up`, name its folder with --root, "
            "or another Airflow with --airflow"
        )
    credentials = ensure_credentials(layout)
    session = airflow_services.client(state, credentials)
    # What has just died is being started again.
    patiently(lambda: session.call("GET", "/api/v2/version"))
    store = patiently(object_store.Endpoint(object_store.address(state), credentials).open)
    return Connection(session, store, is_local=True)


def _remote(address: str, user: str | None) -> Connection:
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise BackfillError(f"{address!r} is no address of an Airflow: write it as https://airflow.example.com")
    token, password = os.environ.get(TOKEN), os.environ.get(PASSWORD)
    if not token and not (user and password):
        raise BackfillError(f"no login for {address}: set {TOKEN}, or name the user with --user and set {PASSWORD}")
    session = AirflowClient(address, user, password, token=token or None)
    url = os.environ.get(STORE)
    return Connection(session, StoreAddress(url).open() if url else None, is_local=False)
