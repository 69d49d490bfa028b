"""Where a vendor's files lie: in a folder, or under a prefix in S3."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Protocol

from deepfactor.config import is_remote
from deepfactor.errors import ConfigurationError, IntegrityError, SourceError
from deepfactor.store import Store

# Bodies pass through memory on their way to the disk; this many at once.
_FETCHED_AT_ONCE = 8


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
    """A vendor's files."""

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


def open_delivery(folder: str) -> Delivery:
    """Return the delivery in a folder, or under ``s3://bucket/prefix``.

    The S3 endpoint and its credentials come from the usual AWS variables.

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
        return S3Delivery(Store.open(folder))
    if not Path(folder).is_dir():
        raise ConfigurationError(
            f"the source's folder {folder} does not exist: pass --source with the delivery's, "
            "or land a simulated market there with deepfactor simulate"
        )
    return FolderDelivery(Path(folder))


@dataclass(frozen=True)
class FolderDelivery:
    """Files of a folder on this machine; a :class:`Delivery`."""

    root: Path

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.root)

    def files(self, pattern: str) -> list[DeliveredFile]:
        """Return the files that match a glob.

        Raises
        ------
        SourceError
            If one is a link that leads out of the folder.
        """
        root = self.root.resolve()
        paths = sorted(path for path in self.root.glob(pattern) if path.is_file())
        outside = [path for path in paths if not path.resolve().is_relative_to(root)]
        if outside:
            raise SourceError(f"{outside[0]} leads out of the source's folder {self.root}: put the file itself there")
        return [DeliveredFile(str(path), path) for path in paths]


class S3Delivery:
    """Objects under a prefix; a :class:`Delivery`.

    What has been fetched lies in a temporary folder, which goes with this object. An object is fetched once, and again
    only if it has another entity tag when it is listed anew.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = tempfile.TemporaryDirectory(prefix="deepfactor-delivery-")
        self._fetched: dict[tuple[str, str], DeliveredFile] = {}

    @property
    def name(self) -> str:
        """The prefix."""
        return self._store.url("").rstrip("/")

    def files(self, pattern: str) -> list[DeliveredFile]:
        """Return the objects whose key below the prefix matches a glob, fetched.

        Raises
        ------
        SourceError
            If an object is no longer what it was when it was listed.
        StoreError
            If S3 does not answer, or refuses.
        """
        listed = {
            PurePosixPath(key): (key, tag)
            for key, tag in self._store.etags(_literal(pattern)).items()
            if not key.endswith("/") and matches(PurePosixPath(key).parts, PurePosixPath(pattern).parts)
        }
        ordered = [listed[path] for path in sorted(listed)]
        missing = [each for each in ordered if each not in self._fetched]
        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
            numbered = enumerate(missing, start=len(self._fetched))
            fetched = list(pool.map(lambda each: self._fetch(*each), numbered))
        self._fetched |= dict(zip(missing, fetched, strict=True))
        return [self._fetched[each] for each in ordered]

    def _fetch(self, number: int, listed: tuple[str, str]) -> DeliveredFile:
        key, tag = listed
        url = self._store.url(key)
        try:
            body, found = self._store.get_tagged(key)
        except IntegrityError:
            found = ""
        if found != tag:
            raise SourceError(
                f"{url} has changed between listing and reading, so the delivery is not complete: "
                "run again once the vendor has finished"
            )
        # A key may hold anything; the number makes a name that is safe and its own.
        path = Path(self._folder.name) / str(number)
        path.write_bytes(body)
        return DeliveredFile(url, path)


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
