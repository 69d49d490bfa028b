"""The machine's own disk, on which a step keeps what is soon gone: what it says when there is no room."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from deepfactor.errors import DeepfactorError


class ScratchFull(DeepfactorError):
    """There is no room on the machine's own disk; later there may be."""

    retryable: ClassVar[bool] = True


@contextmanager
def scratch() -> Iterator[None]:
    """Say which disk is full, if one is.

    Raises
    ------
    ScratchFull
        If something cannot be written because there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or tempfile.gettempdir()
        raise ScratchFull(
            f"there is no room on this machine's disk at {where} ({error.strerror}): make room there, or set TMPDIR to "
            "a folder on another disk, and run the step again"
        ) from None
