"""Which leaks the evaluation calls too good to be true, and which are too weak for it.

    .venv/bin/python benchmarks/leaks.py --seeds 0-2

On markets with the product's own premia something is planted that was not known: the next month's return with ever more
noise, a descriptor of the month after, accounts before they were announced, a list of the stocks that survived. A leak
is caught if any check of ``deepfactor.evaluating.plausibility`` says so; ``none`` is the honest market.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import polars as pl

from benchmarks.truth import rank_ics, seeds
from benchmarks.walk_forward import Market, Tables, Walk, described, unchanged, walk_forward
from deepfactor.config import UniverseConfig
from deepfactor.descriptors import NAMES
from deepfactor.evaluating.plausibility import CHECKS, plausibility

HOLDER = "SKEW"
"""The descriptor that a planted return takes the place of; no premium of the simulated market follows from it."""

_VOLATILITY = 0.11  # of the simulated returns of a month, across stocks
_NOISE = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_OF_RETURNS = ("60VOL", "BETA", "SKEW", "12-1MOM", "1MOM", "60MOM", "ILLIQ")


@dataclass(frozen=True)
class Leak:
    """What is done to the raw tables and to the descriptors of an honest market."""

    tables: Callable[[Tables], Tables] = dict
    descriptors: Callable[[pl.DataFrame], pl.DataFrame] = unchanged


def next_return(noise: float, seed: int, described: pl.DataFrame) -> pl.DataFrame:
    """Put the next month's return, and so many times its variation of noise, in a descriptor's place."""
    drawn = np.random.default_rng(seed).normal(0.0, noise * _VOLATILITY, described.height)
    following = _of_month_after(described, ["total_return"])["total_return"]
    return described.with_columns((following + pl.Series(drawn)).alias(HOLDER))


def a_month_early(names: tuple[str, ...], described: pl.DataFrame) -> pl.DataFrame:
    """Put the next month's values in the place of some descriptors; none after a stock's last month."""
    return described.with_columns(_of_month_after(described, list(names)).get_columns())


def accounts_early(months: int, tables: Tables) -> Tables:
    """Let accounts be known so many months before they were announced, but not before the period's end."""
    early = pl.max_horizontal(pl.col("available_from").dt.offset_by(f"-{months}mo"), pl.col("period_end"))
    moved = tables["fundamentals"].sort("available_from").with_columns(available_from=early)
    # Of figures that are then known on the same day, those that were announced first.
    key = ["security_id", "period_end", "available_from"]
    return tables | {"fundamentals": moved.unique(key, keep="first", maintain_order=True)}


def survivors(tables: Tables) -> Tables:
    """Leave only the stocks that are still there in the last month."""
    prices = tables["prices"]
    last = prices.filter(pl.col("month") == prices["month"].max()).select("security_id")
    of_stocks = [name for name, frame in tables.items() if "security_id" in frame.columns]
    return tables | {
        name: tables[name].join(last, on="security_id", how="semi", maintain_order="left") for name in of_stocks
    }


def leaks(seed: int) -> Mapping[str, Leak]:
    noisy = {
        f"next month's return, noise × {noise:g}": Leak(descriptors=partial(next_return, noise, seed))
        for noise in _NOISE
    }
    early = {f"{name} a month early": Leak(descriptors=partial(a_month_early, (name,))) for name in NAMES}
    return {
        "none": Leak(),
        **noisy,
        **early,
        "all that returns describe, a month early": Leak(descriptors=partial(a_month_early, _OF_RETURNS)),
        "accounts a month early": Leak(tables=partial(accounts_early, 1)),
        "accounts at the period's end": Leak(tables=partial(accounts_early, 12)),
        "only survivors": Leak(tables=survivors),
    }


def _of_month_after(described: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    after = described.select(pl.col("month").dt.offset_by("-1mo"), "security_id", *names)
    keys = described.select("month", "security_id")
    return keys.join(after, on=["month", "security_id"], how="left", maintain_order="left").select(names)


@dataclass
class Found:
    """What was found of a leak: rank ICs by model, and by model and check how many markets were suspicious."""

    rank_ic: dict[str, list[float]] = field(default_factory=dict)
    caught: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, performance: pl.DataFrame, models: list[str]) -> None:
        checked = plausibility(performance)
        for model in models:
            self.rank_ic.setdefault(model, []).append(float(rank_ics(performance, model).mean()))
            caught = self.caught.setdefault(model, {"any": 0, **{check.name: 0 for check in CHECKS}})
            suspicious = set(checked.filter("suspicious", model=model)["check"])
            caught["any"] += bool(suspicious)
            for name in suspicious:
                caught[name] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=("interactions", "linear", "none"), default="interactions")
    parser.add_argument("--seeds", type=seeds, default="0-2", help="first-last")
    parser.add_argument("--stocks", type=int, default=1948)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--every", type=int, default=12)
    parser.add_argument("--models", nargs="+", default=["linear"])
    parser.add_argument("--only", default="", help="leaks whose name contains this")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    walk = Walk(
        months=arguments.months,
        retrained_every=arguments.every,
        models=tuple(arguments.models),
        universe=UniverseConfig(minimum_stocks=20),
    )
    print(f"{len(arguments.seeds)} markets, {arguments.form}, {arguments.stocks} stocks, {arguments.months} months\n")
    columns = " | ".join(check.name for check in CHECKS)
    print(f"| leak | model | rank IC | caught | {columns} |\n|---|---|---|---|{'---|' * len(CHECKS)}")
    for name in [each for each in leaks(0) if arguments.only in each]:
        found = Found()
        for seed in arguments.seeds:
            leak = leaks(seed)[name]
            market = Market(arguments.form, seed, arguments.stocks)
            frame = described(market, walk, leak.tables, leak.descriptors)
            found.add(walk_forward(frame, walk), arguments.models)
        for model in arguments.models:
            counts = " | ".join(f"{found.caught[model][check.name]}" for check in CHECKS)
            caught = f"{found.caught[model]['any']} of {len(arguments.seeds)}"
            print(f"| {name} | {model} | {np.mean(found.rank_ic[model]):+.3f} | {caught} | {counts} |", flush=True)


if __name__ == "__main__":
    main()
