"""The program of the embedded S3 endpoint: the emulator, made to refuse what it cannot write to its disk.

By itself it answers 200 on a full disk and keeps the object in memory: it can be read back, until the process ends.
This runs in the emulator's own environment, as a script, and imports nothing else of this package.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

# Insufficient Storage. A client that retries what may pass by itself does not retry this.
_FULL = 507

_Answer = tuple[int, dict[str, str], bytes]


def refusing(storage: Any) -> Callable[[str, str, bytes, dict[str, str]], _Answer]:
    """Return what puts an object, or takes it back and refuses if the disk did not take it.

    Parameters
    ----------
    storage
        The emulator's module for S3.
    """
    put = storage._put_object

    def put_or_refuse(bucket: str, key: str, body: bytes, headers: dict[str, str]) -> _Answer:
        known = storage._buckets.get(bucket)
        before = None if known is None else known["objects"].get(key)
        answer: _Answer = put(bucket, key, body, headers)
        # What lies on the disk is no longer held in memory.
        if answer[0] != 200 or known["objects"][key].get("body") is None:
            return answer
        if before is None:
            del known["objects"][key]
            storage._delete_persisted_object(bucket, key)
        else:
            known["objects"][key] = before
        refusal: _Answer = storage._error(
            "InsufficientStorage", "The object could not be written: the store's disk may be full.", _FULL
        )
        return refusal

    return put_or_refuse


def main() -> None:
    """Serve until told to stop."""
    storage: Any = import_module("ministack.services.s3")
    # Another version may keep objects in another way; then it must not be taken for one that refuses.
    for name in ("_put_object", "_buckets", "_delete_persisted_object", "_error"):
        if not hasattr(storage, name):
            raise SystemExit(f"ministack has no {name} any more: look again at what it does on a full disk")
    storage._put_object = refusing(storage)
    import_module("ministack.app").main()


if __name__ == "__main__":
    main()
