"""The store that Airflow's connection names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Connection

if TYPE_CHECKING:
    from deepfactor.store import Store

CONNECTION = "deepfactor_store"


def open_store() -> Store:
    """Open the store that the connection names.

    Raises
    ------
    ConfigurationError
        If the connection does not say where it is.
    """
    from deepfactor.errors import ConfigurationError
    from deepfactor.store import Store

    connection = Connection.get(CONNECTION)
    extra = connection.extra_dejson
    if "store" not in extra:
        raise ConfigurationError(
            f'the connection {CONNECTION} has no "store" in its extra: set it, for example to "s3://bucket/prefix"'
        )
    return Store.open(extra["store"], extra.get("endpoint_url"), connection.login, connection.password)
