"""What the DAG files share: configuration and keys, what is tried again, and the assets by which one starts the other.

Airflow puts this folder on ``sys.path``, behind everything else; hence a name that nothing else has.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Connection, RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException, AirflowRuntimeError, AirflowTaskTimeout
from deepfactor_alerts import remember_failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk.definitions.context import Context

    from deepfactor.config import Config
    from deepfactor.errors import DeepfactorError

LOGGER = logging.getLogger(__name__)

CHECKOUT = Path(__file__).resolve().parents[1]
KEY_CONNECTION = "jquants_default"
MONTHLY = "deepfactor_monthly"
SIGNALS = Asset("deepfactor_signals")
MONTH_OR_EMPTY = r"^(\d{4}-(0[1-9]|1[0-2]))?$"


class ForeseenFailure(SystemExit):
    """The end of a task whose message says all.

    Airflow logs every exception with its stack trace, an exit without one.

    Parameters
    ----------
    error
        What ended it.
    """

    def __init__(self, error: DeepfactorError) -> None:
        super().__init__(1)
        self.reason = f"{type(error).__name__}: {error}"
        self.retryable = error.retryable


class WhereItCanHelp(RetryPolicy):
    """Tries again what can succeed without anybody changing anything."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - the base's
        max_tries: int,  # noqa: ARG002 - the base's
        context: Context | None = None,  # noqa: ARG002 - the base's
    ) -> RetryDecision:
        """Decide on a failure."""
        if isinstance(exception, ForeseenFailure):
            helps = exception.retryable
        else:
            # Of the machine or of Airflow, whose API server may be away; anything else is a fault of the program, and
            # stays one.
            of_airflow = (AirflowException, AirflowRuntimeError, AirflowTaskTimeout)
            helps = isinstance(exception, (*of_airflow, OSError, MemoryError))
        return RetryDecision.default() if helps else RetryDecision.fail("trying again cannot help")


DEFAULT_ARGUMENTS: dict[str, Any] = {
    "owner": "deepfactor",
    # With half an hour between the first and the last: no server that is started again is away for so long.
    "retries": 6,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": WhereItCanHelp(),
    "execution_timeout": timedelta(minutes=30),
    "on_failure_callback": remember_failure,
}


@contextmanager
def foreseen() -> Iterator[None]:
    """End a task without a stack trace where the library foresees the failure."""
    from deepfactor.errors import DeepfactorError

    # It tells of each of its own functions as it starts: hundreds of lines.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    try:
        yield
    except DeepfactorError as error:
        LOGGER.error("%s", error)
        raise ForeseenFailure(error) from None


def read_config(name: str, models: Sequence[str] | None = None) -> Config:
    """Read a configuration of the checkout, with some of its models, or all if none are named.

    Raises
    ------
    ConfigurationError
        If it does not have these models, or the signal model is not among them.
    """
    from deepfactor.config import load_config
    from deepfactor.errors import ConfigurationError

    config = load_config(CHECKOUT / name)
    if not models:
        return config
    if missing := [each for each in models if each not in config.models]:
        raise ConfigurationError(
            f"models: {name} does not train {', '.join(missing)}, only {', '.join(config.models)}: choose from these, "
            "or name another configuration"
        )
    if config.signal_model not in models:
        raise ConfigurationError(
            f"models: {config.signal_model} is missing, by which {name} ranks what is published: choose it, too, "
            "or none to train all"
        )
    return replace(config, models=tuple(each for each in config.models if each in models))


def service_key(config: Config) -> str | None:
    """Return the data service's key, where the configuration asks one and the connection has it."""
    if config.source.kind != "jquants":
        return None
    try:
        return str(Connection.get(KEY_CONNECTION).password or "") or None
    except AirflowNotFoundException:
        return None  # then in the environment


def whole_hours(variable: str, usual: int) -> timedelta:
    """Return a number of hours that an environment variable may set.

    Raises
    ------
    ValueError
        If it is set to something else; Airflow shows it as the DAG's import error.
    """
    text = os.environ.get(variable) or str(usual)
    if not text.isdecimal():
        raise ValueError(f"{variable} is {text!r}: set it to a whole number of hours, for example {usual}")
    return timedelta(hours=int(text))
