"""How a month becomes published: everything read back, then the manifest, conditionally and last."""

from __future__ import annotations

import logging

from deepfactor.errors import IntegrityError, PublicationConflict
from deepfactor.objects import Reference
from deepfactor.publication import Manifest, checked_manifest, copy_key, find_manifest, manifest_key
from deepfactor.seals import look
from deepfactor.store import Store, verify_all

LOGGER = logging.getLogger(__name__)


def commit(store: Store, manifest: Manifest, *, replace: bool) -> bool:
    """Publish a month: read everything back, then write the manifest, conditionally and last.

    A manifest that is damaged is replaced like another run's, or without being asked if no other run has published.

    Parameters
    ----------
    store
        Where the run's objects lie.
    manifest
        What to publish.
    replace
        Whether another run's publication of the month may be replaced.

    Returns
    -------
    bool
        False if this very run has published the month before, so that nothing was written.

    Raises
    ------
    PublicationConflict
        If another run has published the month and may not be replaced, or was faster.
    IntegrityError
        If an object or an input is missing or differs, or the manifest that is there is damaged and may not be
        replaced.
    """
    key, body = manifest_key(manifest.month), manifest.to_bytes()
    there = look(store, key)
    verify_all(store, [*manifest.objects, *manifest.inputs])
    if there is not None and there[0] == body:
        store.put_immutable(copy_key(manifest), body)
        LOGGER.info("%s is already published as run %s: nothing new", manifest.month, manifest.run_id)
        return False
    if there is not None:
        _make_way(store, there[0], manifest, replace=replace)
    if not store.honours_conditions():
        LOGGER.warning("%s ignores conditional writes: make sure that only one publisher runs", store.url(""))
    try:
        store.commit(key, body, replacing=None if there is None else there[1])
    except PublicationConflict as conflict:
        raise _overtaken(store, manifest, conflict) from None
    store.put_immutable(copy_key(manifest), body)
    LOGGER.info("%s is published as run %s", manifest.month, manifest.run_id)
    return True


def _make_way(store: Store, there: bytes, manifest: Manifest, *, replace: bool) -> None:
    """Keep what is about to be replaced, or refuse."""
    try:
        published = checked_manifest(store, manifest.month, there)
    except IntegrityError as error:
        if not replace and not _is_only_one(store, manifest):
            raise
        LOGGER.warning("%s. Run %s takes its place", error, manifest.run_id)
        return
    if not replace:
        raise PublicationConflict(
            f"{manifest.month} is already published as run {published.run_id}, from other inputs, configuration or "
            f"code than this run {manifest.run_id}; pass --replace to publish this one in its place"
        )
    # It stays known, even if its publisher was killed before it wrote the copy.
    store.put_immutable(copy_key(published), there)


def _is_only_one(store: Store, manifest: Manifest) -> bool:
    """Tell by the copies of manifests whether this run has published the month, and no other ever has."""
    keys = store.list(f"runs/{manifest.month}/")
    copies = [key for key in keys if key.count("/") == copy_key(manifest).count("/") and key.endswith("/manifest.json")]
    return copies == [copy_key(manifest)] and store.holds(Reference.to(copies[0], manifest.to_bytes()))


def _overtaken(store: Store, manifest: Manifest, conflict: PublicationConflict) -> PublicationConflict:
    """Return what a publisher is told that lost: by whom it was overtaken, or else what happened."""
    winner = find_manifest(store, manifest.month)
    if winner is None or winner.run_id == manifest.run_id:
        return conflict
    return PublicationConflict(
        f"{manifest.month} was published as run {winner.run_id} while this run {manifest.run_id} was being published, "
        "and that one stands; look at both, and pass --replace to publish this one in its place"
    )
