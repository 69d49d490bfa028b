"""The files of a configuration: YAML that may change another, its base, and the expectation suites beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfactor.bounded_text import parse_json, parse_yaml
from deepfactor.errors import ConfigurationError

# The largest suite has 26 kilobytes, the largest configuration four.
LARGEST = 1_000_000
"""Bytes of a configuration's file and of an expectation suite."""


@dataclass(frozen=True)
class ConfigFiles:
    """A configuration's file and those it is based on.

    Attributes
    ----------
    contents
        What each file says, without ``base``; the configuration first, then its base, then that one's.
    """

    contents: Mapping[Path, Mapping[str, Any]]

    def merged(self) -> dict[str, Any]:
        """Return what they say together: mappings are merged key by key, anything else replaces the base's."""
        merged: dict[str, Any] = {}
        for content in reversed([*self.contents.values()]):
            merged = _merge(merged, content)
        return merged

    def holder(self, keys: Sequence[str | int]) -> Path | None:
        """Return the file whose value for nested keys counts, none if no file has one."""
        return next((path for path, content in self.contents.items() if _holds(content, keys)), None)

    def suites(self) -> dict[str, Any]:
        """Read the expectation suites: ``../expectations`` of the configuration's folder, else of its base's.

        Raises
        ------
        ConfigurationError
            If one cannot be read, is not JSON, or is too large.
        """
        folders = [path.resolve().parent.parent / "expectations" for path in self.contents]
        return _read_suites(next((folder for folder in folders if folder.is_dir()), folders[0]))


def read_config_files(path: Path) -> ConfigFiles:
    """Read a configuration's file, and as long as one names a ``base``, that file as well.

    Parameters
    ----------
    path
        A YAML file. ``base`` is relative to the folder of the file that names it.

    Raises
    ------
    ConfigurationError
        If a file cannot be read, is not YAML, is too large or holds no keys, or is its own base; names the files.
    """
    contents: dict[Path, dict[str, Any]] = {}
    resolved: list[Path] = []
    current: Path | None = path
    while current is not None:
        if "\0" in str(current):
            raise ConfigurationError(f"{path}: {str(current)!r} is no file's name; name an existing YAML file")
        resolved.append(current.resolve())
        if resolved[-1] in resolved[:-1]:
            chain = " → ".join(str(each) for each in (*contents, current))
            raise ConfigurationError(f"{path}: base leads back to where it was: {chain}; remove one of them")
        contents[current] = _read_mapping(current, named_by=[*contents][-1:])
        base = contents[current].pop("base", None)
        if not isinstance(base, str | None):
            raise ConfigurationError(f"{current}: base: expected the name of a YAML file, found {base!r}")
        current = None if base is None else current.parent / base
    return ConfigFiles(contents)


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _holds(content: Any, keys: Sequence[str | int]) -> bool:
    for key in keys:
        if not isinstance(content, Mapping):
            return True  # a value, of which the rest of the keys is a part
        if key not in content:
            return False
        content = content[key]
    return True


def _read_mapping(path: Path, named_by: Sequence[Path]) -> dict[str, Any]:
    where = "".join(f"{each}: base: " for each in named_by) + str(path)
    content = parse_yaml(_read_text(path, where, "YAML"), where)
    if not isinstance(content, dict):
        raise ConfigurationError(f"{where}: expected keys and values, found {type(content).__name__}")
    if strange := [key for key in content if not isinstance(key, str)]:
        raise ConfigurationError(f"{where}: the key {strange[0]!r} is no text; remove it, or write it in quotes")
    return content


def _read_text(path: Path, where: str, kind: str) -> str:
    try:
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise ConfigurationError(
                f"{where}: has more than {LARGEST / 1e6:.0f} MB, which is no {kind} written by hand"
            )
        return body.decode()
    except OSError as error:
        raise ConfigurationError(f"{where}: cannot be read ({error.strerror}); name an existing {kind} file") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{where}: is not {kind}: {error}") from None


def _read_suites(folder: Path) -> dict[str, Any]:
    paths = sorted(folder.glob("*.json"))
    return {path.stem: parse_json(_read_text(path, str(path), "JSON"), str(path)) for path in paths}
