"""Raw tables: fetched from a source, and kept in the store by month, immutable, named by their content."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from time import perf_counter

import polars as pl

from deepfactor.config import Config
from deepfactor.endpoint import CONNECTIONS
from deepfactor.errors import HistoryError
from deepfactor.months import Month, Window, last_session
from deepfactor.objects import Reference, frame_to_bytes
from deepfactor.panel import check_history
from deepfactor.runs import Run, StepRecord, start_run, write_record
from deepfactor.schemas import RAW, REQUIRED
from deepfactor.sources.base import Source
from deepfactor.store import Store

LOGGER = logging.getLogger(__name__)


def fetch_raw(month: Month, config: Config, source: Source | None = None) -> dict[str, pl.DataFrame]:
    """Return the raw tables of a month and of the history it needs, as they were known at the month's close.

    Accounts that were announced after the month's last session, on its last days, belong to the next month.

    Parameters
    ----------
    month, config
        As in every step.
    source
        Where the tables come from; None: what the configuration describes.

    Raises
    ------
    SourceError
        If the delivery is missing or cannot be read.
    HistoryError
        If it does not reach back far enough.
    """
    if source is None:
        from deepfactor.sources import open_source

        source = open_source(config.source)
    window = Window(month)
    datasets = source.datasets()
    if missing := [name for name in REQUIRED if name not in datasets]:
        raise HistoryError(f"the source delivers {datasets}, but {missing} are needed too; map them")
    tables = {name: source.fetch(name, window.first_history, month) for name in datasets}
    check_history(tables["prices"], window)
    later = pl.col("available_from") > last_session(month, config.calendar)
    tables["fundamentals"] = tables["fundamentals"].filter(~later.fill_null(value=False))
    return tables


def ingest_raw(month: Month, store: Store, config: Config, source: Source, objects: RawObjects) -> Run:
    """Fetch and store the raw tables of a month, and start the run that reads them.

    A raw object that is in the store already is left alone, and read by the next step. Where that run has been started
    before, each is read here and written again if it is damaged.

    Parameters
    ----------
    month, store, config
        As in every step.
    source
        Where the tables come from.
    objects
        Puts them into the store.

    Raises
    ------
    SourceError
        If the delivery is missing or cannot be read.
    HistoryError
        If it does not reach back far enough.
    """
    started = perf_counter()
    tables = fetch_raw(month, config, source)
    run, inputs = start_run(month, store, config, {name: objects.put(name, tables[name]) for name in sorted(tables)})
    if store.exists(run.key("steps/ingest.json")):
        objects.mend()
    rows = {f"raw rows of {name}": frame.height for name, frame in tables.items()}
    write_record(run, store, StepRecord("ingest", {"inputs.json": inputs}, rows))
    LOGGER.info("%s ingest: run %s, %s, %.1f s", month, run.run_id, rows, perf_counter() - started)
    return run


class RawObjects:
    """Puts raw tables into a store, an object a month.

    It keeps the rows of each month it has put, so that of many windows over one delivery only what differs is encoded
    again.
    """

    def __init__(self, store: Store) -> None:
        """Begin with a store of which nothing is known.

        Parameters
        ----------
        store
            Where the tables go.
        """
        self._store = store
        self._put: dict[tuple[str, date], tuple[pl.DataFrame, Reference]] = {}
        self._present: dict[str, set[str]] = {}
        self._whole: set[Reference] = set()

    def put(self, dataset: str, frame: pl.DataFrame) -> list[Reference]:
        """Store a raw table; what is there under the same content is left alone.

        Parameters
        ----------
        dataset
            Name of the table in ``schemas.RAW``.
        frame
            The table, of any number of months, its rows in any order.

        Returns
        -------
        list[Reference]
            An object for each month that has rows, oldest first.
        """
        by = "available_from" if dataset == "fundamentals" else "month"
        months = frame.with_columns(_month=pl.col(by).dt.truncate("1mo")).partition_by(
            "_month", as_dict=True, include_key=False
        )
        references, new = [], {}
        for (first_day,), part in months.items():
            rows, reference = self._put.get((dataset, first_day), (None, None))
            if rows is None or reference is None or not part.equals(rows):
                body = _encoded(dataset, part)
                content = Reference.to("", body)
                key = f"raw/{dataset}/{first_day:%Y-%m}/{content.sha256}.parquet"
                reference = Reference(key, content.sha256, content.size)
                new[dataset, first_day] = part, reference, body
            references.append(reference)
        if new:
            self._write(dataset, {reference.key: body for _, reference, body in new.values()})
            self._put |= {month: (part, reference) for month, (part, reference, _) in new.items()}
        return sorted(references)

    def mend(self) -> None:
        """Read back what lay in the store before, each object once, and write again what is missing or differs."""
        unread = [(place, put) for place, put in self._put.items() if put[1] not in self._whole]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            self._whole.update(pool.map(lambda each: self._mended(*each), unread))

    def _mended(self, place: tuple[str, date], put: tuple[pl.DataFrame, Reference]) -> Reference:
        rows, reference = put
        if not self._store.holds(reference):
            LOGGER.warning("%s is damaged or lost, and is written again", self._store.url(reference.key))
            self._store.put(reference.key, _encoded(place[0], rows))
        return reference

    def _write(self, dataset: str, bodies: Mapping[str, bytes]) -> None:
        if dataset not in self._present:
            self._present[dataset] = set(self._store.list(f"raw/{dataset}/"))
        present = self._present[dataset]
        self._whole.update(self._store.put_many([(key, body) for key, body in bodies.items() if key not in present]))
        present.update(bodies)


def _encoded(dataset: str, rows: pl.DataFrame) -> bytes:
    """Return rows as Parquet, the same whatever their order."""
    return frame_to_bytes(rows.sort(RAW[dataset].columns.keys()))


def store_raw(dataset: str, frame: pl.DataFrame, store: Store) -> list[Reference]:
    """Store a raw table, as :meth:`RawObjects.put` does."""
    return RawObjects(store).put(dataset, frame)


def read_raw(references: Mapping[str, Sequence[Reference]], store: Store) -> dict[str, pl.DataFrame]:
    """Read raw tables back, each object checked against its reference.

    Raises
    ------
    IntegrityError
        If an object is missing or its bytes differ.
    """
    return {name: pl.concat(store.read_frames(each)) for name, each in references.items()}
