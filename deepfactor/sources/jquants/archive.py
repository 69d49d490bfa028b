"""What has been fetched, day by day, so that a fetch goes on where another one stopped."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from deepfactor.errors import SourceError
from deepfactor.sources.jquants.client import Client
from deepfactor.sources.jquants.endpoints import Endpoint

LOGGER = logging.getLogger(__name__)

_REPORTED_EVERY = 100


@dataclass(frozen=True)
class Archive:
    """Answers of the service, as Parquet files in a folder: ``<endpoint>/<year>/<day or month>-<sha256>.parquet``.

    A day that is over in Tokyo is kept, whole or not at all, and never asked for again: to fetch one again, delete its
    file. A session without records is not kept. A file whose bytes are not those that were written is fetched again.

    Attributes
    ----------
    folder
        Where the files lie.
    client
        Asked for what is not there.
    today
        Returns the present day in Tokyo. It decides only what is kept and what is in the future.
    """

    folder: Path
    client: Client
    today: Callable[[], date]
    _passing: dict[tuple[str, date], pl.DataFrame] = field(default_factory=dict, repr=False)

    def read(self, endpoint: Endpoint, periods: Sequence[tuple[date, date]]) -> pl.DataFrame:
        """Return the records of some periods, one after the other; days in the future have none.

        Parameters
        ----------
        endpoint
            What to ask for.
        periods
            First and last day of each; the same day twice, unless the endpoint is by month.

        Raises
        ------
        SourceError
            If the service does not give it, or gives something else.
        """
        kept = {year: self._kept(endpoint, year) for year in {first.year for first, _ in periods}}
        parts: list[pl.DataFrame] = []
        asked = 0
        for first, last in periods:
            if first > self.today() and not endpoint.by_month:
                break
            part = self._load(endpoint, kept[first.year].get(_label(endpoint, first)))
            if part is None:
                part = self._fetch(endpoint, first, last)
                asked += 1
                if asked % _REPORTED_EVERY == 0:
                    LOGGER.info("J-Quants %s: %s fetched, %d of %d", endpoint.name, first, len(parts) + 1, len(periods))
            parts.append(part)
        return pl.concat([pl.DataFrame(schema=dict(endpoint.columns)), *parts])

    def _kept(self, endpoint: Endpoint, year: int) -> dict[str, Path]:
        folder = self.folder / endpoint.name / str(year)
        if not folder.is_dir():
            return {}
        return {path.name.rpartition("-")[0]: path for path in folder.iterdir() if path.suffix == ".parquet"}

    def _load(self, endpoint: Endpoint, path: Path | None) -> pl.DataFrame | None:
        """Return what a file holds; None if there is none, or it is damaged or of another version."""
        if path is None:
            return None
        try:
            body = path.read_bytes()
            if hashlib.sha256(body).hexdigest() == path.stem.rpartition("-")[2]:
                frame = pl.read_parquet(io.BytesIO(body))
                if dict(frame.schema) == dict(endpoint.columns):
                    return frame
            LOGGER.warning("%s is damaged, or of another version: fetched again", path)
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror}); make it readable, or delete it") from None
        return None

    def _fetch(self, endpoint: Endpoint, first: date, last: date) -> pl.DataFrame:
        if (endpoint.name, first) in self._passing:
            return self._passing[endpoint.name, first]
        parameters = endpoint.parameters(first, last)
        asked = ", ".join(f"{name}={value}" for name, value in parameters.items())
        frame = endpoint.read(self.client.records(endpoint.path, parameters), asked)
        if last < self.today() and (endpoint.may_be_empty or not frame.is_empty()):
            self._keep(endpoint, first, frame)
        elif not frame.is_empty():
            # The tables of one month must agree with each other, even if the service learns more meanwhile.
            self._passing[endpoint.name, first] = frame
        return frame

    def _keep(self, endpoint: Endpoint, first: date, frame: pl.DataFrame) -> None:
        """Write a file under a name that is only its own once it is whole."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        body = buffer.getvalue()
        folder = self.folder / endpoint.name / str(first.year)
        path = folder / f"{_label(endpoint, first)}-{hashlib.sha256(body).hexdigest()}.parquet"
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(body)
            unfinished.replace(path)
        except OSError as error:
            raise SourceError(
                f"{path}: cannot be written ({error.strerror}); make room, or name another source.jquants.cache"
            ) from None


def _label(endpoint: Endpoint, first: date) -> str:
    return first.strftime("%Y-%m") if endpoint.by_month else first.isoformat()
