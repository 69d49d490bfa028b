"""The inputs that matter most, with what they say."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.explaining.explanation import Driver
from deepfactor.explaining.published import PublishedModel
from deepfactor.explaining.subjects import Subject
from deepfactor.explaining.words import WORDINGS, Rank, sentence, value_phrase, when
from deepfactor.features import FEATURE_FACTORS, FEATURES
from deepfactor.months import LAGS
from deepfactor.reports.numbers import percent
from deepfactor.store import Store

_MOST = 5
_NEARLY_ALL = 0.95


def drivers(store: Store, published: PublishedModel, subject: Subject, count: int = _MOST) -> tuple[Driver, ...]:
    """Return the inputs with the largest relevance, whatever its sign; the largest first.

    Parameters
    ----------
    store
        Where the month's descriptors are read, for a stock's values.
    published, subject
        What is explained.
    count
        How many.
    """
    relevances = subject.weights @ published.relevance.select(FEATURES).to_numpy()
    members = published.account.portfolios(subject.weights[None]).member_inputs[:, 0]
    values = _values(store, published, subject.name) if subject.kind == "stock" else {}
    chosen = np.argsort(-np.abs(relevances), kind="stable")[:count]
    found = []
    for place in chosen.tolist():
        descriptor, lag = FEATURES[place].split("@")
        rank = _rank(published, subject.weights, place)
        value = values.get((descriptor, int(lag)))
        found.append(
            Driver(
                descriptor=descriptor,
                lag=int(lag),
                factor=FEATURE_FACTORS[place],
                contribution=float(relevances[place]),
                dispersion=float(members[:, place].std()),
                disputed=bool(members[:, place].min() < 0 < members[:, place].max()),
                position=rank.position,
                known=rank.known,
                value=value,
                unit=WORDINGS[descriptor].unit,
                words=_words(published, subject, place),
                value_words=value_phrase(descriptor, value),
            )
        )
    return tuple(found)


def _rank(published: PublishedModel, weights: NDArray[np.float64], place: int) -> Rank:
    sizes = np.abs(weights)
    total = float(sizes.sum()) or 1.0
    position = float(weights @ published.inputs[:, place].astype(np.float64)) / total
    return Rank(position, float(sizes @ published.known[:, place]) / total)


def _words(published: PublishedModel, subject: Subject, place: int) -> str:
    descriptor, lag = FEATURES[place].split("@")
    # Beside what is now stands what was; beside what was, what is now.
    beside = LAGS[1] if lag == "0" else 0
    other = FEATURES.index(f"{descriptor}@{beside}")
    long, short = np.maximum(subject.weights, 0.0), np.maximum(-subject.weights, 0.0)
    if long.any() and short.any():
        first, second = (_rank(published, weights, place) for weights in (long, short))
        said = f"long side: {sentence(descriptor, int(lag), first, 'short side', second)}"
    else:
        first, second = (_rank(published, long + short, each) for each in (place, other))
        said = sentence(descriptor, int(lag), first, when(beside), second)
        if subject.kind == "stock":
            return said
        said = f"{'on average' if long.any() else 'short side:'} {said}"
    known = _rank(published, long + short, place).known
    return said if known > _NEARLY_ALL else f"{said}; known of {percent(known, 0, signed=False)} % of the weight"


def _values(store: Store, published: PublishedModel, security_id: str) -> dict[tuple[str, int], float | None]:
    """Return a stock's descriptors by name and lag."""
    rows = store.read_frame(published.manifest.named("descriptors.parquet")).filter(security_id=security_id)
    found: dict[tuple[str, int], float | None] = {}
    for lag in LAGS:
        month = rows.filter(pl.col("month") == (published.month + -lag).first_day)
        for name in WORDINGS:
            found[name, lag] = month[name][0] if month.height else None
    return found
