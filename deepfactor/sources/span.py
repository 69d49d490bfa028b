"""Many months of one delivery: read once, and sliced for every month that asks."""

from __future__ import annotations

import logging

import polars as pl

from deepfactor.errors import SourceError
from deepfactor.months import Month
from deepfactor.sources.base import Source

LOGGER = logging.getLogger(__name__)


class SpanSource:
    """A source that reads each table once, for a whole span of months; a :class:`deepfactor.sources.base.Source`.

    It gives the frames that the source itself gives, and fails where that fails: what a slice cannot answer is asked of
    the source. The delivery is that of the first reading, so all months see the same one.
    """

    def __init__(self, source: Source, first_month: Month, last_month: Month) -> None:
        """Wrap a source.

        Parameters
        ----------
        source
            Where tables come from.
        first_month, last_month
            The span, both included; months outside are asked of the source.
        """
        self._source = source
        self._first = first_month
        self._last = last_month
        self._tables: dict[str, pl.DataFrame | None] = {}

    def ready(self, month: Month) -> bool:
        """Tell whether the vendor has delivered the prices of ``month``."""
        return self._source.ready(month)

    def datasets(self) -> tuple[str, ...]:
        """Return the names of the datasets that the source delivers."""
        return self._source.datasets()

    def fetch(self, dataset: str, first_month: Month, last_month: Month) -> pl.DataFrame:
        """Return the rows of a raw table that became known in the given months.

        Raises
        ------
        SourceError
            As the source does.
        """
        table = self._table(dataset) if self._first <= first_month and last_month <= self._last else None
        if table is not None:
            accounts = dataset == "fundamentals"
            day = pl.col("available_from" if accounts else "month")
            rows = table.filter(day.is_between(first_month.first_day, last_month.last_day))
            # A last month without accounts is nothing; whether one without anything else is a fault, the source knows.
            if accounts or rows["month"].max() == last_month.first_day:
                return rows
        return self._source.fetch(dataset, first_month, last_month)

    def _table(self, dataset: str) -> pl.DataFrame | None:
        """Return the whole span's table; none if the source refuses it, because of a month that few may need."""
        if dataset not in self._tables:
            try:
                self._tables[dataset] = self._source.fetch(dataset, self._first, self._last)
            except SourceError as error:
                if error.retryable:
                    raise
                LOGGER.info("%s of %s … %s is read month by month: %s", dataset, self._first, self._last, error)
                self._tables[dataset] = None
        return self._tables[dataset]
