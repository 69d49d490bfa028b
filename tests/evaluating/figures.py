"""The figures of an evaluation's page, held against tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser
from typing import Any

import polars as pl

from deepfactor.evaluating.evaluation import TABLES


@dataclass(frozen=True)
class Figure:
    """A figure as the page has it: the table, where it stands in it, its exact value, and what is read."""

    frame: str
    of: str
    value: str
    text: str


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.figures: list[Figure] = []
        self._frame = ""
        self._open: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "table":
            self._frame = found.get("data-frame") or ""
        if tag == "span" and "data-of" in found:
            self._open = found

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.figures.append(Figure(self._frame, self._open["data-of"] or "", self._open["data-value"] or "", data))
            self._open = None


def figures_of(page: bytes) -> list[Figure]:
    """Return every figure of a page's tables."""
    reader = _Reader()
    reader.feed(page.decode())
    return reader.figures


def differing(figures: Iterable[Figure], frames: Mapping[str, pl.DataFrame]) -> list[Figure]:
    """Return the figures that are not what the tables say, bit for bit."""
    cells = {
        name: {tuple(map(str, (row[key] for key in TABLES[name].key))): row for row in frame.iter_rows(named=True)}
        for name, frame in frames.items()
    }
    found = []
    for each in figures:
        column, *key = each.of.split("|")
        if not _same(each.value, cells[each.frame][tuple(key)][column]):
            found.append(each)
    return found


def _same(shown: str, value: Any) -> bool:
    match value:
        case None:
            return shown == ""
        case bool() | str() | date():
            return shown == str(value)
        case _:
            return bool(float(shown) == value)
