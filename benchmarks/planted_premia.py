"""Which descriptors foresee the next month's return on the simulated market, for each form of planted premia.

    .venv/bin/python benchmarks/planted_premia.py --stocks 1948

With "none" no mean rank correlation may differ from zero by more than chance: 16 of them stay within 3.3 standard
errors.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from deepfactor.config import SimulationConfig, SourceConfig, UniverseConfig, load_config
from deepfactor.descriptors import NAMES, describe
from deepfactor.months import Month, Window
from deepfactor.panel import build_panel
from deepfactor.sources import open_source

FORMS = ("none", "linear", "interactions")


def rank_correlations(source: SourceConfig, simulation: SimulationConfig) -> pl.DataFrame:
    """Return ``descriptor``, the ``mean`` monthly rank correlation with the next month's return, and its ``t``.

    Over the whole history of a landed market; months are independent where nothing is planted.
    """
    first, last = Month.parse(simulation.first_month), Month.parse(simulation.last_month)
    window = Window(last, training_months=last - first, lags=(0,), rolling_months=0)
    opened = open_source(replace(source, simulate=simulation))
    tables = {name: opened.fetch(name, first, last) for name in opened.datasets()}
    described = describe(build_panel(tables, window, UniverseConfig(), "XTKS"), window)
    following = described.select(
        pl.col("month").dt.offset_by("-1mo"), "security_id", following="total_return"
    ).drop_nulls()
    pairs = described.filter("in_universe").join(following, on=["month", "security_id"])
    each = pairs.group_by("month").agg(_rank_correlation(name) for name in NAMES).unpivot(index="month")
    value = pl.col("value")
    return (
        each.filter(value.is_not_null() & value.is_not_nan())
        .group_by(descriptor="variable", maintain_order=True)
        .agg(mean=value.mean(), t=value.mean() / value.std() * value.len().sqrt())
        .sort(pl.col("descriptor").cast(pl.Enum(NAMES)))
    )


def _rank_correlation(name: str) -> pl.Expr:
    known = pl.col(name).is_not_null()
    ranks = pl.corr(pl.col(name).filter(known), pl.col("following").filter(known), method="spearman")
    return pl.when(known.sum() >= 20).then(ranks).alias(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stocks", type=int, default=1948)
    parser.add_argument("--seed", type=int, default=SimulationConfig().seed)
    arguments = parser.parse_args()
    table = Table(title=f"Mean rank correlation with the next month's return (t), {arguments.stocks} stocks")
    table.add_column("descriptor")
    columns = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMS:
            source = load_config(source=Path(folder) / form).source
            simulation = SimulationConfig(stocks=arguments.stocks, seed=arguments.seed, premia=form)
            columns[form] = rank_correlations(source, simulation)
            table.add_column(form, justify="right")
    for row, name in enumerate(NAMES):
        cells = [columns[form].row(row, named=True) for form in FORMS]
        table.add_row(name, *(f"{cell['mean']:+.4f} ({cell['t']:+.1f})" for cell in cells))
    Console(width=100).print(table)
    worst = max(abs(value) for value in columns["none"]["t"])
    # Of 16 standard normal values the largest exceeds 3.3 in one market of sixty.
    print(f"Largest |t| where nothing is planted: {worst:.2f}" + ("" if worst < 3.3 else ", more than chance"))


if __name__ == "__main__":
    main()
