"""A generated delivery in a folder: written wholly or not at all, and known to be unchanged."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepfactor.errors import ConfigurationError

TRUTH = "truth.json"


def land_once(folder: Path, parameters: dict[str, Any], write: Callable[[Path], dict[str, Any]]) -> None:
    """Write a delivery into a folder, wholly or not at all; nothing if it is there already, unchanged.

    Parameters
    ----------
    folder
        Where it goes.
    parameters
        What it was generated from.
    write
        Writes the files into a folder and returns what else ``truth.json`` is to say.

    Raises
    ------
    ConfigurationError
        If the folder holds anything else, was generated from other parameters, or has been changed, or cannot be
        written.
    """
    try:
        if _is_landed(folder, parameters):
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_one_at(folder.parent) as alone:
            if alone:
                _remove_leftovers(folder)
            # Another process may have landed it while this one waited.
            if not _is_landed(folder, parameters):
                _land(folder, parameters, write)
    except OSError as error:
        raise ConfigurationError(
            f"{folder}: nothing can be written there ({error.strerror}); make room, or name another folder"
        ) from None


def _land(folder: Path, parameters: dict[str, Any], write: Callable[[Path], dict[str, Any]]) -> None:
    # In the same folder, because only within one file system is a rename a single act.
    temporary = Path(tempfile.mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    try:
        temporary.chmod(0o755)
        truth = {"parameters": parameters, **write(temporary), "files": _contents(temporary)}
        (temporary / TRUTH).write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
        temporary.rename(folder)
    except OSError:
        # Where folders cannot be locked, another process may have landed the same in the meantime.
        if not _is_landed(folder, parameters):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.landing-"


def _remove_leftovers(folder: Path) -> None:
    """Remove what landings of this folder left behind when they were killed; nobody else may be landing."""
    for leftover in folder.parent.glob(f"{_escaped(_prefix(folder))}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


@contextmanager
def _only_one_at(parent: Path) -> Iterator[bool]:
    """Wait until no other process lands anything in a folder; false where the file system cannot tell."""
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        # The lock goes with the descriptor, and with a process that is killed.
        os.close(descriptor)


def _is_landed(folder: Path, parameters: dict[str, Any]) -> bool:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        truth = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
        found = truth["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{folder} is not a simulated market, so none is landed there: "
            "name another folder, or remove source.simulate to read what is there"
        ) from None
    if found != parameters:
        raise ConfigurationError(
            f"{folder} holds a market simulated with {found}, not with {parameters}: "
            "name another folder, or remove this one"
        )
    changed = _changes(folder, truth.get("files"))
    if changed:
        raise ConfigurationError(
            f"the simulated market in {folder} is not what was landed there: {'; '.join(changed)}. "
            "Remove the folder to land it again, or remove source.simulate to read what is there"
        )
    return True


def _changes(folder: Path, files: Any) -> list[str]:
    """Return in which of the files that were landed the folder differs from them, and how."""
    try:
        expected = {str(name): (int(each["size"]), str(each["sha256"])) for name, each in files.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return [f"{TRUTH} was changed"]
    there = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    changed = [f"{name} is missing" for name in sorted(expected.keys() - there.keys())]
    changed += [f"{name} was added" for name in sorted(there.keys() - expected.keys())]
    for name, (size, digest) in expected.items():
        # A size is looked up, a digest is computed: not for what another size betrays.
        if name in there and (there[name].stat().st_size != size or _digest(there[name]) != digest):
            changed.append(f"{name} was changed")
    return changed


def _contents(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)}
        for path in _files(folder)
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[Path]:
    """Return the delivered files; not hidden ones, which file managers leave, nor the truth."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path != folder / TRUTH)
