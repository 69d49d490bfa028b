"""A vendor's files under a prefix in S3: fetched once, and only if they are what was listed."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from deepfactor.config import LARGEST_FILE
from deepfactor.errors import IntegrityError, PublicationConflict, SourceError
from deepfactor.patience import DEFAULT
from deepfactor.sources.delivery import DeliveredFile
from deepfactor.sources.snapshot import changed, check_size, read_whole
from deepfactor.store import Store

_FETCHED_AT_ONCE = 8
_CHUNK = 1 << 20
# Seconds for a file of two gigabytes at 0.3 MB a second.
_LONGEST_DOWNLOAD = 7200.0


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
