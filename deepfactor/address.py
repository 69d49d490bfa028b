"""Where the store is and how to get in, in a form that can be given to other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deepfactor.store import Store


@dataclass(frozen=True)
class StoreAddress:
    """A store that is not opened.

    Attributes
    ----------
    url
        ``s3://bucket/prefix``.
    endpoint
        Address of the S3 service; none: what the usual AWS variables say.
    access_key, secret_key
        Credentials; none: the usual AWS variables and files.
    """

    url: str
    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)

    def open(self) -> Store:
        """Connect to the store.

        Raises
        ------
        ConfigurationError
            If the URL is not an S3 URL.
        StoreError
            If the store does not answer, or refuses the credentials or the bucket.
        """
        return Store.open(self.url, self.endpoint, self.access_key, self.secret_key)


@contextmanager
def configured_address(root: Path) -> Iterator[StoreAddress]:
    """Return the store that DEEPFACTOR_STORE names, else the embedded one, which is there as long as it is used.

    Parameters
    ----------
    root
        Where the embedded stack keeps what it has.

    Raises
    ------
    StackError
        If the embedded endpoint's environment is missing, or it does not start.
    """
    url = os.environ.get("DEEPFACTOR_STORE")
    if url:
        yield StoreAddress(url)
        return
    from deepfactor.stack import object_store
    from deepfactor.stack.credentials import ensure_credentials
    from deepfactor.stack.embedded import embedded_store
    from deepfactor.stack.layout import CHECKOUT, Layout
    from deepfactor.stack.state import read_state

    with embedded_store(root) as store:
        layout = Layout(root, CHECKOUT)
        credentials = ensure_credentials(layout)
        endpoint = object_store.running(read_state(layout))
        yield StoreAddress(store.url("").rstrip("/"), endpoint, credentials.access_key, credentials.secret_key)
