"""Every manifest of a store, of months and of evaluations, and the objects that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from deepfactor import publication
from deepfactor.errors import IntegrityError
from deepfactor.evaluating.results import EvaluationManifest
from deepfactor.objects import Reference
from deepfactor.publication import Manifest
from deepfactor.store import Store

_MONTH = r"\d{4}-\d{2}"
_MONTH_MANIFEST = re.compile(rf"manifests/{_MONTH}\.json|runs/{_MONTH}/[0-9a-f]+/manifest\.json")
_EVALUATION_MANIFEST = re.compile(rf"evaluations/({_MONTH}_{_MONTH}|[0-9a-f]+/manifest)\.json")
_PREFIXES = ("manifests/", "runs/", "evaluations/")


@dataclass(frozen=True)
class Publication:
    """A manifest and what it names.

    Attributes
    ----------
    what
        The month or span, and what computed it.
    key
        Where the manifest lies.
    body
        The manifest itself.
    current
        Whether readers start at it. Otherwise it is the copy in the folder of what it names, which may have been
        replaced.
    references
        The objects it names, a month's raw tables included; if it is current, also its copy.
    """

    what: str
    key: str
    body: bytes
    current: bool
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Damage:
    """An object that is missing or is not what was written.

    Attributes
    ----------
    what
        The publication it belongs to.
    key
        The object.
    reason
        What is wrong with it, and what to do.
    """

    what: str
    key: str
    reason: str


def manifest_keys(keys: Iterable[str]) -> list[str]:
    """Return those of a store's keys that are manifests."""
    return [key for key in keys if _MONTH_MANIFEST.fullmatch(key) or _EVALUATION_MANIFEST.fullmatch(key)]


def read_publication(store: Store, key: str) -> Publication:
    """Read the manifest that lies at a key.

    Raises
    ------
    IntegrityError
        If there is none, or it is not one, or not of the month or span that its key names.
    """
    body = store.get(key)
    current = key.startswith("manifests/") or key.count("/") == 1
    if _EVALUATION_MANIFEST.fullmatch(key):
        evaluation = EvaluationManifest.from_bytes(body, store.url(key))
        span = f"{evaluation.first}_{evaluation.last}"
        what = f"evaluation {evaluation.first} to {evaluation.last}, {evaluation.evaluation_id}"
        places = (f"evaluations/{span}.json", f"evaluations/{evaluation.evaluation_id}/manifest.json")
        references = tuple(evaluation.named_objects.values())
    else:
        month = Manifest.from_bytes(body, store.url(key))
        what = f"{month.month}, run {month.run_id}"
        places = (publication.manifest_key(month.month), publication.copy_key(month))
        references = (*month.objects, *month.inputs)
    if key not in places:
        raise IntegrityError(f"{store.url(key)} is the manifest of {what}: it was moved or overwritten; restore it")
    if current:
        references = (*references, Reference.to(places[1], body))
    return Publication(what, key, body, current, references)


def read_publications(store: Store) -> tuple[list[Publication], list[Damage]]:
    """Read all manifests of a store, and tell which could not be read."""
    found: list[Publication] = []
    damaged: list[Damage] = []
    for prefix in _PREFIXES:
        for key in manifest_keys(store.list(prefix)):
            try:
                found.append(read_publication(store, key))
            except IntegrityError as error:
                damaged.append(Damage(key, key, str(error)))
    return found, damaged
