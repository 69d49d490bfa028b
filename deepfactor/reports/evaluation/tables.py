"""The evaluation's tables as the page shows them; every figure knows which cell of which published table it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from deepfactor.evaluating.comparisons import in_order
from deepfactor.evaluating.evaluation import TABLES, Evaluation
from deepfactor.evaluating.exposures import ALPHA, MARKET, UNIVERSE
from deepfactor.evaluation.portfolios import LONG_SHORT, QUINTILE_NAMES
from deepfactor.evaluation.trading import AFTER_COSTS
from deepfactor.months import Month
from deepfactor.reports import numbers
from deepfactor.reports.figures import GROUPS
from deepfactor.schemas import FACTORS

# What a reader expects first comes first; anything else follows in its own order.
_ORDERS: dict[str, Sequence[str]] = {
    "portfolio": (*QUINTILE_NAMES, LONG_SHORT, AFTER_COSTS),
    "factor": FACTORS,
    "group": GROUPS,
    "term": (ALPHA, MARKET, UNIVERSE, *FACTORS),
}
_MODELS = frozenset({"model", "other"})


@dataclass(frozen=True)
class Column:
    """How a column of a published table is shown.

    Attributes
    ----------
    name
        Of the column.
    heading
        With its unit.
    shown
        Writes a value with so many digits, and a plus sign if ``signed``.
    digits, signed
        As ``shown`` takes them.
    error
        The column of its standard error, if it is shown beside.
    t
        The column of its t, if that is shown beside.
    text
        Whether it is text, and so begins at the left.
    """

    name: str
    heading: str
    shown: Callable[[Any, int, bool], str] = numbers.decimal
    digits: int = 2
    signed: bool = True
    error: str = ""
    t: str = ""
    text: bool = False


@dataclass(frozen=True)
class Cell:
    """A figure as it is written.

    Attributes
    ----------
    text
        What is read.
    value
        The exact figure; none: not known, or not told of so few months.
    of
        Where it is from: the column, then the row's key, parted by bars.
    beside
        Its uncertainty.
    """

    text: str
    value: Any
    of: str
    beside: Cell | None = None


@dataclass(frozen=True)
class Row:
    """A row with what it is called."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class View:
    """A published table, or part of it, as the page shows it.

    Attributes
    ----------
    frame
        Name of the published table.
    label
        What it is, for those who hear the page.
    names
        Headings of the columns that say what a row is.
    groups
        Headings over several columns, with their number; empty if there are none.
    columns
        The others.
    rows
        In reading order.
    """

    frame: str
    label: str
    names: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def percents(name: str, heading: str, digits: int = 1, *, signed: bool = True, error: str = "", t: str = "") -> Column:
    """Return a column of fractions that is shown in percent."""
    return Column(name, heading, numbers.percent, digits, signed, error, t)


def counts(name: str, heading: str) -> Column:
    """Return a column of whole numbers."""
    return Column(name, heading, lambda value, _digits, _signed: numbers.figure(value))


def words(name: str, heading: str) -> Column:
    """Return a column of names, or of yes and no."""
    return Column(name, heading, lambda value, _digits, _signed: _word(value), text=True)


def months(name: str, heading: str) -> Column:
    """Return a column of months."""
    return Column(name, heading, lambda value, _digits, _signed: _word(value))


def p_value(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """Return a p as it is written: one that rounds to nothing is not nothing."""
    least = 10.0**-digits
    return f"< {least:g}" if value is not None and value < least else numbers.decimal(value, digits, signed)


def listed(
    evaluation: Evaluation,
    frame: str,
    label: str,
    names: Mapping[str, str],
    columns: Sequence[Column],
    where: pl.Expr | None = None,
) -> View:
    """Return a table with a row for each of its rows.

    Parameters
    ----------
    evaluation
        Whose table.
    frame, label
        As in the view.
    names
        Columns that say what a row is, with their headings.
    columns
        What is shown of it.
    where
        Which rows; none: all.
    """
    table: pl.DataFrame = getattr(evaluation, frame)
    rows = sorted((table if where is None else table.filter(where)).iter_rows(named=True), key=_place(names, table))
    return View(
        frame=frame,
        label=label,
        names=tuple(names.values()),
        groups=(),
        columns=tuple(columns),
        rows=tuple(
            Row(tuple(_word(row[name]) for name in names), tuple(_cell(frame, row, column) for column in columns))
            for row in rows
        ),
    )


def crossed(
    evaluation: Evaluation,
    frame: str,
    label: str,
    name: tuple[str, str],
    over: str,
    columns: Callable[[str], Sequence[Column]],
    where: pl.Expr | None = None,
) -> View:
    """Return a table with a row for each value of one column, and columns for each value of another.

    Parameters
    ----------
    evaluation
        Whose table.
    frame, label
        As in the view.
    name
        The column that says what a row is, with its heading.
    over
        The column whose values stand side by side.
    columns
        What is shown of each of them; of several they are grouped.
    where
        Which rows, so that row and column are a key; none: all.
    """
    table: pl.DataFrame = getattr(evaluation, frame)
    kept = table if where is None else table.filter(where)
    across = [row[over] for row in sorted(kept.select(over).unique().to_dicts(), key=_place((over,), table))]
    rows = sorted(kept.select(name[0]).unique().to_dicts(), key=_place((name[0],), table))
    by_key = {(row[name[0]], row[over]): row for row in kept.iter_rows(named=True)}
    shown = {each: columns(each) for each in across}
    grouped = any(len(each) > 1 for each in shown.values())
    return View(
        frame=frame,
        label=label,
        names=(name[1],),
        groups=tuple((_word(each), len(shown[each])) for each in across) if grouped else (),
        columns=tuple(column for each in across for column in shown[each]),
        rows=tuple(
            Row(
                (_word(row[name[0]]),),
                tuple(
                    _cell(frame, by_key.get((row[name[0]], each)), column) for each in across for column in shown[each]
                ),
            )
            for row in rows
        ),
    )


def _cell(frame: str, row: Mapping[str, Any] | None, column: Column) -> Cell:
    if row is None:
        return Cell("", None, "")
    value = row[column.name]
    beside = None
    if column.error and value is not None:
        error = column.shown(row[column.error], column.digits, False)
        beside = Cell(f"± {error}", row[column.error], _of(frame, row, column.error))
    elif column.t and value is not None:
        beside = Cell(f"({numbers.decimal(row[column.t], 1)})", row[column.t], _of(frame, row, column.t))
    text = column.shown(value, column.digits, column.signed)
    return Cell(text, value, _of(frame, row, column.name), beside)


def _of(frame: str, row: Mapping[str, Any], column: str) -> str:
    return "|".join([column, *(str(row[key]) for key in TABLES[frame].key)])


def _place(names: Iterable[str], table: pl.DataFrame) -> Callable[[Mapping[str, Any]], list[Any]]:
    """Return what rows are sorted by: models as everywhere, what has an order in it, anything else by itself."""
    names = tuple(names)
    orders: dict[str, Sequence[str]] = {name: in_order(table[name]) for name in names if name in _MODELS}
    orders |= {name: _ORDERS[name] for name in names if name in _ORDERS}
    places = {name: {value: place for place, value in enumerate(order)} for name, order in orders.items()}

    def place(row: Mapping[str, Any]) -> list[Any]:
        known = (places[name].get(row[name], len(places[name])) if name in places else 0 for name in names)
        return [each for pair in zip(known, (row[name] for name in names), strict=True) for each in pair]

    return place


def _word(value: Any) -> str:
    if isinstance(value, date):
        return str(Month.containing(value))
    return numbers.figure(value)
