"""Where a vendor's files lie: in a folder, or under a prefix in S3."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from deepfactor.config import LARGEST_FILE, is_remote
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.sources.snapshot import Fingerprint, changed, digest_of, fingerprint_of, has_digest, read_whole


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
        from deepfactor.sources.bucket import DeliveredObjects, S3Delivery  # boto3 takes half a second to import
        from deepfactor.store import Store

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
