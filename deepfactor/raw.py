"""Raw tables in the store: immutable, by month, named by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from deepfactor.objects import Reference, frame_to_bytes
from deepfactor.schemas import RAW
from deepfactor.store import Store


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
