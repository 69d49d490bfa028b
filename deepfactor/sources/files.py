"""A vendor's Parquet and CSV files, read through a mapping of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from deepfactor.config import DatasetMapping, SourceConfig
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.months import Month, month_range
from deepfactor.schemas import RAW
from deepfactor.sources.reading import FAULT, VendorFile, first_line

# Rows are selected by the day on which they became known.
_KNOWN_BY = {"prices": "month", "fundamentals": "available_from", "market": "month", "constituents": "month"}
# A month without a row of these is a missing delivery; accounts may well have none.
_EVERY_MONTH = frozenset({"prices", "market", "constituents"})


@dataclass(frozen=True)
class FilesSource:
    """Raw tables in files of a folder; a :class:`deepfactor.sources.base.Source`.

    Text in a CSV or Parquet file is read as a number or date where one belongs. An empty text and a NaN in a Parquet
    file mean "missing" and become null; infinity and any other text is an error.

    Attributes
    ----------
    folder
        Root of the delivery.
    mappings
        How each dataset is read, by its name in ``schemas.RAW``.
    """

    folder: Path
    mappings: Mapping[str, DatasetMapping]

    @classmethod
    def from_config(cls, source: SourceConfig) -> FilesSource:
        """Return the source that a configuration describes.

        Raises
        ------
        ConfigurationError
            If the folder is not given or not there, or the mapping names a table or column that does not exist.
        """
        if source.folder is None:
            raise ConfigurationError("no folder of the delivery is given: pass --source, or set source.folder")
        folder = Path(source.folder)
        if not folder.is_dir():
            raise ConfigurationError(f"the source's folder {folder} does not exist: pass --source with the delivery's")
        for dataset, mapping in source.datasets.items():
            _check_mapping(dataset, mapping)
        return cls(folder, source.datasets)

    def ready(self, month: Month) -> bool:
        """Tell whether any price of ``month`` is there; false, too, if there are no files yet."""
        if not self._paths("prices"):
            return False
        return month in self._months("prices")

    def datasets(self) -> tuple[str, ...]:
        """Return the names of the mapped datasets."""
        return tuple(self.mappings)

    def fetch(self, dataset: str, first_month: Month, last_month: Month) -> pl.DataFrame:
        """Return the rows that became known in the given months, in the order of the files.

        Raises
        ------
        SourceError
            If a file, column or month is missing, or a value cannot be read; with the file, row and column.
        """
        files = self._open(dataset)
        known_by = _KNOWN_BY[dataset]
        days = (first_month.first_day, last_month.last_day)
        parts = self._collect(dataset, [file.between(known_by, *days) for file in files])
        for file, part in zip(files, parts, strict=True):
            if part[FAULT].any():
                raise SourceError(file.first_fault(known_by, *days))
        rows = pl.concat(parts).drop(FAULT)
        if dataset in _EVERY_MONTH:
            self._check_months(dataset, rows["month"].unique(), first_month, last_month)
        return rows

    def _paths(self, dataset: str) -> list[Path]:
        pattern = self.mappings[dataset].files
        root = self.folder.resolve()
        paths = sorted(path for path in self.folder.glob(pattern) if path.is_file())
        outside = [path for path in paths if not path.resolve().is_relative_to(root)]
        if outside:
            raise SourceError(f"{outside[0]} leads out of the source's folder {self.folder}: put the file itself there")
        return paths

    def _open(self, dataset: str) -> list[VendorFile]:
        if dataset not in self.mappings:
            raise SourceError(
                f"the source maps no {dataset}, only {', '.join(self.mappings)}: add source.datasets.{dataset}"
            )
        paths = self._paths(dataset)
        if not paths:
            raise SourceError(
                f"no file matches {self.mappings[dataset].files} in {self.folder}: "
                f"deliver the {dataset}, or correct source.datasets.{dataset}.files"
            )
        return [VendorFile.open(path, RAW[dataset], self.mappings[dataset].columns) for path in paths]

    def _collect(self, dataset: str, frames: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        try:
            return pl.collect_all(frames)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(
                f"the {dataset} in {self.folder / self.mappings[dataset].files} cannot be read: "
                f"{first_line(error)}; deliver the file again, or correct the mapping"
            ) from None

    def _months(self, dataset: str) -> set[Month]:
        frames = [file.days(_KNOWN_BY[dataset]) for file in self._open(dataset)]
        return {Month.containing(day) for part in self._collect(dataset, frames) for day in part.to_series()}

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
                f"{self.folder} has no {dataset} for {_spans(missing)}; it has {_spans(delivered) or 'none'}: "
                f"deliver the missing month in {self.mappings[dataset].files}, or ask for a month that is there"
            )


def _check_mapping(dataset: str, mapping: DatasetMapping) -> None:
    """Raise a ConfigurationError if a mapping cannot be right whatever the files hold."""
    where = f"source.datasets.{dataset}"
    if dataset not in RAW:
        raise ConfigurationError(f"{where}: there is no such table; the tables are {', '.join(RAW)}")
    pattern = PurePosixPath(mapping.files)
    if pattern.is_absolute() or ".." in pattern.parts:
        raise ConfigurationError(f"{where}.files: {mapping.files} must lie inside the source's folder")
    table = RAW[dataset]
    unknown = [name for name in mapping.columns if name not in table.columns]
    missing = [name for name in table.key if name not in mapping.columns]
    if unknown or missing:
        raise ConfigurationError(
            f"{where}.columns: unknown {unknown or 'none'}, missing {missing or 'none'}; "
            f"the columns are {list(table.columns)}, and {list(table.key)} must be mapped"
        )
    for name, expression in mapping.columns.items():
        try:
            pl.sql_expr(expression)
        except pl.exceptions.PolarsError as error:
            raise ConfigurationError(
                f"{where}.columns.{name}: {expression!r} is not an SQL expression: {first_line(error)}"
            ) from None


def _spans(months: set[Month] | list[Month]) -> str:
    """Write months as spans, such as ``2015-01 … 2015-12, 2016-02``."""
    spans: list[tuple[Month, Month]] = []
    for month in sorted(months):
        if spans and month - spans[-1][1] == 1:
            spans[-1] = (spans[-1][0], month)
        else:
            spans.append((month, month))
    return ", ".join(str(first) if first == last else f"{first} … {last}" for first, last in spans)
