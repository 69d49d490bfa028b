"""The way back: publications of a copy of the store, whole again in the store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from deepfactor.endpoint import CONNECTIONS
from deepfactor.errors import IntegrityError, PublicationConflict
from deepfactor.objects import Reference
from deepfactor.preservation.publications import Publication, read_publication
from deepfactor.seals import look
from deepfactor.store import Store

LOGGER = logging.getLogger(__name__)


def restore(copy: Store, store: Store, publication: Publication, *, replace: bool = False) -> list[str]:
    """Bring a publication of a copy back into the store: its objects first, the manifest last and conditionally.

    Objects that are whole in the store are left alone, so it can be stopped and started again.

    Parameters
    ----------
    copy
        Where the publication is whole.
    store
        Where it is to be restored.
    publication
        One of the copy's.
    replace
        Whether a manifest in the store that differs from the copy's may be replaced.

    Returns
    -------
    list[str]
        The keys that were written, the manifest's last; none if the store had everything.

    Raises
    ------
    PublicationConflict
        If the store has another manifest there that may not be replaced. Nothing is written then.
    IntegrityError
        If an object of the copy is missing or is not what its manifest names. The manifest is not written then.
    """
    there, tag = look(store, publication.key) or (None, None)
    if there not in (None, publication.body) and not replace:
        raise PublicationConflict(
            f"{store.url(publication.key)} differs from that of the copy, {copy.url(publication.key)}: look at both, "
            "and pass --replace to restore the copy's"
        )
    written = _copy_objects(copy, store, publication.references)
    if there != publication.body:
        if there is not None:
            _keep_known(store, publication.key, there)
        store.commit(publication.key, publication.body, replacing=tag)
        written.append(publication.key)
    LOGGER.info("%s: %d objects restored", publication.what, len(written))
    return written


def _keep_known(store: Store, key: str, body: bytes) -> None:
    """Write the copy of a manifest that is to be replaced, if it is one."""
    try:
        replaced = read_publication(store, key)
    except IntegrityError as error:
        LOGGER.warning("%s. The copy's takes its place", error)
        return
    if replaced.current:
        store.put_immutable(replaced.references[-1].key, body)


def _copy_objects(copy: Store, store: Store, references: Sequence[Reference]) -> list[str]:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        done = pool.map(lambda each: _copy_object(copy, store, each), sorted(set(references)))
        return [reference.key for reference in done if reference is not None]


def _copy_object(copy: Store, store: Store, reference: Reference) -> Reference | None:
    if store.holds(reference):
        return None
    store.put(reference.key, copy.read(reference))
    return reference
