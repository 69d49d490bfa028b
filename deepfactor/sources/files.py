"""A vendor's Parquet and text files, read through a mapping of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from deepfactor.config import LARGEST_FILE, DatasetMapping, SourceConfig
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.months import Month, month_range
from deepfactor.schemas import RAW
from deepfactor.sources.delivery import DeliveredFile, Delivery, open_delivery
from deepfactor.sources.mapping import check_mapping
from deepfactor.sources.reading import Reader

# Rows are selected by the day on which they became known.
_KNOWN_BY = {"prices": "month", "fundamentals": "available_from", "market": "month", "constituents": "month"}
# A month without a row of these is a missing delivery; accounts may well have none.
_EVERY_MONTH = frozenset({"prices", "market", "constituents"})


@dataclass(frozen=True)
class FilesSource:
    """Raw tables in files; a :class:`deepfactor.sources.base.Source`.

    Text in a file is read as a number or date where one belongs. An empty text, a missing-value marker and a NaN in a
    Parquet file mean "missing" and become null; infinity and any other text is an error. One file at a time is in
    memory, besides the rows selected so far; a file that is too large for that, also unpacked, is refused. A file is
    read once, and what has been read of the delivery must still be the same when a table has been read.

    Attributes
    ----------
    delivery
        Where the files lie.
    mappings
        How each dataset is read, by its name in ``schemas.RAW``.
    largest
        Bytes that a file, what it unpacks to, and the rows of a table may have.
    """

    delivery: Delivery
    mappings: Mapping[str, DatasetMapping]
    largest: int = LARGEST_FILE

    @classmethod
    def from_config(cls, source: SourceConfig) -> FilesSource:
        """Return the source that a configuration describes.

        Raises
        ------
        ConfigurationError
            If the folder is not given or not there, or a mapping cannot be right whatever the files hold.
        StoreError
            If the folder is an S3 prefix, and S3 does not answer or refuses.
        """
        if source.folder is None:
            raise ConfigurationError("no folder of the delivery is given: pass --source, or set source.folder")
        for dataset, mapping in source.datasets.items():
            check_mapping(dataset, mapping)
        largest = int(source.maximum_gigabytes * 1e9)
        return cls(open_delivery(source.folder, largest), source.datasets, largest)

    def ready(self, month: Month) -> bool:
        """Tell whether every dataset that has rows each month has some of ``month``; false, too, without a file."""
        return all(
            self.delivery.files(self.mappings[dataset].files) and month in self._months(dataset)
            for dataset in sorted(_EVERY_MONTH & self.mappings.keys())
        )

    def datasets(self) -> tuple[str, ...]:
        """Return the names of the mapped datasets."""
        return tuple(self.mappings)

    def fetch(self, dataset: str, first_month: Month, last_month: Month) -> pl.DataFrame:
        """Return the rows that became known in the given months, in the order of the files.

        Raises
        ------
        SourceChanged
            If the delivery changes meanwhile.
        SourceError
            If a file, column or month is missing, or a value cannot be read; with the file, row and column.
        """
        days = (first_month.first_day, last_month.last_day)
        files = self._files(dataset)
        try:
            rows = self._reader(dataset).between(files, _KNOWN_BY[dataset], *days)
        except SourceError:
            # Half of a file looks like a damaged one.
            self.delivery.confirm()
            raise
        self.delivery.confirm()
        if dataset in _EVERY_MONTH:
            self._check_months(dataset, rows["month"].unique(), first_month, last_month)
        return rows

    def _files(self, dataset: str) -> list[DeliveredFile]:
        if dataset not in self.mappings:
            raise SourceError(
                f"the source maps no {dataset}, only {', '.join(self.mappings)}: add source.datasets.{dataset}"
            )
        files = self.delivery.files(self.mappings[dataset].files)
        if not files:
            raise SourceError(
                f"no file matches {self.mappings[dataset].files} in {self.delivery.name}: "
                f"deliver the {dataset}, or correct source.datasets.{dataset}.files"
            )
        return files

    def _reader(self, dataset: str) -> Reader:
        return Reader(RAW[dataset], self.mappings[dataset], self.delivery.read, self.largest)

    def _months(self, dataset: str) -> set[Month]:
        files = self._files(dataset)
        return {Month.containing(day) for day in self._reader(dataset).days(files, _KNOWN_BY[dataset])}

    def _check_months(self, dataset: str, found: pl.Series, first_month: Month, last_month: Month) -> None:
        """Require a row in every month from the first that was ever delivered."""
        present = {Month.containing(day) for day in found}
        missing = [month for month in month_range(first_month, last_month) if month not in present]
        if not missing:
            return
        delivered = self._months(dataset)
        # History may begin later than a window asks for; the window's owner says whether that is enough.
        missing = [month for month in missing if month == last_month or month > min(delivered, default=last_month)]
        if missing:
            raise SourceError(
                f"{self.delivery.name} has no {dataset} for {_spans(missing)}; it has {_spans(delivered) or 'none'}: "
                f"deliver the missing month in {self.mappings[dataset].files}, or ask for a month that is there"
            )


def _spans(months: set[Month] | list[Month]) -> str:
    """Write months as spans, such as ``2015-01 … 2015-12, 2016-02``."""
    spans: list[tuple[Month, Month]] = []
    for month in sorted(months):
        if spans and month - spans[-1][1] == 1:
            spans[-1] = (spans[-1][0], month)
        else:
            spans.append((month, month))
    return ", ".join(str(first) if first == last else f"{first} … {last}" for first, last in spans)
