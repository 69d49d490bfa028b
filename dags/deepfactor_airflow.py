"""What the DAG files share: where the store is, what is tried again, and the assets by which one starts the other.

Airflow puts this folder on ``sys.path``, behind everything else; hence a name that nothing else has.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deepfactor.config import Config
    from deepfactor.store import Store

CHECKOUT = Path(__file__).resolve().parents[1]
CONNECTION = "deepfactor_store"
KEY_CONNECTION = "jquants_default"
MONTHLY = "deepfactor_monthly"
SIGNALS = Asset("deepfactor_signals")
MONTH_OR_EMPTY = r"^(\d{4}-(0[1-9]|1[0-2]))?$"

DEFAULT_ARGUMENTS: dict[str, Any] = {
    "owner": "deepfactor",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "execution_timeout": timedelta(minutes=30),
}


def open_store() -> Store:
    """Open the store that the connection names."""
    from deepfactor.errors import ConfigurationError
    from deepfactor.store import Store

    connection = Connection.get(CONNECTION)
    extra = connection.extra_dejson
    if "store" not in extra:
        raise ConfigurationError(
            f'the connection {CONNECTION} has no "store" in its extra: set it, for example to "s3://bucket/prefix"'
        )
    return Store.open(extra["store"], extra.get("endpoint_url"), connection.login, connection.password)


def read_config(name: str) -> Config:
    """Read a configuration of the checkout."""
    from deepfactor.config import load_config

    return load_config(CHECKOUT / name)


def service_key(config: Config) -> str | None:
    """Return the data service's key, where the configuration asks one and the connection has it."""
    if config.source.kind != "jquants":
        return None
    try:
        return str(Connection.get(KEY_CONNECTION).password or "") or None
    except AirflowNotFoundException:
        return None  # then in the environment


@contextmanager
def final_where_waiting_cannot_help() -> Iterator[None]:
    """Let Airflow try again only what can succeed without anybody changing anything."""
    from deepfactor.errors import DeepfactorError

    try:
        yield
    except DeepfactorError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from None
    except (AirflowException, OSError):
        raise
    except Exception as error:
        # A fault of the program stays one, and its stack trace is what is needed.
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
