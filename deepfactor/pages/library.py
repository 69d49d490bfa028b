"""The months that are published, as digests that are made once and kept.

A manifest's entity tag says whether a month has changed, and everything that a manifest names is immutable: so one
listing tells which digests still hold. Digests lie in a folder of this machine, which all processes of the server share
and which outlives a restart; in memory there are only headlines, a few kilobytes a month. The frames are mapped into
memory when a security is asked for, so the operating system decides what of them stays there.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from deepfactor.errors import ConfigurationError, DeepfactorError, StoreUnreachable
from deepfactor.months import Month
from deepfactor.pages.digest import FORMAT, STOCKS, Headline, digest
from deepfactor.pages.shelf import Shelf
from deepfactor.publication import Manifest

LOGGER = logging.getLogger(__name__)

_MANIFESTS = "manifests/"
# A page must not wait for ten years of months: it shows what is there.
PATIENCE = 0.12
_READERS = 4
# After how many seconds a damaged month is read again.
_SECOND_LOOK = 30.0


@dataclass(frozen=True)
class Catalogue:
    """The published months at one moment.

    Attributes
    ----------
    headlines
        Of the months whose digest is there, by month, oldest first.
    damaged
        Why a month cannot be read, by month.
    pending
        Months that are being read for the first time.
    digests
        Names of the digests, by month.
    """

    headlines: dict[Month, Headline]
    damaged: dict[Month, str]
    pending: tuple[Month, ...]
    digests: dict[Month, str]

    @property
    def published(self) -> list[Month]:
        """All months that have a manifest, oldest first."""
        return sorted({*self.headlines, *self.damaged, *self.pending})

    def neighbours(self, month: Month) -> tuple[Month | None, Month | None]:
        """Return the published months before and after a month."""
        before = max((each for each in self.published if each < month), default=None)
        return before, min((each for each in self.published if each > month), default=None)


class Library:
    """Digests of one store's published months; may be used by many threads.

    Parameters
    ----------
    shelf
        The store.
    folder
        Where digests are kept, a folder for this purpose alone. At the start, what belongs to no published month is
        deleted.
    """

    def __init__(self, shelf: Shelf, folder: Path) -> None:
        self._shelf = shelf
        # Digests of another store must not be taken for this one's.
        self._folder = folder / hashlib.sha256(f"{shelf.url('')}".encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="deepfactor-pages")
        self._lock = Lock()
        self._headlines: dict[str, Headline] = {}
        self._damaged: dict[str, tuple[str, float]] = {}
        self._reading: dict[str, Future[None]] = {}
        self._swept = False
        self._securities: tuple[frozenset[str], dict[str, tuple[Month, Month, int]]] = (frozenset(), {})

    def catalogue(self, patience: float = PATIENCE) -> Catalogue:
        """Return what is published now.

        Parameters
        ----------
        patience
            How many seconds to wait for months that are read for the first time.

        Raises
        ------
        StoreError
            If the store does not answer, or refuses.
        """
        tags = self._tags()
        names = {month: self._name(month, tag) for month, tag in tags.items()}
        with self._lock:
            self._sweep(set(names.values()))
            for month, name in names.items():
                self._want(month, name)
            reading = list(self._reading.values())
        wait(reading, timeout=patience)
        with self._lock:
            headlines = {month: self._headlines[name] for month, name in names.items() if name in self._headlines}
            damaged = {month: self._damaged[name][0] for month, name in names.items() if name in self._damaged}
        pending = tuple(month for month in names if month not in headlines and month not in damaged)
        return Catalogue(headlines, damaged, pending, {month: names[month] for month in headlines})

    def security(self, catalogue: Catalogue, security_id: str) -> pl.DataFrame:
        """Return a security's rows of ``STOCKS`` in every month of a catalogue, with their month, oldest first."""
        parts = [self._rows(name, security_id) for name in catalogue.digests.values()]
        days = [month.first_day for month, part in zip(catalogue.digests, parts, strict=True) for _ in range(len(part))]
        rows = [pl.DataFrame(part) for part in parts if len(part)]
        found = pl.concat([STOCKS.empty(), *rows]).with_columns(month=pl.Series(days, dtype=pl.Date))
        return found.sort("month", "model")

    def securities(self, catalogue: Catalogue) -> dict[str, tuple[Month, Month, int]]:
        """Return the first and the last month of every security of a catalogue, and in how many months it is."""
        wanted = frozenset(catalogue.digests.values())
        with self._lock:
            known, found = self._securities
        if known == wanted:
            return found
        spans: dict[str, tuple[Month, Month, int]] = {}
        # Oldest first, so that the last month seen is the newest.
        for month, name in catalogue.digests.items():
            for security in pc.unique(self._table(name)["security_id"]).to_pylist():
                first, _, count = spans.get(security, (month, month, 0))
                spans[security] = (first, month, count + 1)
        found = dict(sorted(spans.items()))
        with self._lock:
            self._securities = (wanted, found)
        return found

    def close(self) -> None:
        """Stop reading."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _tags(self) -> dict[Month, str]:
        tags = {}
        for name, tag in sorted(self._shelf.folder(_MANIFESTS).entity_tags.items()):
            try:
                tags[Month.parse(name.removesuffix(".json"))] = tag
            except ConfigurationError:
                continue
        return tags

    def _name(self, month: Month, tag: str) -> str:
        return f"{month}-{hashlib.sha256(f'{FORMAT} {tag}'.encode()).hexdigest()[:24]}"

    def _want(self, month: Month, name: str) -> None:
        """Have a digest read, unless it is there or known to be damaged."""
        if name in self._damaged and monotonic() - self._damaged[name][1] > _SECOND_LOOK:
            # Somebody may have restored the object that was missing.
            del self._damaged[name]
        if name in self._headlines or name in self._damaged or name in self._reading:
            return
        headline = self._kept(name)
        if headline is not None:
            self._headlines[name] = headline
        else:
            self._reading[name] = self._readers.submit(self._read, month, name)

    def _kept(self, name: str) -> Headline | None:
        """Return a headline that this or another process has kept; none if it is not whole."""
        try:
            headline = Headline.from_bytes((self._folder / f"{name}.json").read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return headline if (self._folder / f"{name}.arrow").exists() else None

    def _read(self, month: Month, name: str) -> None:
        key = f"{_MANIFESTS}{month}.json"
        headline, damage = None, None
        try:
            body, tag = self._shelf.get_tagged(key)
            if self._name(month, tag) != name:
                return  # Replaced meanwhile: the next listing asks for the new one.
            headline, stocks = digest(self._shelf, Manifest.from_bytes(body, self._shelf.url(key)))
            self._keep(name, headline, stocks)
        except StoreUnreachable as error:
            LOGGER.warning("%s could not be read and will be tried again: %s", month, error)
        except DeepfactorError as error:
            damage = str(error)
        except Exception:
            LOGGER.exception("%s could not be read", month)
            damage = f"{month} could not be read, which is a fault of the program; the API server's log has the trace"
        finally:
            with self._lock:
                if headline is not None:
                    self._headlines[name] = headline
                elif damage is not None:
                    self._damaged[name] = (damage, monotonic())
                self._reading.pop(name, None)

    def _keep(self, name: str, headline: Headline, stocks: pl.DataFrame) -> None:
        """Write a digest so that other processes see all of it or nothing: the frame first."""

        def put(suffix: str, body: bytes) -> None:
            handle, path = tempfile.mkstemp(dir=self._folder)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            Path(path).replace(self._folder / f"{name}{suffix}")

        put(".arrow", _arrow(stocks))
        put(".json", headline.to_bytes())

    def _rows(self, name: str, security_id: str) -> pa.Table:
        """Return the rows of one security, which follow each other."""
        table = self._table(name)
        names = table["security_id"]
        start = pc.index(names, pa.scalar(security_id, names.type)).as_py()
        return table.slice(start, pc.sum(pc.equal(names, security_id)).as_py()) if start >= 0 else table.slice(0, 0)

    def _table(self, name: str) -> pa.Table:
        """Return a digest's stocks; of the file only what is looked at is read."""
        with pa.memory_map(str(self._folder / f"{name}.arrow")) as file:
            return pa.ipc.open_file(file).read_all()

    def _sweep(self, wanted: set[str]) -> None:
        """Delete what is kept of months that were replaced; once, so that no frame goes while somebody reads it."""
        if self._swept:
            return
        self._swept = True
        for path in self._folder.glob("????-??-*"):
            if path.stem not in wanted:
                path.unlink(missing_ok=True)


def _arrow(frame: pl.DataFrame) -> bytes:
    # As old as the interface is, so that both libraries that read it know its strings.
    return frame.write_ipc(None, compression="uncompressed", compat_level=pl.CompatLevel.oldest()).getvalue()
