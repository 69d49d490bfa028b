"""What the parts of a month's page show: validation, gates, manifest, and lists of objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from deepfactor.objects import Reference
from deepfactor.publication import Manifest
from deepfactor.reports import verdict
from deepfactor.reports.numbers import size
from deepfactor.store import Store

# Name, address and what has to be there of each part of the page.
PARTS = (
    ("Report", "", "report.html"),
    ("Validation", "validation", "validation/verdict.json"),
    ("Gates", "gates", "gates.json"),
    ("Manifest", "manifest", None),
)

_DOCUMENTS = {"validation/data_docs/": "raw tables", "results/data_docs/": "descriptors and signals"}


@dataclass(frozen=True)
class Listed:
    """An object in a list.

    Attributes
    ----------
    name, address
        Its name, and the last part of the address under which it is to be had.
    size
        For people.
    sha256
        Its checksum.
    """

    name: str
    address: str
    size: str
    sha256: str


def listed(objects: Mapping[str, Reference]) -> list[Listed]:
    """Return objects as the list shows them, by name."""
    return [
        Listed(name, quote(name), size(reference.size), reference.sha256) for name, reference in sorted(objects.items())
    ]


def data_docs(objects: Mapping[str, Reference]) -> list[dict[str, Any]]:
    """Return the pages of Data Docs by what they are about; each index first."""
    found = []
    for prefix, about in _DOCUMENTS.items():
        names = sorted(
            (name for name in objects if name.startswith(prefix) and name.endswith(".html")),
            key=lambda name: (not name.endswith("/index.html"), name),
        )
        pages = [
            {"address": quote(name), "name": "overview" if name.endswith("/index.html") else _stem(name)}
            for name in names
        ]
        if pages:
            found.append({"about": about, "pages": pages})
    return found


def validation(store: Store, objects: Mapping[str, Reference]) -> list[dict[str, Any]]:
    """Return the verdicts that are there, each with its checks and what was set aside.

    Raises
    ------
    IntegrityError
        If one is missing or its bytes differ.
    """
    found = []
    for name, about in (("validation/verdict.json", "raw tables"), ("results/verdict.json", "descriptors and signals")):
        if name not in objects:
            continue
        content = store.read_json(objects[name])
        checks = verdict.checks(content)
        found.append(
            {
                "id": name.partition("/")[0],
                "about": about,
                "passed": content.get("passed") is True,
                "faults": content.get("faults", []),
                "failed": [each for each in checks if not each.passed],
                "checks": checks,
                "quarantines": verdict.quarantines(content),
            }
        )
    return found


def gates(store: Store, objects: Mapping[str, Reference]) -> list[dict[str, Any]]:
    """Return the gates, those that failed first.

    Raises
    ------
    IntegrityError
        If they are missing or their bytes differ.
    """
    found: list[dict[str, Any]] = store.read_json(objects["gates.json"])
    return sorted(found, key=lambda each: (bool(each["passed"]), not each.get("hard", True)))


def provenance(manifest: Manifest) -> list[tuple[str, object]]:
    """Return what a month was made from, and the numbers of its run."""
    made = {
        "run": manifest.run_id,
        "signal model": manifest.signal_model,
        "code version": manifest.code_version,
        "configuration": manifest.config_digest[:12],
    }
    return [*made.items(), *sorted(manifest.facts.items())]


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".html")
