"""Objects of the store: how frames and numbers become bytes, and how an object is pinned to its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

import polars as pl


@dataclass(frozen=True, order=True)
class Reference:
    """An object, pinned to its bytes."""

    key: str
    sha256: str
    size: int

    @classmethod
    def to(cls, key: str, body: bytes) -> Reference:
        """Describe an object with this body."""
        return cls(key, hashlib.sha256(body).hexdigest(), len(body))

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Reference:
        """Read what :meth:`as_dict` gives.

        Raises
        ------
        TypeError
            If it is not one.
        """
        reference = cls(**content)
        kinds = [type(each) for each in (reference.key, reference.sha256, reference.size)]
        if kinds != [str, str, int] or reference.size < 0:
            raise TypeError(f"{content!r} is no reference to an object")
        return reference


def frame_to_bytes(frame: pl.DataFrame) -> bytes:
    """Return a frame as Parquet; the same frame gives the same bytes."""
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def json_to_bytes(content: Any) -> bytes:
    """Return JSON with sorted keys and no NaN; the same content gives the same bytes."""
    return (json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
