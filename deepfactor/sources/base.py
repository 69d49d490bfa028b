"""The contract between a data vendor and the pipeline."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from deepfactor.months import Month


class Source(Protocol):
    """A vendor of raw tables.

    A source maps the vendor's columns to ``schemas.RAW`` and does nothing else: it neither repairs nor drops rows.
    """

    def ready(self, month: Month) -> bool:
        """Tell whether the vendor has delivered ``month``: every table that has rows in each month has some of it."""
        ...

    def datasets(self) -> tuple[str, ...]:
        """Return the names of the datasets it delivers, of those in ``schemas.RAW``."""
        ...

    def fetch(self, dataset: str, first_month: Month, last_month: Month) -> pl.DataFrame:
        """Return the rows of a raw table that became known in the given months, both included.

        Prices, market and constituents are selected by ``month``, fundamentals by ``available_from``. Columns and
        types are those of ``schemas.RAW[dataset]``; keys are not checked here, validation does that.

        Raises
        ------
        SourceError
            Naming the file, row and column, if something cannot be read as what it should be.
        """
        ...
