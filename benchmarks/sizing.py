"""What each step of a month needs by the number of stocks: peak memory, processor seconds, wall time, bytes stored.

Markets of these sizes, put together from simulated ones of up to 2,500 stocks, on an S3 endpoint of the benchmark's
own. Each step runs in a process of its own, as a task does: its memory counts Python, libraries and data, and not the
endpoint. A size ends at the first step that needs more than ``--memory`` gigabytes, or fails. What was measured is
printed as Markdown; sizes that were not are on the straight line through the two largest that were, and marked ≈.

    python benchmarks/sizing.py [--stocks 2000,5000,10000] [--extrapolate 20000,50000] [--models dfm1,dfm2,linear]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

import polars as pl
import psutil

from deepfactor.config import Config, SimulationConfig, TrainingConfig, load_config
from deepfactor.months import Month
from deepfactor.sources.simulated import land
from deepfactor.stack.embedded import embedded_store
from deepfactor.stack.layout import Ports

MONTH = Month.parse("2016-02")
PREPARATION = ("ingest", "validate", "describe")
CONCLUSION = ("attribute", "bless", "publish")
_INTERVAL = 0.1
_PART = 2_500


@dataclass(frozen=True)
class Usage:
    """What a step needed.

    Attributes
    ----------
    gigabytes
        Peak of its resident memory.
    processor_seconds
        User and system time, over all cores.
    seconds
        Wall time, imports included.
    stored
        Bytes of the objects it made; of ingest, of one month's raw tables.
    """

    gigabytes: float
    processor_seconds: float
    seconds: float
    stored: int


def land_market(folder: Path, stocks: int) -> int:
    """Land several simulated markets as the delivery of one, and return its bytes.

    A simulated market has four-digit codes, so no more than some thousand stocks; each part's codes get a letter.
    """
    parts = -(-stocks // _PART)
    for part in range(parts):
        land(folder / f"part-{part}", SimulationConfig(stocks=stocks // parts, seed=part + 1))
    market = folder / "market"
    (market / "prices").mkdir(parents=True)
    tables = [each.relative_to(folder / "part-0") for each in (folder / "part-0").rglob("*.parquet")]
    for table in (each for each in tables if each.name != "truth_signal.parquet"):
        frames = [
            pl.read_parquet(folder / f"part-{part}" / table).with_columns(pl.col("code") + chr(ord("A") + part))
            for part in range(parts)
        ]
        pl.concat(frames).write_parquet(market / table)
    indices = pl.concat(pl.read_csv(folder / f"part-{part}" / "index.csv") for part in range(parts))
    indices.group_by("month", maintain_order=True).mean().write_csv(market / "index.csv")
    for part in range(parts):
        shutil.rmtree(folder / f"part-{part}")
    return sum(each.stat().st_size for each in market.rglob("*") if each.is_file())


def configuration(folder: Path, models: tuple[str, ...]) -> Config:
    """Return the defaults for this market, whose networks have the batches of 2,000 stocks."""
    config = load_config()
    source = replace(config.source, folder=str(folder / "market"), simulate=None)
    training = replace(config.training, batch_size=TrainingConfig().batch_size)
    return replace(config, source=source, training=training, models=models)


def carry_out(folder: Path, stocks: int, models: tuple[str, ...], step: str) -> None:
    """Do a step in this process and print what it needed."""
    started = perf_counter()
    from deepfactor import pipeline
    from deepfactor.runs import Run, raw_inputs

    config, record = configuration(folder, models), folder / "run.json"
    with embedded_store(folder) as store:
        if step == "market":
            stored = land_market(folder, stocks)
        elif step == "ingest":
            run = pipeline.ingest(MONTH, store, config)
            record.write_text(json.dumps(run.as_dict()), encoding="utf-8")
            stored = sum(each[-1].size for each in raw_inputs(run, store).values())
        else:
            run = Run.from_dict(json.loads(record.read_text(encoding="utf-8")))
            if step == "publish":
                manifest = pipeline.publish(run, store, config)
                stored = sum(manifest.named(name).size for name in ("report.html", "signals.csv"))
            elif step.startswith("train "):
                made = pipeline.train(run, store, config, step.removeprefix("train "))
                stored = sum(each.size for each in made.objects.values())
            else:
                made = getattr(pipeline, step)(run, store, config)
                stored = sum(each.size for each in made.objects.values())
    used = resource.getrusage(resource.RUSAGE_SELF)
    usage = Usage(used.ru_maxrss / 1e6, used.ru_utime + used.ru_stime, perf_counter() - started, stored)
    print(json.dumps(asdict(usage)))


def measure(folder: Path, stocks: int, models: tuple[str, ...], step: str, limit: float) -> Usage | None:
    """Do a step in a process of its own; none if it needs more memory than the limit, or fails."""
    command = [sys.executable, __file__, "--step", str(folder), str(stocks), ",".join(models), step]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        process = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                if process.memory_info().rss > limit * 1e9:
                    print(f"  {stocks:>6} {step}: more than {limit} GB, stopped", flush=True)
                    child.kill()
            except psutil.Error:
                break
            time.sleep(_INTERVAL)
        lines = child.stdout.read().splitlines() if child.stdout else []
    return Usage(**json.loads(lines[-1])) if child.returncode == 0 and lines else None


def measure_size(stocks: int, models: tuple[str, ...], limit: float) -> dict[str, Usage]:
    """Return what the steps of a month needed, as far as they could be done."""
    steps = ("market", *PREPARATION, *(f"train {model}" for model in models), *CONCLUSION)
    usages: dict[str, Usage] = {}
    with tempfile.TemporaryDirectory() as name, embedded_store(Path(name), ports=Ports(s3=24566)):
        for step in steps:
            usage = measure(Path(name), stocks, models, step, limit)
            if usage is None:
                break
            usages[step] = usage
            print(f"  {stocks:>6} {step:<14} {asdict(usage)}", flush=True)
    return usages


def extrapolated(measured: dict[int, dict[str, Usage]], step: str, stocks: int, name: str) -> float | None:
    """Return a number of a step at another size, on the line through the two largest sizes measured."""
    known = sorted(size for size, usages in measured.items() if step in usages)[-2:]
    if len(known) < 2:
        return None
    low, high = (getattr(measured[size][step], name) for size in known)
    return float(high + (high - low) * (stocks - known[1]) / (known[1] - known[0]))


def table(measured: dict[int, dict[str, Usage]], sizes: list[int], name: str, scale: float, digits: int) -> str:
    """Return one number of every step and size as a table."""
    steps = list(max(measured.values(), key=len))
    rows = ["| step | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for step in steps:
        cells = []
        for size in sizes:
            usage = measured.get(size, {}).get(step)
            value = getattr(usage, name) if usage else extrapolated(measured, step, size, name)
            cells.append("–" if value is None else f"{'' if usage else '≈ '}{value / scale:,.{digits}f}")
        rows.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(rows)


def sizes_of(text: str) -> list[int]:
    """Read a list of numbers of stocks."""
    return [int(each) for each in text.split(",") if each]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stocks", type=sizes_of, default=[2_000, 5_000, 10_000])
    parser.add_argument("--extrapolate", type=sizes_of, default=[20_000, 50_000])
    parser.add_argument("--models", default=",".join(load_config().models))
    parser.add_argument("--memory", type=float, default=8.0, help="gigabytes that a step may have")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        folder, stocks, models, step = arguments.step
        carry_out(Path(folder), int(stocks), tuple(models.split(",")), step)
        return
    models = tuple(arguments.models.split(","))
    measured = {stocks: measure_size(stocks, models, arguments.memory) for stocks in arguments.stocks}
    sizes = sorted({*arguments.stocks, *arguments.extrapolate})
    for title, name, scale, digits in (
        ("Peak memory, GB", "gigabytes", 1, 2),
        ("Processor seconds", "processor_seconds", 1, 0),
        ("Wall seconds", "seconds", 1, 0),
        ("Stored, MB", "stored", 1e6, 1),
    ):
        print(f"\n{title}\n\n{table(measured, sizes, name, scale, digits)}")


if __name__ == "__main__":
    main()
