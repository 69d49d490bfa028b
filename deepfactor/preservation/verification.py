"""Whether everything that is published is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deepfactor.endpoint import CONNECTIONS
from deepfactor.errors import IntegrityError
from deepfactor.objects import Reference
from deepfactor.preservation.publications import Damage, Publication
from deepfactor.store import Store


def verify_publications(
    store: Store, publications: Sequence[Publication], after: Callable[[int, int], None] | None = None
) -> list[Damage]:
    """Read back every object that manifests name, each once, and return what is missing or differs.

    Parameters
    ----------
    store
        Where the objects lie.
    publications
        The manifests.
    after
        Called after each object with how many are done, and of how many.

    Returns
    -------
    list[Damage]
        In the order of the publications; an object that two of them name is listed for both.
    """
    wanted = sorted({each for publication in publications for each in publication.references})
    reasons: dict[Reference, str] = {}
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done, (reference, reason) in enumerate(
            zip(wanted, pool.map(lambda each: _damage(store, each), wanted), strict=True), start=1
        ):
            if reason is not None:
                reasons[reference] = reason
            if after is not None:
                after(done, len(wanted))
    return [
        Damage(publication.what, each.key, reasons[each])
        for publication in publications
        for each in publication.references
        if each in reasons
    ]


def _damage(store: Store, reference: Reference) -> str | None:
    try:
        store.verify(reference)
    except IntegrityError as error:
        return str(error)
    return None
