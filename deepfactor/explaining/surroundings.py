"""What a page shows around an explanation: the other stocks of the month, and the months before."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.explaining.published import PublishedModel
from deepfactor.explaining.subjects import Subject
from deepfactor.features import FEATURES
from deepfactor.months import Month
from deepfactor.publication import find_manifest, published_months
from deepfactor.schemas import SHARES
from deepfactor.store import Store

LOGGER = logging.getLogger(__name__)

_SHARES = "shares.parquet"


@dataclass(frozen=True)
class Swarm:
    """What a descriptor contributes to every stock of the month.

    Attributes
    ----------
    descriptor
        Its name.
    ranks
        At the as-of month, −½ to +½, shape (n,).
    contributions
        Over all lags, in units of return, shape (n,).
    known
        Whether the stock has the descriptor at the as-of month, shape (n,).
    highlighted
        The row of the stock that is explained; none for a portfolio.
    """

    descriptor: str
    ranks: NDArray[np.float32]
    contributions: NDArray[np.float64]
    known: NDArray[np.bool_]
    highlighted: int | None


def swarm(published: PublishedModel, subject: Subject, descriptor: str) -> Swarm:
    """Return what a descriptor contributes to every stock of the month."""
    place = FEATURES.index(f"{descriptor}@0")
    lags = [feature for feature in FEATURES if feature.split("@")[0] == descriptor]
    return Swarm(
        descriptor=descriptor,
        ranks=published.inputs[:, place],
        contributions=published.relevance.select(lags).to_numpy().sum(axis=1),
        known=published.known[:, place],
        highlighted=int(subject.weights.argmax()) if subject.kind == "stock" else None,
    )


def shares_until(store: Store, month: Month, model: str) -> pl.DataFrame:
    """Return ``schemas.SHARES`` of a model in all published months up to one, read through their manifests.

    Months without the model are not in it, nor are those whose table is of another version, which is logged.
    """
    references = []
    for each in published_months(store):
        manifest = find_manifest(store, each) if each <= month else None
        if manifest is not None and _SHARES in manifest.named_objects:
            references.append(manifest.named_objects[_SHARES])
    tables = [SHARES.empty()]
    for frame, reference in zip(store.read_frames(references), references, strict=True):
        if dict(frame.schema) == dict(SHARES.columns):
            tables.append(frame.filter(model=model))
        else:
            LOGGER.warning("%s is of another version and is left out of the shares over time", reference.key)
    return pl.concat(tables)
