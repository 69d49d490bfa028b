"""The parts of a prediction: what was published of them, and beside it what only the members tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from deepfactor.attribution.aggregation import ACCOUNTS, Account, absolute_shares, contributions
from deepfactor.attribution.relevance import Relevance
from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.errors import IntegrityError
from deepfactor.explaining.explanation import Contribution
from deepfactor.explaining.published import TOLERANCE, PublishedModel
from deepfactor.explaining.subjects import Subject
from deepfactor.features import FEATURES
from deepfactor.reports.numbers import figure, legible
from deepfactor.schemas import FACTORS, REMAINDERS

_SUMMED: tuple[Account, ...] = ("factor", "descriptor")


@dataclass(frozen=True)
class Parts:
    """A prediction and what adds up to it.

    Attributes
    ----------
    prediction
        As a contribution of its own.
    factors, descriptors, remainders
        In the order of ``schemas.FACTORS``, ``descriptors.NAMES`` and ``schemas.REMAINDERS``.
    """

    prediction: Contribution
    factors: tuple[Contribution, ...]
    descriptors: tuple[Contribution, ...]
    remainders: tuple[Contribution, ...]


def parts_of(published: PublishedModel, subject: Subject) -> Parts:
    """Return the parts of a stock's or a portfolio's prediction.

    Contributions are those of the published tables, and so is whatever else stands there; the rest comes from the
    members' relevances, computed again from the published weights.

    Raises
    ------
    IntegrityError
        If what is computed again differs from what was published, or the parts do not add up to the prediction.
    """
    members = published.account.portfolios(subject.weights[None])
    found = _computed(members, _tolerance(published, subject))
    for part, field, value in _as_published(published, subject):
        computed = getattr(found[part], field)
        if abs(value - computed) > (TOLERANCE if field.startswith("share") else _tolerance(published, subject)):
            raise IntegrityError(
                f"{_where(published)}: the published {field.replace('_', ' ')} of {part[1]} is {figure(value)}, "
                f"computed again it is {figure(computed)}: publish the month again with --replace"
            )
        told: dict[str, Any] = {field: value}
        found[part] = replace(found[part], **told)
    return _added_up(found, published, subject)


def _computed(account: Relevance, rounding: float) -> dict[tuple[str, str], Contribution]:
    """Return everything from the members' relevances of one portfolio."""
    found: dict[tuple[str, str], Contribution] = {}
    for kind in _SUMMED:
        signed, sizes = contributions(account, kind), absolute_shares(account, kind)
        for place, name in enumerate(ACCOUNTS[kind]):
            found[kind, name] = Contribution(
                name=name,
                factor=FACTOR_OF.get(name, name),
                contribution=float(signed.values[0, place]),
                dispersion=float(signed.dispersion[0, place]),
                disputed=bool(signed.disputed[0, place]),
                share=float(sizes.values[0, place]),
                share_dispersion=float(sizes.dispersion[0, place]),
            )
    rest = {
        "bias": account.member_bias.sum(axis=2)[:, 0],
        "level": account.level,
        "leak": account.member_leak.sum(axis=2)[:, 0],
        "prediction": account.member_prediction[:, 0],
    }
    for name, values in rest.items():
        disputed = bool(values.min() < -rounding and values.max() > rounding)
        found["remainder", name] = Contribution(name, name, float(values.mean()), float(values.std()), disputed)
    return found


def _as_published(published: PublishedModel, subject: Subject) -> Iterator[tuple[tuple[str, str], str, float]]:
    """Yield what the tables say: which part, which of its figures, and the figure."""
    if subject.published:
        for row in published.portfolios.filter(portfolio=subject.name).iter_rows(named=True):
            if row["account"] in (*_SUMMED, "remainder"):
                yield (row["account"], row["name"]), "contribution", row["contribution"]
                yield (row["account"], row["name"]), "dispersion", row["dispersion"]
        for row in published.shares.filter(group=subject.name).iter_rows(named=True):
            yield ("factor", row["factor"]), "share", row["share"]
            yield ("factor", row["factor"]), "share_dispersion", row["dispersion"]
        return
    booked = _weighted(published.ledger, (*FACTORS, *REMAINDERS, "prediction"), subject)
    for name, value in booked.items():
        yield ("factor" if name in FACTORS else "remainder", name), "contribution", value
    inputs = _weighted(published.relevance, FEATURES, subject)
    for descriptor in NAMES:
        value = sum(value for name, value in inputs.items() if name.split("@")[0] == descriptor)
        yield ("descriptor", descriptor), "contribution", value
    if subject.kind == "stock":
        yield (
            ("remainder", "prediction"),
            "dispersion",
            _weighted(published.signals, ("dispersion",), subject)["dispersion"],
        )


def _weighted(table: pl.DataFrame, names: tuple[str, ...], subject: Subject) -> dict[str, float]:
    sums = subject.weights @ table.select(names).to_numpy()
    return dict(zip(names, sums.tolist(), strict=True))


def _added_up(found: Mapping[tuple[str, str], Contribution], published: PublishedModel, subject: Subject) -> Parts:
    parts = Parts(
        prediction=found["remainder", "prediction"],
        factors=tuple(found["factor", name] for name in FACTORS),
        descriptors=tuple(found["descriptor", name] for name in NAMES),
        remainders=tuple(found["remainder", name] for name in REMAINDERS),
    )
    for each in (parts.factors, parts.descriptors):
        booked = sum(part.contribution for part in (*each, *parts.remainders))
        if abs(booked - parts.prediction.contribution) > _tolerance(published, subject):
            raise IntegrityError(
                f"{_where(published)}: the parts of the prediction of {legible(subject.name)} add up to "
                f"{figure(booked)}, not to {figure(parts.prediction.contribution)}: publish the month again with "
                "--replace"
            )
    return parts


def _tolerance(published: PublishedModel, subject: Subject) -> float:
    return published.tolerance * max(1.0, float(np.abs(subject.weights).sum()))


def _where(published: PublishedModel) -> str:
    return f"{published.model} of {published.month} (run {published.manifest.run_id})"
