"""A mapping resolved against the columns of a file: an expression for every column of the raw table, and its faults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from deepfactor.config import DatasetMapping
from deepfactor.errors import SourceError
from deepfactor.schemas import Table
from deepfactor.sources.availability import known_from
from deepfactor.sources.delimited import NUMBERED
from deepfactor.sources.mapping import first_line
from deepfactor.sources.notation import ROLES, Notation, Role

# Names that no vendor gives to a column.
FAULT = "\x00fault"
_UNDATED = "\x00undated"
# Characters of the columns' names in a message.
_LONGEST_LIST = 2_000


@dataclass(frozen=True)
class Plan:
    """How a raw table is read from files with certain columns.

    A column of the vendor's is first converted to what it serves as: the declared type, else the type of the column of
    ours that uses it. Then the mapping's expressions are evaluated, and their results converted in turn.

    Attributes
    ----------
    table
        The raw table.
    mapping
        How it is read.
    notation
        How the vendor writes values.
    schema
        Types of the files' columns.
    roles
        What each of the files' columns that the mapping uses serves as.
    results
        Types that the mapping's expressions give.
    """

    table: Table
    mapping: DatasetMapping
    notation: Notation
    schema: Mapping[str, pl.DataType]
    roles: Mapping[str, Role]
    results: Mapping[str, pl.DataType]

    @classmethod
    def resolve(cls, table: Table, mapping: DatasetMapping, schema: Mapping[str, pl.DataType], file: str) -> Plan:
        """Check a mapping against the columns of a file.

        Raises
        ------
        SourceError
            Naming the key, the file and its columns, if one is absent, of a type that cannot serve, or used as two.
        """
        notation, roles = Notation(mapping), dict[str, Role]()
        for name, text in mapping.columns.items():
            where = f"{file}: source.datasets.{table.name}.columns.{name} ({text})"
            for root in pl.sql_expr(text).meta.root_names():
                role = mapping.types.get(root, ROLES[table.columns[name]])
                _check_column(root, role, schema, notation, where)
                if roles.setdefault(root, role) != role:
                    raise SourceError(
                        f"{where}: the column {root} serves as {notation.wanted(roles[root])} elsewhere; "
                        f"correct the mapping, or say in source.datasets.{table.name}.types what the column is"
                    )
        converted = [notation.read(pl.col(root), schema[root], role).alias(root) for root, role in roles.items()]
        sample = pl.DataFrame(schema={root: schema[root] for root in roles}).select(*converted)
        results = dict[str, pl.DataType]()
        for name, text in mapping.columns.items():
            where = f"{file}: source.datasets.{table.name}.columns.{name} ({text})"
            results[name] = _result(text, ROLES[table.columns[name]], notation, sample, where)
        return cls(table, mapping, notation, schema, roles, results)

    def selected(self, frame: pl.LazyFrame, known_by: str, first: date, last: date) -> pl.LazyFrame:
        """Return the rows whose day ``known_by`` lies in a span, with columns converted and ``FAULT``.

        Rows whose day cannot be read are among them, as faults.
        """
        day = self.value(known_by, whole_day=True)
        wanted = day.is_between(first, last) | day.is_null()
        if self.mapping.available_after is not None:
            # A delay must not cover up an announcement date that is there and cannot be read.
            roots = pl.sql_expr(self.mapping.columns.get(known_by, "NULL")).meta.root_names()
            frame = frame.with_columns(_any(self.unread_root(root) for root in roots).alias(_UNDATED))
            wanted |= _any([pl.col(_UNDATED), self.unread(known_by)])
        faults = [self.unread(name) for name in self.mapping.columns]
        fault = _any([pl.col(FAULT), day.is_null(), *faults])
        return self.converted(frame).filter(wanted).with_columns(fault.alias(FAULT))

    def converted(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the frame with its columns converted by role, and in ``FAULT`` whether a value could not be."""
        converted = [
            self.notation.read(pl.col(root), self.schema[root], role).alias(root) for root, role in self.roles.items()
        ]
        fault = _any(self.unread_root(root) for root in self.roles)
        return frame.with_columns(*converted, fault.alias(FAULT))

    def value(self, name: str, *, whole_day: bool = False) -> pl.Expr:
        """Return one of the table's columns; null where it is neither mapped nor has a delay to stand in."""
        kind = self.table.columns[name]
        if name in self.mapping.columns:
            value = self._result(name)
            value = self.notation.security_id(value) if kind == pl.String else value
        else:
            value = pl.lit(None, kind)
        if name == "available_from" and self.mapping.available_after is not None:
            value = pl.coalesce(value, known_from(self.value("period_end"), self.mapping.available_after))
        return value.dt.truncate("1mo") if name == "month" and not whole_day else value

    def values(self) -> list[pl.Expr]:
        """Return the table's columns, as expressions over converted ones."""
        return [self.value(name).alias(name) for name in self.table.columns]

    def unread_root(self, root: str) -> pl.Expr | None:
        """Return whether a value of the vendor's column is there that cannot be converted; none: it always can."""
        return self.notation.unread(pl.col(root), self.schema[root], self.roles[root])

    def unread(self, name: str) -> pl.Expr | None:
        """Return whether a result is there that the table's column cannot hold; none: it always can."""
        if name not in self.mapping.columns:
            return None
        if self.table.columns[name] == pl.String and self.mapping.code is not None:
            code = self._result(name)
            return self.notation.security_id(code).is_null() & code.is_not_null()
        if self._is_converted(name):
            return None
        result, role = pl.sql_expr(self.mapping.columns[name]), ROLES[self.table.columns[name]]
        return self.notation.unread(result, self.results[name], role)

    def _result(self, name: str) -> pl.Expr:
        """Return what the expression for one of the table's columns gives, converted to its type."""
        result = pl.sql_expr(self.mapping.columns[name])
        if self._is_converted(name):
            return result
        return self.notation.read(result, self.results[name], ROLES[self.table.columns[name]])

    def _is_converted(self, name: str) -> bool:
        """Tell whether an expression is a column that has been converted to the right type already."""
        expression = pl.sql_expr(self.mapping.columns[name])
        if not expression.meta.is_column():
            return False
        return self.roles[expression.meta.output_name()] == ROLES[self.table.columns[name]]


