"""Rows that are set aside: which, why, and whether there are too many of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from deepfactor.months import Window
from deepfactor.validation.judging import Judgement

QUARANTINE_SCHEMA = {
    "table": pl.String,
    "row": pl.Int64,
    "month": pl.Date,
    "security_id": pl.String,
    "reason": pl.String,
    "details": pl.String,
}


def quarantined(judgements: Iterable[Judgement], tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return a row for each row of a raw table that a quarantine expectation set aside.

    Returns
    -------
    DataFrame
        ``table``, ``row`` (0-based in the raw table), ``month`` in which it became known, ``security_id``, ``reason``
        (the first rule it fails) and ``details`` (all of them, with values).
    """
    reasons: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for each in judgements:
        for row, values in each.rows.items():
            reasons.setdefault((each.rule.table, int(row)), []).append((each.rule.name, values))
    records = []
    for (name, row), found in sorted(reasons.items()):
        content = tables[name].row(row, named=True)
        day = content["available_from" if name == "fundamentals" else "month"]
        records.append(
            {
                "table": name,
                "row": row,
                "month": None if day is None else day.replace(day=1),
                "security_id": content.get("security_id"),
                "reason": found[0][0],
                "details": "; ".join(f"{reason}: {values}" for reason, values in found),
            }
        )
    return pl.DataFrame(records, schema=QUARANTINE_SCHEMA)


def without(tables: Mapping[str, pl.DataFrame], aside: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the raw tables without the rows set aside.

    Parameters
    ----------
    tables
        Raw tables.
    aside
        What :func:`quarantined` returns.
    """
    return {name: _without(table, aside.filter(table=name)["row"]) for name, table in tables.items()}


def excess(judgement: Judgement, rows: pl.DataFrame, window: Window) -> float | None:
    """Return the share of rows that a rule set aside where it is more than the suite allows, else null.

    Parameters
    ----------
    judgement
        Of a quarantine rule.
    rows
        The facts about the table's rows.
    window
        The months; the share is that of all rows or of the as-of month's, whichever is larger.
    """
    allowed = judgement.rule.maximum_share
    if allowed is None or not judgement.rows:
        return None
    month = (rows["scope_month"] == window.as_of.first_day).fill_null(value=False)
    aside = int(month.gather(sorted(judgement.rows)).sum())
    # One row alone never stops a month, however small the market.
    shares = [
        number / of for number, of in ((len(judgement.rows), rows.height), (aside, int(month.sum()))) if number > 1
    ]
    share = max(shares, default=0.0)
    return share if share > allowed else None


def _without(table: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    aside = rows.cast(pl.UInt32).implode()
    return table.with_row_index("row").filter(~pl.col("row").is_in(aside)).drop("row") if rows.len() else table
