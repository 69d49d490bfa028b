"""Where a vendor's files lie: in a folder, or under a prefix in S3."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Protocol

from deepfactor.config import LARGEST_FILE, is_remote
from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, SourceError
from deepfactor.patience import DEFAULT
from deepfactor.sources.snapshot import (
    Fingerprint,
    changed,
    check_size,
    digest_of,
    fingerprint_of,
    has_digest,
    read_whole,
)
from deepfactor.store import Store

_FETCHED_AT_ONCE = 8
_CHUNK = 1 << 20
# Seconds for a file of two gigabytes at 0.3 MB a second.
_LONGEST_DOWNLOAD = 7200.0


@dataclass(frozen=True)
class DeliveredFile:
    """A file on this machine, and what messages call it.

    Attributes
    ----------
    name
        Where the vendor has put it.
    path
        Where it can be read.
    """

    name: str
    path: Path

    @property
    def suffixes(self) -> tuple[str, bool]:
        """Return the suffix in small letters, such as ``.csv``, and whether ``.gz`` follows it."""
        suffixes = [each.lower() for each in PurePosixPath(self.name).suffixes[-2:]]
        compressed = suffixes[-1:] == [".gz"]
        return "".join(suffixes[:-1][-1:] if compressed else suffixes[-1:]), compressed


class Delivery(Protocol):
    """A vendor's files, which may be changed at any moment."""

    @property
    def name(self) -> str:
        """Where they lie, for people."""
        ...

    def files(self, pattern: str) -> list[DeliveredFile]:
        """Return the files that match a glob, sorted by their path.

        Raises
        ------
        SourceError
            If one cannot be had.
        """
        ...

    def read(self, file: DeliveredFile) -> bytes:
        """Return all of a file.

        Raises
        ------
        SourceChanged
            If it changes meanwhile.
        SourceError
            If it cannot be read, or is too large.
        """
        ...

    def confirm(self) -> None:
        """Require that what has been listed and read is still the same.

        Raises
        ------
        SourceChanged
            Naming the file that is not. What was read of the delivery must then be read again.
        """
        ...


def open_delivery(folder: str, largest: int = LARGEST_FILE) -> Delivery:
    """Return the delivery in a folder, or under ``s3://bucket/prefix``.

    The S3 endpoint and its credentials come from the usual AWS variables.

    Parameters
    ----------
    folder
        Where the files lie.
    largest
        Bytes that a file may have.

    Raises
    ------
    ConfigurationError
        If there is no such folder.
    StoreError
        If S3 does not answer, or refuses the credentials or the bucket.
    """
    if is_remote(folder):
        if not folder.startswith("s3://"):
            raise ConfigurationError(f"the source {folder} is neither a folder nor of the form s3://bucket/prefix")
        return S3Delivery(DeliveredObjects.of(Store.open(folder)), largest)
    # A name that no file system takes is that of no folder, too.
    if not os.path.isdir(folder):  # noqa: PTH112 - pathlib raises for such names
        raise ConfigurationError(
            f"the source's folder {folder} does not exist: pass --source with the delivery's, "
            "or land a simulated market there with deepfactor simulate"
        )
    return FolderDelivery(Path(folder), largest)


@dataclass(frozen=True)
class FolderDelivery:
    """Files of a folder on this machine; a :class:`Delivery`.

    Attributes
    ----------
    root
        The folder.
    largest
        Bytes that a file may have.
    """

    root: Path
    largest: int = LARGEST_FILE
    _listed: dict[str, dict[Path, Fingerprint]] = field(default_factory=dict, repr=False, compare=False)
    _read: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.root)

    def files(self, pattern: str) -> list[DeliveredFile]:
        """Return the files that match a glob.

        Raises
        ------
        SourceError
            If one is a link that leads out of the folder, or the folder cannot be listed.
        """
        self._listed[pattern] = self._listing(pattern)
        return [DeliveredFile(str(path), path) for path in self._listed[pattern]]

    def read(self, file: DeliveredFile) -> bytes:
        """Return all of a file.

        Raises
        ------
        SourceChanged
            If it changes meanwhile.
        SourceError
            If it cannot be read, or is too large.
        """
        body = read_whole(file.path, file.name, self.largest)
        self._read[file.path] = digest_of(body)
        return body

    def confirm(self) -> None:
        """Require that what has been listed and read is still the same.

        What is rewritten within a moment shows in the bytes, what is rewritten later in the file's times.

        Raises
        ------
        SourceChanged
            Naming the file that is not.
        """
        others = [path for path, digest in self._read.items() if not has_digest(path, digest)]
        for pattern, listed in self._listed.items():
            others += sorted(path for path, _ in listed.items() ^ self._listing(pattern).items())
        self._read.clear()
        if others:
            self._listed.clear()
            raise changed(str(others[0]))

    def _listing(self, pattern: str) -> dict[Path, Fingerprint]:
        """Return the files that match a glob, sorted by their path."""
        root = self.root.resolve()
        try:
            paths = sorted(path for path in self.root.glob(pattern) if path.is_file())
            outside = [path for path in paths if not path.resolve().is_relative_to(root)]
            listed = {path: fingerprint_of(path.stat()) for path in paths}
        except FileNotFoundError as error:
            raise changed(str(error.filename)) from None
        except OSError as error:
            raise SourceError(f"{self.root}/{pattern}: cannot be listed ({error.strerror})") from None
        if outside:
            raise SourceError(f"{outside[0]} leads out of the source's folder {self.root}: put the file itself there")
        return listed


