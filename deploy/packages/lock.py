"""The requirements files: what is installed where, in which version, and by which hashes it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.+!]+)(?: ; (?P<marker>.+))?")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Package:
    """A pinned package.

    Attributes
    ----------
    name, version
        As the lock has them.
    marker
        On which interpreters and systems it is installed; empty: on all.
    hashes
        SHA-256 of every file of this version that may be installed.
    wanted_by
        Names of the packages that need it; ``deepfactor`` itself among them.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]

    @property
    def address(self) -> str:
        """The package's URL, which names no index."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path) -> list[Package]:
    """Read a file that uv has compiled with ``--generate-hashes``.

    Raises
    ------
    ValueError
        If a line is none that uv writes, or a package has no hash.
    """
    return [_package(path, lines) for lines in _blocks(path)]


def _blocks(path: Path) -> Iterator[list[str]]:
    block: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if block and not line.startswith(" "):
            yield block
            block = []
        block.append(line.strip().removesuffix("\\").strip())
    if block:
        yield block


def _package(path: Path, lines: list[str]) -> Package:
    pin = _PIN.fullmatch(lines[0])
    hashes = [found[1] for line in lines[1:] if (found := _HASH.fullmatch(line))]
    comments = [line.removeprefix("#").strip() for line in lines[1:] if line.startswith("#")]
    if pin is None or not hashes or len(hashes) + len(comments) + 1 != len(lines):
        raise ValueError(f"{path.name}: {lines[0]!r} is not a pinned package with hashes; compile the file again")
    wanted_by = [each.removeprefix("via").strip().split(" ")[0] for each in comments]
    return Package(
        pin["name"],
        pin["version"],
        pin["marker"] or "",
        tuple(hashes),
        tuple(each for each in wanted_by if each and each != "-c"),
    )
