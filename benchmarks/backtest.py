"""How long a backtest takes and how much memory all its processes need together, with the seconds of each step.

The months are the last ones of the simulated market, in a new folder with a store of its own; 120 months are
extrapolated from them.

    python benchmarks/backtest.py [--months 6] [--stocks 1948] [--models dfm1,dfm2,linear] [--workers 2] [--memory 8]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import psutil

from deepfactor.address import configured_address
from deepfactor.backtest.engine import Backtest, Progress, run_backtest
from deepfactor.backtest.plan import narrowed
from deepfactor.backtest.results import store_results
from deepfactor.config import SimulationConfig, load_config
from deepfactor.months import Month, month_range
from deepfactor.sources.simulated import land

LAST = Month.parse("2016-02")
PAPER = 120
STEPS = ("ingest", "validate", "describe", "train-dfm1", "train-dfm2", "train-linear", "train-svr", "train-forest")
_INTERVAL = 0.2


@dataclass
class Usage:
    """What a process and its descendants use.

    Attributes
    ----------
    peak
        Largest sum of their memory, shared pages divided among those that share them, in bytes.
    largest
        Largest memory of a single one.
    processor_seconds
        Of those that are there or have been, by process id.
    """

    peak: int = 0
    largest: int = 0
    processor_seconds: dict[int, float] = field(default_factory=dict)

    def sample(self, process: psutil.Process) -> None:
        total = 0
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                own = each.memory_full_info()
                size = getattr(own, "pss", own.uss)
                total += size
                self.largest = max(self.largest, size)
                times = each.cpu_times()
                self.processor_seconds[each.pid] = times.user + times.system
        self.peak = max(self.peak, total)


@contextmanager
def watched() -> Iterator[Usage]:
    usage, over = Usage(), threading.Event()
    process = psutil.Process()

    def watch() -> None:
        while not over.wait(_INTERVAL):
            usage.sample(process)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield usage
    over.set()
    thread.join()


def run(arguments: argparse.Namespace, folder: Path) -> tuple[Backtest, list[float], float, Usage]:
    """Return the backtest, when each month ended, how long the evaluation took, and what was used."""
    config = load_config()
    simulation = SimulationConfig(stocks=arguments.stocks)
    land(folder / "market", simulation)
    source = replace(config.source, folder=str(folder / "market"), simulate=simulation)
    config = narrowed(replace(config, source=source), arguments.models.split(","), members=arguments.members)
    months = tuple(month_range(LAST + -(arguments.months - 1), LAST))
    ends: list[float] = []

    def report(progress: Progress) -> None:
        if progress.ended is not None:
            ends.append(perf_counter() - started)
            month, failure = progress.ended
            print(f"  {month} {'done' if failure is None else failure.reason} after {ends[-1]:.0f} s", flush=True)

    with configured_address(folder) as address, watched() as usage:
        started = perf_counter()
        backtest = run_backtest(
            months, address, config, workers=arguments.workers, memory=arguments.memory, report=report
        )
        worked = perf_counter()
        store_results(backtest, address.open(), config)
        return backtest, ends, perf_counter() - worked, usage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--stocks", type=int, default=1948)
    parser.add_argument("--models", default="dfm1,dfm2,linear")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--memory", type=float, default=0.8 * psutil.virtual_memory().available / 1e9)
    arguments = parser.parse_args()
    if "DEEPFACTOR_STORE" in os.environ:
        parser.error("unset DEEPFACTOR_STORE: the store is one of the benchmark's own")
    with tempfile.TemporaryDirectory(prefix="deepfactor-backtest-") as folder:
        backtest, ends, evaluation, usage = run(arguments, Path(folder))
    count = len(backtest.runs)
    print(f"\n{'step':<16}{'seconds':>10}{'a month':>10}")
    for step in (*STEPS, "attribute", "bless"):
        if step in backtest.seconds:
            seconds = backtest.seconds[step]
            print(f"{step:<16}{seconds:>10.1f}{seconds / count:>10.1f}")
    print(f"{'evaluation':<16}{evaluation:>10.1f}{evaluation / count:>10.1f}")
    processor = sum(usage.processor_seconds.values())
    # The first months wait for the delivery to be read and the libraries to be loaded; the others show the pace.
    pace = (ends[-1] - ends[0]) / (count - 1) if count > 1 else ends[-1]
    print(f"{'wall time':<16}{ends[-1]:>10.1f}{ends[-1] / count:>10.1f}")
    print(f"{'processor':<16}{processor:>10.1f}{processor / count:>10.1f}")
    print(
        f"\n{count} months, {arguments.stocks} stocks, {arguments.models}, {arguments.members} members, "
        f"{arguments.workers} workers on {os.cpu_count()} cores, limit {arguments.memory:.1f} GB"
    )
    print(f"{PAPER} months: {(ends[0] + (PAPER - 1) * pace) / 60:.0f} minutes")
    print(f"peak memory: {usage.peak / 1e9:.2f} GB together, the largest process {usage.largest / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
