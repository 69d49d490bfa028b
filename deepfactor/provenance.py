"""What code computes a run: its own sources, and the libraries whose arithmetic decides the numbers."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deepfactor import __version__
from deepfactor.config import INCLUDE

_PACKAGE = Path(__file__).parent

# These run a month or show it, and decide nothing about it.
_IRRELEVANT = (
    "address.py",
    "attribution/change.py",
    "backfill",
    "backtest",
    "cli.py",
    "evaluating",
    "evaluation",
    "explaining",
    "exporting.py",
    "pages",
    "preservation",
    "reports/evaluation",
    "reports/explanation.py",
    "stack",
    "terminal.py",
)
_IRRELEVANT_TEMPLATES = ("evaluation.", "explanation.")

_LIBRARIES = (
    "daal",
    "great-expectations",
    "numpy",
    "polars",
    "scikit-learn",
    "scikit-learn-intelex",
    "tensorflow",
    "tensorflow-cpu",
)


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the package's version with a digest of its sources, templates and numeric libraries."""
    digest = hashlib.sha256()
    for name, path in sorted(_files().items()):
        digest.update(f"{name}\0".encode())
        digest.update(path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library}={_version(library)}\0".encode())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _files() -> dict[str, Path]:
    sources = {path.relative_to(_PACKAGE): path for path in _PACKAGE.rglob("*.py")}
    decisive = {
        f"deepfactor/{name.as_posix()}": path
        for name, path in sources.items()
        if not any(name.is_relative_to(each) for each in _IRRELEVANT)
    }
    templates = {
        f"templates/{path.name}": path
        for path in (INCLUDE / "templates").iterdir()
        if path.is_file() and not path.name.startswith(_IRRELEVANT_TEMPLATES)
    }
    return decisive | templates


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
