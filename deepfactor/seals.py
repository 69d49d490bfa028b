"""JSON that carries the checksum of its own content, so that any byte of it that changes is noticed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from deepfactor.errors import IntegrityError
from deepfactor.objects import json_to_bytes
from deepfactor.store import Store

LOGGER = logging.getLogger(__name__)

_SEAL = "sha256"


def seal(content: Mapping[str, Any]) -> bytes:
    """Return content as JSON with the SHA-256 of all the rest; the same content gives the same bytes."""
    return json_to_bytes({**content, _SEAL: hashlib.sha256(json_to_bytes(content)).hexdigest()})


def unseal(body: bytes, where: str, what: str, remedy: str) -> dict[str, Any]:
    """Return the content of what :func:`seal` wrote.

    Parameters
    ----------
    body
        What was read.
    where, what
        Its address, and what it should be, for the message.
    remedy
        What to do if it is not, for the message.

    Raises
    ------
    IntegrityError
        If it is not JSON, carries no checksum, or is not byte for byte what was written.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where} is not {what} ({error}); {remedy}") from None
    if not isinstance(content, dict) or content.pop(_SEAL, None) is None:
        raise IntegrityError(
            f"{where} is not {what} that carries a checksum of its own content, which an earlier version did not "
            f"write; {remedy}"
        )
    if _sealed_again(content) != body:
        raise IntegrityError(f"{where} is not what was written, its checksum is not that of its content; {remedy}")
    return content


def look(store: Store, key: str) -> tuple[bytes, str | None] | None:
    """Return what lies at a key with its entity tag, none if there is no object; what does not come whole as no bytes.

    So something damaged can be replaced.
    """
    try:
        return store.find(key)
    except IntegrityError as error:
        LOGGER.warning("%s", error)
        return b"", store.etag(key)


def _sealed_again(content: Mapping[str, Any]) -> bytes | None:
    try:
        return seal(content)
    except (ValueError, RecursionError):
        return None
