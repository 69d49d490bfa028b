"""Prices of the real drop that validation sets aside, over its whole span, and the extreme returns that are left.

    .venv/bin/python benchmarks/quarantine.py ../shared/market-jp

Of the returns left, what speaks for them stands beside: real moves bring trades, and their closes lie near the prices
at which the month was traded.
"""

from __future__ import annotations

import argparse
import math
import re
import time
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from deepfactor.config import INCLUDE, load_config
from deepfactor.months import Month, Window
from deepfactor.panel import build_panel
from deepfactor.sources import open_source
from deepfactor.validation import Validation, validate

REAL = INCLUDE.parent.parent / "shared" / "market-jp"
FIRST, LAST = Month.parse("1999-05"), Month.parse("2018-12")
# A total return by more than this factor, in either direction, is extreme.
EXTREME = 4.0
EXAMPLES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=REAL)
    folder = parser.parse_args().folder
    if not folder.is_dir():
        print(f"skipped: the real drop is not at {folder}; give its folder")
        return
    config = load_config(INCLUDE / "config" / "market_jp.yaml", folder)
    source = open_source(config.source)
    tables = {name: source.fetch(name, FIRST, LAST) for name in source.datasets()}
    shortest = Window(LAST, training_months=1)
    window = Window(LAST, training_months=1 + (shortest.first_history - FIRST))
    start = time.perf_counter()
    outcome = validate(tables, window, config)
    seconds = time.perf_counter() - start

    console = Console(width=150)
    rows = tables["prices"].height
    aside = outcome.quarantined.filter(pl.col("table") == "prices")
    console.print(
        f"{rows:,} prices, {FIRST} to {LAST}: {aside.height:,} set aside ({aside.height / rows:.2%}) "
        f"of {aside['security_id'].n_unique()} stocks, in {seconds:.1f} s"
    )
    console.print(by_year(aside), by_reason(aside))
    console.print(extremes(tables, outcome, window, config.calendar))


def by_year(aside: pl.DataFrame) -> Table:
    """Rows set aside by year and reason."""
    counts = aside.group_by(pl.col("month").dt.year().alias("year"), "reason").len().sort("year")
    reasons = aside["reason"].value_counts(sort=True)["reason"].to_list()
    table = Table("year", *reasons, "all", title="Set aside, by the first rule that each price fails")
    for year in counts["year"].unique().sort():
        found = dict(counts.filter(pl.col("year") == year).select("reason", "len").rows())
        table.add_row(str(year), *(str(found.get(name, "")) for name in reasons), str(sum(found.values())))
    total = dict(counts.group_by("reason").agg(pl.col("len").sum()).rows())
    table.add_section()
    table.add_row("all", *(str(total[name]) for name in reasons), str(aside.height))
    return table


def by_reason(aside: pl.DataFrame) -> Table:
    """Stocks and examples of each reason."""
    table = Table("reason", "stocks", "examples: first month, code, value", title="Examples")
    for (reason,), rows in sorted(aside.group_by("reason"), key=lambda each: str(each[0])):
        first = rows.sort("security_id", "month").unique("security_id", keep="first", maintain_order=True)
        chosen = first.gather_every(max(1, first.height // EXAMPLES)).head(EXAMPLES)
        found = [
            f"{row['security_id']} {row['month']:%Y-%m} {_value(row['details'], str(reason))}"
            for row in chosen.iter_rows(named=True)
        ]
        table.add_row(str(reason), str(first.height), " · ".join(found))
    return table


def _value(details: str, reason: str) -> str:
    value = re.search(re.escape(reason) + r": \w+ = (-?[\d.e+-]+)", details)
    return value[1] if value else ""


def extremes(tables: dict[str, pl.DataFrame], outcome: Validation, window: Window, calendar: str) -> Table:
    """Total returns by more than a factor of four that are left, with what speaks for them."""
    before, after = (
        build_panel(each, window, load_config().universe, calendar).select("month", "security_id", "total_return")
        for each in (tables, outcome.tables)
    )
    size = pl.col("total_return").log1p().abs()
    left = after.filter(size > math.log(EXTREME)).sort(size, descending=True)
    volume = pl.when(pl.col("volume") > 0).then(pl.col("volume"))
    usual = volume.rolling_median(12, min_samples=4).shift(1).over("security_id")
    trades = (
        tables["prices"]
        .sort("security_id", "month")
        .select(
            "month",
            "security_id",
            more=volume / usual,
            above=pl.col("close") * pl.col("volume") / pl.col("traded_value"),
        )
    )
    shown = left.join(trades, on=["month", "security_id"], how="left", maintain_order="left")
    count = before.filter(size > math.log(EXTREME)).height
    table = Table("month", "code", "× price", "× usual volume", "close / average traded price")
    table.title = f"Extreme returns: {count} before, {left.height} left"
    for row in shown.iter_rows(named=True):
        known = (1 + row["total_return"], row["more"], row["above"])
        numbers = ["" if value is None or not math.isfinite(value) else f"{value:.3g}" for value in known]
        table.add_row(f"{row['month']:%Y-%m}", row["security_id"], *numbers)
    return table


if __name__ == "__main__":
    main()
