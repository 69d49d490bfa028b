"""A portfolio's weights from a file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from deepfactor.errors import ConfigurationError
from deepfactor.explaining.published import PublishedModel
from deepfactor.reports.numbers import legible

COLUMNS = ("security_id", "weight")
# Larger sums could not be told from their rounding.
_LARGEST = 1e15


def read_weights(path: Path, published: PublishedModel) -> NDArray[np.float64]:
    """Return the weights of a month's stocks, shape (n,), from a CSV file with a row for each that has one.

    Raises
    ------
    ConfigurationError
        Naming file and row.
    """
    where = legible(str(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            entries = list(_entries(file, where))
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigurationError(
            f"there is no portfolio {where!r}: name top, bottom or long-short, or a CSV file with the columns "
            f"{','.join(COLUMNS)}"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{where} is no CSV in UTF-8 ({error}): save it as one") from None
    weights = np.zeros(len(published.security_ids))
    places = {each: place for place, each in enumerate(published.security_ids.tolist())}
    first_rows: dict[str, int] = {}
    for row, security_id, weight in entries:
        shown = legible(security_id)
        if security_id in first_rows:
            raise ConfigurationError(
                f"{where}, row {row}: {shown} stands in row {first_rows[security_id]} too; give each stock one weight"
            )
        if security_id not in places:
            raise ConfigurationError(
                f"{where}, row {row}: {shown} has no prediction by {published.model} in {published.month}; "
                f"`deepfactor explain --security {shown}` says why, remove the row"
            )
        first_rows[security_id] = row
        weights[places[security_id]] = weight
    if not entries:
        raise ConfigurationError(f"{where} has no rows: write a security and its weight in each, below the columns")
    if not np.abs(weights).sum() <= _LARGEST:
        raise ConfigurationError(f"{where}: the weights' sizes sum up to {np.abs(weights).sum():g}: use smaller units")
    return weights


def _entries(file: TextIO, where: str) -> Iterator[tuple[int, str, float]]:
    """Yield row (the columns' names stand in row 1), security and weight."""
    reader = csv.reader(file, strict=True)
    header = [name.strip() for name in next(reader, [])]
    for name in COLUMNS:
        if header.count(name) != 1:
            raise ConfigurationError(
                f"{where}, row 1: {'no column' if name not in header else 'more than one column'} {name}; its columns "
                f"are {', '.join(map(legible, header)) or 'none'}; write {','.join(COLUMNS)}"
            )
    security, weight = (header.index(name) for name in COLUMNS)
    for cells in reader:
        row = reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise ConfigurationError(
                f"{where}, row {row}: {len(cells)} values for {len(header)} columns; write one for each"
            )
        if not cells[security].strip():
            raise ConfigurationError(f"{where}, row {row}: no security; write its id, or remove the row")
        yield row, cells[security].strip(), _weight(cells[weight], f"{where}, row {row}")


def _weight(text: str, where: str) -> float:
    try:
        # Python reads 1_0 as ten.
        weight = float(text.replace("_", "?"))
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise ConfigurationError(
            f"{where}: the weight {legible(text.strip())!r} is no finite number; write one such as 0.05, or -0.05 for "
            "a short position"
        )
    return weight
