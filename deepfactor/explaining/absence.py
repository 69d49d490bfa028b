"""Why a stock has no prediction in a month, as far as what was published tells."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from deepfactor.descriptors import NAMES
from deepfactor.explaining.published import PublishedModel
from deepfactor.reports.numbers import legible
from deepfactor.store import Store

_LIKE = 3


def why_absent(store: Store, published: PublishedModel, security_id: str) -> str:
    """Return a message that says why, and names what has a similar id.

    Parameters
    ----------
    store, published
        The published month, whose descriptors are read.
    security_id
        A stock that is not in its signals.
    """
    descriptors = store.read_frame(published.manifest.named("descriptors.parquet"))
    rows = descriptors.filter(security_id=security_id).sort("month")
    reason = _reason(rows, published)
    like = nearest(security_id, published.security_ids.tolist()) if rows.is_empty() else []
    advice = f"; similar ids: {', '.join(map(legible, like))}" if like else ""
    return (
        f"{legible(security_id)} has no prediction by {legible(published.model)} in {published.month} "
        f"(run {published.manifest.run_id}): {reason}{advice}"
    )


def nearest(security_id: str, there: Iterable[str]) -> list[str]:
    """Return up to three ids of which at least half is the same, the most similar first."""
    distances = sorted((_distance(security_id, each), each) for each in there)
    return [each for distance, each in distances[:_LIKE] if distance <= len(security_id) / 2]


def _distance(one: str, other: str) -> int:
    """Return in how many places two ids differ, whichever end they are aligned at."""
    pairs = ((one, other), (one[::-1], other[::-1]))
    differing = min(sum(a != b for a, b in zip(*pair, strict=False)) for pair in pairs)
    return differing + abs(len(one) - len(other))


def _reason(rows: pl.DataFrame, published: PublishedModel) -> str:
    """Return why, from the stock's descriptors in all months of the run."""
    if rows.is_empty():
        return "nothing in the run's data has this id"
    last = rows.row(-1, named=True)
    if last["month"] != published.month.first_day:
        return f"its last month with a price is {last['month']:%Y-%m}"
    if not last["in_universe"]:
        return "it is not in the month's universe, which the configuration's `universe` and the constituents decide"
    known = sum(last[name] is not None for name in NAMES)
    return f"only {known} of its {len(NAMES)} descriptors are known, fewer than the configuration's minimum"
