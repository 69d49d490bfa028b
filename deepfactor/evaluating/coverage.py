"""How much of the universe was scored each month, what was set aside, and which months are there at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

from deepfactor.evaluating.tables import COVERAGE, EXCLUSIONS
from deepfactor.months import Month
from deepfactor.publication import Manifest

SCORED, NOT_KNOWN, NOT_PUBLISHED = "scored", "not known yet", "not published"

# Facts of a manifest: their names there, and ours.
_NUMBERS = {
    "stocks in the universe": "universe",
    "stocks scored": "scored",
    "rows quarantined": "rows_quarantined",
    "training rows": "training_rows",
}
_EXCLUSIONS = ("scoring: ", "training: ")


def coverage(span: Sequence[Month], manifests: Mapping[Month, Manifest], known: Collection[Month]) -> pl.DataFrame:
    """Return what each month's run says of itself; a month that is not published has a row without figures.

    Parameters
    ----------
    span
        All months that are asked for.
    manifests
        Of those that are published.
    known
        Of these, those whose results have come.

    Returns
    -------
    pl.DataFrame
        ``COVERAGE``; a figure that a run does not tell is null.
    """
    rows: list[dict[str, Any]] = []
    for month in span:
        row: dict[str, Any] = dict.fromkeys(COVERAGE.columns) | {"month": month.first_day, "state": NOT_PUBLISHED}
        manifest = manifests.get(month)
        if manifest is not None:
            row |= {"state": SCORED if month in known else NOT_KNOWN, "run_id": manifest.run_id}
            row |= {"signal_model": manifest.signal_model}
            row |= {ours: manifest.facts.get(theirs) for theirs, ours in _NUMBERS.items()}
            if row["universe"] and row["scored"] is not None:
                row["coverage"] = row["scored"] / row["universe"]
        rows.append(row)
    return COVERAGE.check(pl.DataFrame(rows, schema=dict(COVERAGE.columns)), "the coverage")


def exclusions(manifests: Mapping[Month, Manifest]) -> pl.DataFrame:
    """Return what was left out of each month, by reason.

    Parameters
    ----------
    manifests
        Of the published months.

    Returns
    -------
    pl.DataFrame
        ``EXCLUSIONS``.
    """
    rows = [
        (month.first_day, reason, number)
        for month, manifest in sorted(manifests.items())
        for reason, number in manifest.facts.items()
        if reason.startswith(_EXCLUSIONS)
    ]
    return EXCLUSIONS.check(pl.DataFrame(rows, schema=dict(EXCLUSIONS.columns), orient="row"), "the exclusions")
