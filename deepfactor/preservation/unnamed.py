"""What lies in a store and is named by no manifest."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from deepfactor.preservation.publications import Publication
from deepfactor.store import Store

# Beside the named objects of a run lie its inputs, the records of its steps and what a step measured of itself.
_RUN = re.compile(r"runs/\d{4}-\d{2}/[0-9a-f]+/")


@dataclass(frozen=True)
class Unnamed:
    """A group of objects that no manifest names.

    Attributes
    ----------
    folder
        What they have in common: a run, an evaluation, a dataset, or the first part of their keys.
    keys
        The objects, sorted.
    """

    folder: str
    keys: tuple[str, ...]


def unnamed_objects(store: Store, publications: Sequence[Publication]) -> list[Unnamed]:
    """Return what no manifest names, earlier publications' included, grouped and sorted by folder.

    The rest of a run's folder belongs to it: records of steps make a second run of it do nothing.

    Parameters
    ----------
    store
        Where to look.
    publications
        All manifests of the store.
    """
    named = {each.key for publication in publications for each in publication.references}
    named |= {publication.key for publication in publications}
    runs = {match.group() for key in named if (match := _RUN.match(key))}
    groups: dict[str, list[str]] = {}
    for key in store.list(""):
        if key not in named and not _belongs(key, runs):
            groups.setdefault(_folder(key), []).append(key)
    return [Unnamed(folder, tuple(groups[folder])) for folder in sorted(groups)]


def _belongs(key: str, runs: Collection[str]) -> bool:
    match = _RUN.match(key)
    return match is not None and match.group() in runs


def _folder(key: str) -> str:
    if match := _RUN.match(key):
        return match.group()
    parts = key.split("/")[:-1]
    return "/".join(parts[:2]) + "/" if parts else ""
