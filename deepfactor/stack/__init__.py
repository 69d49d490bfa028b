"""The embedded laptop stack: PostgreSQL, an S3 endpoint and Airflow on loopback, all under ``.local/``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepfactor.store import Store


def embedded_store(root: Path) -> AbstractContextManager[Store]:
    """Open the embedded stack's store, starting its S3 endpoint for the time of use if need be.

    Raises
    ------
    StackError
        If the endpoint's environment is missing, or it does not start.
    """
    # The command line imports this package; what starts servers belongs to the ``airflow`` extra.
    from deepfactor.stack.embedded import embedded_store as open_embedded

    return open_embedded(root)
