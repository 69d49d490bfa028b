"""Waiting for a server that is started again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from deepfactor.errors import DeepfactorError

LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")

_INTERVAL = 2.0

# A server that is started again is away for less than this.
_PATIENCE = 180.0


def patiently(look: Callable[[], _T]) -> _T:
    """Look again and again while a server does not answer, and return what it says.

    Parameters
    ----------
    look
        Asks servers, and changes nothing.

    Raises
    ------
    DeepfactorError
        If a server does not answer for three minutes; at once if it refuses.
    """
    silent_since: float | None = None
    while True:
        try:
            return look()
        except DeepfactorError as error:
            if not error.retryable:
                raise
            if silent_since is None:
                silent_since = time.monotonic()
                LOGGER.warning("%s; waiting for it", error)
            if time.monotonic() - silent_since > _PATIENCE:
                raise
            time.sleep(_INTERVAL)
