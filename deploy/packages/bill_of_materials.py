"""The software bill of materials, in CycloneDX 1.6: every pinned package with version, hashes, licence and needs.

``make sbom`` writes ``sbom.cdx.json`` and ``docs/licences.md``. The same requirements files give the same bytes.
"""

from __future__ import annotations

import json
import tomllib
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from deploy.packages.licences import EXCEPTIONS, STATED, licence_of
from deploy.packages.lock import Package, read_lock

CHECKOUT = Path(__file__).resolve().parents[2]
BILL, LICENCES = CHECKOUT / "sbom.cdx.json", CHECKOUT / "docs" / "licences.md"

# In this order: a package of two files has the scope of the first.
SCOPES = {
    "requirements.txt": "required",
    "requirements-store.txt": "optional",
    "requirements-build.txt": "excluded",
    "requirements-dev.txt": "excluded",
}
_WHERE = {"required": "the product", "optional": "the embedded endpoint", "excluded": "development"}
_NAMESPACE = uuid.UUID("d9b5b6a2-6f7c-5c0e-9a3e-0d6d1c3f4b52")


def locked() -> dict[Package, str]:
    """Return every pinned package with its scope, by name and version."""
    found: dict[str, tuple[Package, str]] = {}
    for name, scope in SCOPES.items():
        for package in read_lock(CHECKOUT / name):
            known, first = found.get(package.address, (package, scope))
            wanted_by = tuple(sorted({*known.wanted_by, *package.wanted_by}))
            merged = Package(known.name, known.version, known.marker, known.hashes, wanted_by)
            found[package.address] = merged, first
    return dict(found[address] for address in sorted(found))


def licences(names: Sequence[str]) -> dict[str, str]:
    """Return the licence of each package, by name.

    Raises
    ------
    ValueError
        If one can neither be read nor is stated.
    """
    declared = {}
    for folder in (".venv", ".venv-store"):
        places = [str(each) for each in (CHECKOUT / folder).glob("lib/python3.*/site-packages")]
        for each in distributions(path=places):
            declared[each.name.lower().replace("_", "-").replace(".", "-")] = licence_of(each)
    found = {name: STATED.get(name) or declared.get(name) for name in names}
    if unknown := sorted(name for name, licence in found.items() if licence is None):
        raise ValueError(f"no licence is known of {unknown}: look them up, and state them in licences.py")
    return {name: str(licence) for name, licence in found.items()}


def bill(packages: Mapping[Package, str], licence: Mapping[str, str]) -> dict[str, Any]:
    """Return the bill of materials as CycloneDX has it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    components = [_component(package, scope, licence[package.name]) for package, scope in packages.items()]
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "purl": root,
            },
        },
        "components": components,
        "dependencies": _dependencies(packages, project["name"], root),
    }
    content["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))}"
    return content


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the bill as JSON, a hash a line, so that a change shows what has changed."""
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def page(packages: Mapping[Package, str], licence: Mapping[str, str]) -> str:
    """Return the list of licences for people."""
    by_licence: dict[str, int] = defaultdict(int)
    for package in packages:
        by_licence[licence[package.name]] += 1
    lines = [
        "# Licences",
        "",
        "Of the pinned packages, written by `make sbom`; `sbom.cdx.json` has their hashes and what needs what.",
        "The allowed licences and this page's exceptions stand in `deploy/packages/licences.py`.",
        "",
        "## Exceptions",
        "",
        "| package | licence | why it is used all the same |",
        "|---|---|---|",
        *(f"| {name} | {licence[name]} | {reason} |" for name, reason in EXCEPTIONS.items()),
        "",
        "## How many",
        "",
        "| licence | packages |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(by_licence.items())),
        "",
        "## All",
        "",
        "| package | version | licence | part of |",
        "|---|---|---|---|",
        *(
            f"| {package.name} | {package.version} | {licence[package.name]} | {_WHERE[scope]} |"
            for package, scope in packages.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _component(package: Package, scope: str, licence: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.address,
        "name": package.name,
        "version": package.version,
        "scope": scope,
        "purl": package.address,
        "licenses": [{"expression": licence}],
        "externalReferences": [
            {
                "type": "distribution",
                "url": package.address,
                "hashes": [{"alg": "SHA-256", "content": each} for each in package.hashes],
            }
        ],
        "properties": [{"name": "deepfactor:marker", "value": package.marker}] if package.marker else [],
    }


def _dependencies(packages: Mapping[Package, str], project: str, root: str) -> list[dict[str, Any]]:
    addresses: dict[str, list[str]] = defaultdict(list)
    for package in packages:
        addresses[package.name].append(package.address)
    needs: dict[str, set[str]] = {root: set(), **{package.address: set() for package in packages}}
    for package in packages:
        for name in package.wanted_by:
            for address in [root] if name == project else addresses[name]:
                needs[address].add(package.address)
    return [{"ref": address, "dependsOn": sorted(needed)} for address, needed in sorted(needs.items())]


def main() -> None:
    """Write both."""
    packages = locked()
    licence = licences(sorted({package.name for package in packages}))
    BILL.write_bytes(to_bytes(bill(packages, licence)))
    LICENCES.write_text(page(packages, licence), encoding="utf-8")


if __name__ == "__main__":
    main()
