"""Files read once, whole and up to a bound, and known to be what they were when the reading ends."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from deepfactor.errors import SourceChanged, SourceError

_CHUNK = 1 << 20

Fingerprint = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of content and of anything, in nanoseconds."""


def fingerprint_of(found: os.stat_result) -> Fingerprint:
    """Return what changes with a file."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_whole(path: Path, name: str, largest: int) -> bytes:
    """Read a file once; nothing of it is looked at again.

    Parameters
    ----------
    path
        Of the file.
    name
        What messages call it.
    largest
        Bytes that are read at most.

    Raises
    ------
    SourceChanged
        If it is changed, replaced or removed while it is read.
    SourceError
        If it cannot be read, or is larger.
    """
    try:
        with path.open("rb", buffering=0) as file:
            before = fingerprint_of(os.fstat(file.fileno()))
            size = before[2]
            check_size(name, size, largest)
            chunks, length = [], 0
            while length <= size and (chunk := file.read(_CHUNK)):
                chunks.append(chunk)
                length += len(chunk)
            after = fingerprint_of(os.fstat(file.fileno()))
        replaced = fingerprint_of(path.stat()) != before
    except FileNotFoundError:
        raise changed(name) from None
    except OSError as error:
        raise SourceError(f"{name} cannot be read ({error.strerror}): make it readable, or deliver it again") from None
    if after != before or length != size or replaced:
        raise changed(name)
    return b"".join(chunks)


def digest_of(body: bytes) -> str:
    """Return the SHA-256 of what was read of a file."""
    return hashlib.sha256(body).hexdigest()


def has_digest(path: Path, digest: str) -> bool:
    """Tell whether a file, read again, has the same bytes.

    Times of a file may be as coarse as two seconds: what is rewritten at once, at the same length, has the same
    fingerprint.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def check_size(name: str, size: int, largest: int, what: str = "has") -> None:
    """Require that a file, or what it unpacks to, is not larger than what may be held in memory.

    Parameters
    ----------
    name
        What messages call it.
    size, largest
        In bytes.
    what
        What the size is said to be.

    Raises
    ------
    SourceError
        If it is larger.
    """
    if size > largest:
        raise SourceError(
            f"{name} {what} {_gigabytes(size)}, and more than {_gigabytes(largest)} are not read into memory: deliver "
            "it in smaller files, such as one a year, or raise source.maximum_gigabytes"
        )


def changed(name: str) -> SourceChanged:
    """Return the failure of a file that does not stay what it is."""
    return SourceChanged(
        f"{name} has changed while the delivery was read, so it may not be complete: run again once the vendor has "
        "finished"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
