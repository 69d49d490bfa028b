"""Published evaluations: which there are, and what the months of one were worth."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from deepfactor.errors import ConfigurationError, IntegrityError, StoreUnreachable
from deepfactor.evaluating.results import EvaluationManifest, find_evaluation
from deepfactor.evaluation.performance import PERFORMANCE
from deepfactor.months import Month
from deepfactor.pages.errors import NotThere
from deepfactor.pages.shelf import Shelf

LOGGER = logging.getLogger(__name__)

_EVALUATIONS = "evaluations/"


@dataclass(frozen=True, order=True)
class Span:
    """Months that are evaluated together; ordered by the last month, then by length."""

    last: Month
    months: int

    @property
    def first(self) -> Month:
        """The first month."""
        return self.last + (1 - self.months)

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read a span written ``2006-03_2016-02``.

        Raises
        ------
        NotThere
            If the text is anything else.
        """
        first, _, last = text.partition("_")
        try:
            start, end = Month.parse(first), Month.parse(last)
        except ConfigurationError:
            raise NotThere(f"{text!r} is no span of months: write it as 2006-03_2016-02") from None
        if end < start:
            raise NotThere(f"{text!r} is no span of months: {end} is before {start}")
        return cls(end, end - start + 1)

    def __str__(self) -> str:
        return f"{self.first}_{self.last}"


@dataclass(frozen=True)
class Scores:
    """What the months of an evaluation were worth, for one model.

    Attributes
    ----------
    span
        The evaluated months.
    rank_ic, long_short
        Of the months whose result is known, by month's ordinal: rank correlation of prediction and return, and return
        of the top quintile less the bottom one, a fraction a month.
    """

    span: Span
    rank_ic: Mapping[int, float]
    long_short: Mapping[int, float]


class Evaluations:
    """The evaluations of one store; the last one that was read is kept."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._kept: tuple[tuple[Span, str], pl.DataFrame] | None = None

    def spans(self) -> dict[Span, str]:
        """Return entity tags of the manifests by span, the newest span first.

        Raises
        ------
        StoreError
            If the store does not answer, or refuses.
        """
        found = {}
        for name, tag in self._shelf.folder(_EVALUATIONS).entity_tags.items():
            try:
                found[Span.parse(name.removesuffix(".json"))] = tag
            except NotThere:
                continue
        return dict(sorted(found.items(), reverse=True))

    def manifest(self, span: Span) -> EvaluationManifest:
        """Return the manifest of a span.

        Raises
        ------
        NotThere
            If it is not evaluated.
        """
        manifest = find_evaluation(self._shelf, span.first, span.last)
        if manifest is None:
            raise NotThere(f"{span.first} to {span.last} is not evaluated in {self._shelf.url('')}")
        return manifest

    def scores(self, model: str) -> Scores | None:
        """Return what the newest evaluation says of a model; none if there is none, or it cannot be read.

        A page about months must not fail because of an evaluation: that it cannot be read is told where it is shown.
        """
        newest = next(iter(self.spans().items()), None)
        if newest is None:
            return None
        try:
            performance = self._performance(newest)
        except StoreUnreachable:
            raise
        except (IntegrityError, NotThere) as error:
            LOGGER.warning("%s", error)
            return None
        ours = performance.filter(pl.col("model") == model)
        series = {
            name: {
                Month.containing(day).ordinal: value
                for day, value in ours.select("month", name).drop_nulls().sort("month").iter_rows()
            }
            for name in ("rank_ic", "long_short")
        }
        return Scores(newest[0], series["rank_ic"], series["long_short"])

    def _performance(self, newest: tuple[Span, str]) -> pl.DataFrame:
        kept = self._kept
        if kept is not None and kept[0] == newest:
            return kept[1]
        manifest = self.manifest(newest[0])
        reference = manifest.named_objects.get("performance.parquet")
        if reference is None:
            raise IntegrityError(f"the evaluation {newest[0]} names no performance.parquet: evaluate again")
        performance = PERFORMANCE.check(self._shelf.read_frame(reference), reference.key)
        # One object, replaced as a whole: threads see the old one or the new one.
        self._kept = (newest, performance)
        return performance