class DeliveredObjects(Store):
    """Objects that a vendor delivers, which may be large: they pass through memory in parts."""

    @classmethod
    def of(cls, store: Store) -> DeliveredObjects:
        """Return the objects of a store."""
        # A file is much larger than what the store holds.
        return cls(store._client, store.bucket, store.prefix, replace(DEFAULT, attempt=_LONGEST_DOWNLOAD))

    def download(self, key: str, tag: str, path: Path, largest: int) -> None:
        """Write an object to a file.

        Parameters
        ----------
        key
            Of the object.
        tag
            The entity tag it must have.
        path
            Of the file.
        largest
            Bytes that it may have.

        Raises
        ------
        SourceChanged
            If it has another entity tag, or is not there any more.
        SourceError
            If it is larger, or there is no room for it.
        StoreError
            If S3 does not answer, or refuses.
        """
        url = self.url(key)

        def write() -> None:
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key), IfMatch=tag)
            # Not every endpoint knows IfMatch.
            if answer["ETag"] != tag:
                raise changed(url)
            check_size(url, answer["ContentLength"], largest)
            # An attempt that was given up may still be writing to its own.
            arriving = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            with arriving.open("wb") as file:
                for part in answer["Body"].iter_chunks(_CHUNK):
                    file.write(part)
            arriving.replace(path)

        try:
            self._call("read", key, write)
        except (IntegrityError, PublicationConflict):
            raise changed(url) from None
        except OSError as error:
            raise SourceError(f"{url} cannot be kept in {path.parent} ({error.strerror}): make room there") from None


class S3Delivery:
    """Objects under a prefix; a :class:`Delivery`.

    What has been fetched lies in a temporary folder, which goes with this object. An object is fetched once, and again
    only if it has another entity tag when it is listed anew.
    """

    def __init__(self, store: DeliveredObjects, largest: int = LARGEST_FILE) -> None:
        self._store = store
        self._largest = largest
        self._folder = tempfile.TemporaryDirectory(prefix="deepfactor-delivery-")
        self._fetched: dict[tuple[str, str], DeliveredFile] = {}
        self._listed: dict[str, list[tuple[str, str]]] = {}

    @property
    def name(self) -> str:
        """The prefix."""
        return self._store.url("").rstrip("/")

    def files(self, pattern: str) -> list[DeliveredFile]:
        """Return the objects whose key below the prefix matches a glob, fetched.

        Raises
        ------
        SourceChanged
            If an object is no longer what it was when it was listed.
        SourceError
            If one is too large, or there is no room for it.
        StoreError
            If S3 does not answer, or refuses.
        """
        ordered = self._listing(pattern)
        missing = [each for each in ordered if each not in self._fetched]
        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
            numbered = enumerate(missing, start=len(self._fetched))
            fetched = list(pool.map(lambda each: self._fetch(*each), numbered))
        self._fetched |= dict(zip(missing, fetched, strict=True))
        self._listed[pattern] = ordered
        return [self._fetched[each] for each in ordered]

    def read(self, file: DeliveredFile) -> bytes:
        """Return all of a fetched object.

        Raises
        ------
        SourceError
            If the temporary file cannot be read.
        """
        return read_whole(file.path, file.name, self._largest)

    def confirm(self) -> None:
        """Require that what has been listed still has the same entity tags.

        Raises
        ------
        SourceChanged
            Naming the object that has another one.
        StoreError
            If S3 does not answer, or refuses.
        """
        for pattern, listed in self._listed.items():
            if others := set(self._listing(pattern)) ^ set(listed):
                self._listed.clear()
                raise changed(self._store.url(min(others)[0]))

    def _listing(self, pattern: str) -> list[tuple[str, str]]:
        """Return key and entity tag of the objects that match a glob, sorted by their path."""
        listed = {
            PurePosixPath(key): (key, tag)
            for key, tag in self._store.etags(_literal(pattern)).items()
            if not key.endswith("/") and matches(PurePosixPath(key).parts, PurePosixPath(pattern).parts)
        }
        return [listed[path] for path in sorted(listed)]

    def _fetch(self, number: int, listed: tuple[str, str]) -> DeliveredFile:
        # A key may hold anything; the number makes a name that is safe and its own.
        path = Path(self._folder.name) / str(number)
        self._store.download(*listed, path, self._largest)
        return DeliveredFile(self._store.url(listed[0]), path)


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether a path matches a glob, both cut at the slashes; ``**`` stands for any number of folders.

    >>> matches(["prices", "2016", "02.csv"], ["prices", "**", "*.csv"])
    True
    """
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(matches(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


def _literal(pattern: str) -> str:
    """Return the folders that a glob begins with and that hold no wildcard, so that only these are listed."""
    literal: list[str] = []
    for part in PurePosixPath(pattern).parts[:-1]:
        if any(sign in part for sign in "*?["):
            break
        literal.append(part)
    return "".join(f"{part}/" for part in literal)