def _any(faults: Iterable[pl.Expr | None]) -> pl.Expr:
    there = [fault for fault in faults if fault is not None]
    return pl.any_horizontal(*there).fill_null(value=False) if there else pl.lit(value=False)


def _check_column(root: str, role: Role, schema: Mapping[str, pl.DataType], notation: Notation, where: str) -> None:
    """Raise a SourceError if a vendor's column is absent or of a type that cannot serve."""
    if root not in schema:
        names = [name.split(NUMBERED)[0] for name in schema]
        fault = f"the column {root} stands there twice" if root in names else f"there is no column {root}"
        listed = ", ".join(names)
        listed = listed if len(listed) <= _LONGEST_LIST else f"{listed[:_LONGEST_LIST]}…"
        raise SourceError(f"{where}: {fault}; the columns are {listed}: deliver it, or correct the mapping")
    if not notation.accepts(role, schema[root]):
        raise SourceError(
            f"{where}: the column {root} holds {schema[root]} where {notation.wanted(role)} belongs; deliver it as such"
        )


def _result(text: str, role: Role, notation: Notation, sample: pl.DataFrame, where: str) -> pl.DataType:
    """Return the type that an expression gives, evaluated on a frame of the converted columns without rows."""
    columns = ", ".join(f"{name} ({kind})" for name, kind in sample.schema.items())
    expression = pl.sql_expr(text)
    try:
        result = sample.select(expression)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise SourceError(
            f"{where} cannot be computed: {first_line(error)}; the columns are read as {columns}: correct the "
            "expression, or say in types beside columns what a column is"
        ) from None
    if expression.meta.root_names() and result.height:
        raise SourceError(f"{where} does not go row by row: write an expression that gives each row its own value")
    found = result.dtypes[0]
    if not notation.accepts(role, found):
        raise SourceError(f"{where} gives {found} where {notation.wanted(role)} belongs; correct the expression")
    return found
