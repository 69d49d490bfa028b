"""What a mapping must say, whatever the files hold."""

from __future__ import annotations

import re
from datetime import date
from pathlib import PurePosixPath

import polars as pl

from deepfactor.config import DatasetMapping
from deepfactor.errors import ConfigurationError
from deepfactor.schemas import RAW, Table
from deepfactor.sources.notation import groups, read_back

# polars carries out a subquery while it reads it, and that may open any file or address; no row needs one.
_REACHING_OUT = re.compile(r"\b(select|values|exists|(read|scan)_(csv|ipc|json|ndjson|parquet|\w*database\w*))\b", re.I)
_LONGEST_PATTERN = 500
# polars walks an expression by recursion, and takes seconds for a thousand operations in one.
_LONGEST_EXPRESSION = 1_000


def check_mapping(dataset: str, mapping: DatasetMapping) -> None:
    """Check the mapping of one dataset.

    Raises
    ------
    ConfigurationError
        Naming the key in the configuration, and what stands there.
    """
    where = f"source.datasets.{dataset}"
    if dataset not in RAW:
        raise ConfigurationError(f"{where}: there is no such table; the tables are {', '.join(RAW)}")
    _check_files(where, mapping.files)
    _check_columns(where, mapping, RAW[dataset])
    _check_expressions(where, mapping)
    _check_notation(where, mapping)


def _check_files(where: str, files: str) -> None:
    pattern = PurePosixPath(files)
    if pattern.is_absolute() or ".." in pattern.parts:
        raise ConfigurationError(f"{where}.files: {files} must lie inside the source's folder")
    # Folders are tried for every ** anew.
    folders = [part for part in pattern.parts if "**" in part]
    if not pattern.parts or "\0" in files or len(files) > _LONGEST_PATTERN or len(folders) > 1 or {*folders} - {"**"}:
        raise ConfigurationError(
            f"{where}.files: {files[:_LONGEST_PATTERN]!r} is no file or glob of at most {_LONGEST_PATTERN} characters; "
            "** stands for any number of folders, at most once and between slashes"
        )


def _check_columns(where: str, mapping: DatasetMapping, table: Table) -> None:
    """Require that all columns are the table's and its key is mapped, but for a date that a delay stands in for."""
    if mapping.available_after is not None and "available_from" not in table.columns:
        raise ConfigurationError(f"{where}.available_after: the table has no available_from; remove it")
    needed = [name for name in table.key if name != "available_from" or mapping.available_after is None]
    unknown = [name for name in mapping.columns if name not in table.columns]
    missing = [name for name in needed if name not in mapping.columns]
    if unknown or missing:
        raise ConfigurationError(
            f"{where}.columns: unknown {unknown or 'none'}, missing {missing or 'none'}; "
            f"the columns are {list(table.columns)}, and {needed} must be mapped"
            + ("; available_after can stand in for available_from" if missing == ["available_from"] else "")
        )


def _check_expressions(where: str, mapping: DatasetMapping) -> None:
    used: set[str] = set()
    for name, text in mapping.columns.items():
        if len(text) > _LONGEST_EXPRESSION:
            raise ConfigurationError(
                f"{where}.columns.{name}: an expression has at most {_LONGEST_EXPRESSION} characters, not {len(text)}"
            )
        if word := _REACHING_OUT.search(text):
            raise ConfigurationError(
                f"{where}.columns.{name}: {text!r} is not an SQL expression over the columns of a row: remove {word[0]}"
            )
        try:
            expression = pl.sql_expr(text)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise ConfigurationError(
                f"{where}.columns.{name}: {text!r} is not an SQL expression: {first_line(error)}"
            ) from None
        used.update(expression.meta.root_names())
    idle = [name for name in mapping.types if name not in used]
    if idle:
        raise ConfigurationError(
            f"{where}.types: no expression uses {', '.join(idle)}; the columns used are {', '.join(sorted(used))}"
        )


def _check_notation(where: str, mapping: DatasetMapping) -> None:
    try:
        # Of no bytes Python would not look at the encoding.
        b"text".decode(mapping.encoding, errors="replace")
    except (LookupError, ValueError):
        raise ConfigurationError(
            f"{where}.encoding: Python knows no encoding {mapping.encoding!r}; name one such as utf-8, cp932 or latin-1"
        ) from None
    if mapping.date_format is not None:
        _check_date_format(where, mapping.date_format)
    if mapping.thousands == mapping.decimal or mapping.thousands.isdigit():
        raise ConfigurationError(
            f"{where}.thousands: {mapping.thousands!r} cannot stand beside the decimal sign {mapping.decimal!r}"
        )
    if mapping.code is not None:
        try:
            groups(mapping.code.pattern)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise ConfigurationError(
                f"{where}.code.pattern: {mapping.code.pattern!r} is not a regular expression of Rust's syntax, "
                "which has no look-around and no back references"
            ) from None


def _check_date_format(where: str, date_format: str) -> None:
    try:
        found = read_back(date_format)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        found = None
    if found not in (date(2016, 2, 29), date(2016, 2, 1)):
        raise ConfigurationError(
            f"{where}.date_format: {date_format!r} does not say year, month and day, or year and month: "
            "write it as for strptime, such as %Y/%m/%d"
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; polars adds its query plan below."""
    return (str(error).splitlines() or [type(error).__name__])[0]
