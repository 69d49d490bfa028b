"""What the evaluation says of markets whose truth is known: interactions, linear premia, and no premia at all.

    .venv/bin/python benchmarks/truth.py --form interactions --seeds 0-4
    .venv/bin/python benchmarks/truth.py --form none --seeds 0-19

Every seed is a market of its own. It is walked through as production does it: trained on the 60 months before, judged
on the month after. A model is used for twelve months before it is trained anew (``--every 1``: as in production), which
is the same for all models and takes a twelfth of the time.

A seed's figures are kept in ``--results`` and not computed again, so a run that was stopped goes on where it was, and
seeds can be computed on several machines. After a change of the code give another folder.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import binom

from benchmarks.walk_forward import Market, Walk, described, walk_forward
from deepfactor.config import TrainingConfig, UniverseConfig
from deepfactor.evaluating.comparisons import SQUARED_ERROR, loss_comparisons
from deepfactor.evaluating.plausibility import plausibility
from deepfactor.evaluation.significance import MeanTest, mean_test

FORMS = ("interactions", "linear", "none")
NETWORKS, LINEAR = ("dfm1", "dfm2"), "linear"
_LEVEL = 0.05


def rank_ics(performance: pl.DataFrame, model: str) -> NDArray[np.float64]:
    """Return a model's rank IC of each month."""
    return performance.filter(model=model).sort("month")["rank_ic"].to_numpy()


def gain(performance: pl.DataFrame, network: str) -> NDArray[np.float64]:
    """Return by how much a network's rank IC is above the linear model's in each month."""
    return rank_ics(performance, network) - rank_ics(performance, LINEAR)


def test_of(values: NDArray[np.float64]) -> MeanTest:
    found = mean_test(values)
    if found is None:
        raise SystemExit(f"{len(values)} months are too few for a test, or rank ICs that do not differ")
    return found


def performances(arguments: argparse.Namespace) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield each seed with ``performance.PERFORMANCE``, those that were kept first."""
    arguments.results.mkdir(parents=True, exist_ok=True)
    paths = {seed: arguments.results / _file_name(arguments, seed) for seed in arguments.seeds}
    missing = [seed for seed, path in paths.items() if not path.exists()]
    for seed in paths.keys() - set(missing):
        yield seed, pl.read_parquet(paths[seed])
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        work = partial(_walk, arguments)
        for seed, (performance, seconds) in zip(missing, pool.map(work, missing), strict=True):
            partial_path = paths[seed].with_suffix(".partial")
            performance.write_parquet(partial_path)
            partial_path.replace(paths[seed])
            print(f"  {arguments.form}, seed {seed}: {seconds:.0f} s", flush=True)
            yield seed, performance


def _file_name(arguments: argparse.Namespace, seed: int) -> str:
    parts = (
        f"{arguments.form}x{arguments.strength:g}",
        f"{arguments.stocks}-stocks",
        f"{arguments.months}-months-of-{arguments.training_months}",
        f"every-{arguments.every}",
        f"{arguments.members}x{arguments.epochs}x{arguments.batch_size}x{arguments.learning_rate:g}",
        arguments.target,
        "+".join(arguments.models),
        str(seed),
    )
    return "_".join(parts) + ".parquet"


def _walk(arguments: argparse.Namespace, seed: int) -> tuple[pl.DataFrame, float]:
    # A member that learns nothing where there is nothing to learn is trained again, and says so.
    logging.disable(logging.WARNING)
    started = perf_counter()
    training = replace(
        TrainingConfig(),
        members=arguments.members,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        target=arguments.target,
    )
    walk = Walk(
        months=arguments.months,
        training_months=arguments.training_months,
        retrained_every=arguments.every,
        models=tuple(arguments.models),
        training=training,
        universe=UniverseConfig(minimum_stocks=20),
    )
    market = Market(arguments.form, seed, arguments.stocks, arguments.strength)
    return walk_forward(described(market, walk), walk), perf_counter() - started


def print_rank_ics(found: list[pl.DataFrame], models: list[str]) -> None:
    """Print each model's rank IC, how often it is significant, and how often it is called too good to be true."""
    low, high = binom.ppf((0.0013, 0.9987), len(found), _LEVEL).astype(int)
    print(f"\n| model | rank IC | over its variation | p < 5 % (by chance {low}-{high}) | too good to be true |")
    print("|---|---|---|---|---|")
    for model in models:
        tests = [test_of(rank_ics(each, model)) for each in found]
        ratios = [rank_ics(each, model).mean() / rank_ics(each, model).std(ddof=1) for each in found]
        significant = sum(test.mean.p_value < _LEVEL for test in tests)
        suspicious = sum(plausibility(each).filter(model=model)["suspicious"].any() for each in found)
        print(
            f"| {model} | {_with_error([test.mean.value for test in tests])} | {np.mean(ratios):+.2f} "
            f"| {significant} of {len(found)} | {suspicious} |"
        )


def print_gains(found: list[pl.DataFrame], models: list[str]) -> None:
    """Print what the networks have on the linear model: rank IC, and squared errors by Diebold and Mariano."""
    print("\n| network | rank IC above linear | p < 5 %, better | worse | squared errors: p < 5 %, better | worse |")
    print("|---|---|---|---|---|---|")
    for network in [each for each in models if each in NETWORKS]:
        tests = [test_of(gain(each, network)).mean for each in found]
        losses = pl.concat(
            loss_comparisons(each).filter(loss=SQUARED_ERROR, model=network, other=LINEAR) for each in found
        ).filter(pl.col("p_value") < _LEVEL)["difference"]
        significant = np.array([test.t for test in tests if test.p_value < _LEVEL])
        print(
            f"| {network} | {_with_error([test.value for test in tests])} | {(significant > 0).sum()} of {len(found)} "
            f"| {(significant < 0).sum()} | {(losses < 0).sum()} | {(losses > 0).sum()} |"
        )


def _with_error(values: list[float]) -> str:
    """Return the mean over seeds, which are independent, with its standard error."""
    error = f" ± {np.std(values, ddof=1) / sqrt(len(values)):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):+.4f}{error}"


def seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main() -> None:
    default = TrainingConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=FORMS, required=True)
    parser.add_argument("--seeds", type=seeds, default="0-4", help="first-last")
    parser.add_argument("--strength", type=float, default=1.0, help="times the product's own premia")
    parser.add_argument("--stocks", type=int, default=1948)
    parser.add_argument("--months", type=int, default=36, help="as-of months that are judged")
    parser.add_argument("--training-months", type=int, default=60)
    parser.add_argument("--every", type=int, default=12, help="months for which a model is used")
    parser.add_argument("--models", nargs="+", default=[*NETWORKS, LINEAR])
    parser.add_argument("--members", type=int, default=default.members)
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--learning-rate", type=float, default=default.learning_rate)
    parser.add_argument("--target", choices=("rank", "excess", "return"), default=default.target)
    parser.add_argument("--workers", type=int, default=1, help="seeds at a time; each takes 1.5 GB at 1,948 stocks")
    parser.add_argument("--results", type=Path, default=Path(".local") / "truth")
    arguments = parser.parse_args()
    started = perf_counter()
    found = [performance for _, performance in sorted(performances(arguments), key=lambda each: each[0])]
    print(
        f"\n{arguments.form} × {arguments.strength:g}: {len(found)} markets of {arguments.stocks} stocks, "
        f"{arguments.months} months each, trained on {arguments.target}; {perf_counter() - started:.0f} s"
    )
    print_rank_ics(found, arguments.models)
    if LINEAR in arguments.models:
        print_gains(found, arguments.models)


if __name__ == "__main__":
    main()
