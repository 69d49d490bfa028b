"""Raw tables: fetched from a source, and kept in the store by month, immutable, named by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from deepfactor.config import Config
from deepfactor.errors import HistoryError
from deepfactor.months import Month, Window, last_session
from deepfactor.objects import Reference, frame_to_bytes
from deepfactor.panel import check_history
from deepfactor.schemas import RAW, REQUIRED
from deepfactor.store import Store


def fetch_raw(month: Month, config: Config, api_key: str | None = None) -> dict[str, pl.DataFrame]:
    """Return the raw tables of a month and of the history it needs, as they were known at the month's close.

    Accounts that were announced after the month's last session, on its last days, belong to the next month.

    Parameters
    ----------
    month, config
        As in every step.
    api_key
        Key of a data service; None: that of the service's environment variable.

    Raises
    ------
    SourceError
        If the delivery is missing or cannot be read.
    HistoryError
        If it does not reach back far enough.
    """
    from deepfactor.sources import open_source

    window = Window(month)
    source = open_source(config.source, api_key)
    datasets = source.datasets()
    if missing := [name for name in REQUIRED if name not in datasets]:
        raise HistoryError(f"the source delivers {datasets}, but {missing} are needed too; map them")
    tables = {name: source.fetch(name, window.first_history, month) for name in datasets}
    check_history(tables["prices"], window)
    later = pl.col("available_from") > last_session(month, config.calendar)
    tables["fundamentals"] = tables["fundamentals"].filter(~later.fill_null(value=False))
    return tables


def store_raw(dataset: str, frame: pl.DataFrame, store: Store) -> list[Reference]:
    """Store a raw table, one object a month; what is there under the same content is left alone.

    Parameters
    ----------
    dataset
        Name of the table in ``schemas.RAW``.
    frame
        The table, of any number of months.
    store
        Where it goes.

    Returns
    -------
    list[Reference]
        An object for each month that has rows, oldest first.
    """
    by = "available_from" if dataset == "fundamentals" else "month"
    ordered = frame.sort(RAW[dataset].columns.keys()).with_columns(_month=pl.col(by).dt.truncate("1mo"))
    present = set(store.list(f"raw/{dataset}/"))
    references, new = [], []
    for (first_day,), part in ordered.partition_by("_month", as_dict=True, include_key=False).items():
        body = frame_to_bytes(part)
        reference = Reference.to("", body)
        key = f"raw/{dataset}/{first_day:%Y-%m}/{reference.sha256}.parquet"
        references.append(Reference(key, reference.sha256, reference.size))
        if key not in present:
            new.append((key, body))
    store.put_many(new)
    return sorted(references)


def read_raw(references: Mapping[str, Sequence[Reference]], store: Store) -> dict[str, pl.DataFrame]:
    """Read raw tables back, each object checked against its reference.

    Raises
    ------
    IntegrityError
        If an object is missing or its bytes differ.
    """
    return {name: pl.concat(store.read_frames(each)) for name, each in references.items()}
