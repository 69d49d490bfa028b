"""How fast the networks are trained: an epoch, and a whole month.

An epoch of DFM 2 on 115,200 × 80 in batches of 512, per member of an ensemble of five, beside ``keras.Model.fit`` on
one network and beside the matrix products alone (NumPy's sgemm of the same shapes, forward and backward). A round of
each follows the other, several times, so that a busy machine slows all three.

With ``--month`` a month of DFM 1 and DFM 2 with five members each at 1,948 simulated stocks in a process of its own:
imports, compilation, reading descriptors, training, predicting and writing.

    python benchmarks/training.py [--rounds 5] [--month]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from deepfactor.config import TrainingConfig

ROWS, FEATURES, BATCH, MEMBERS = 115_200, 80, 512, 5
HIDDEN = (80, 80, 50, 50, 10, 10)


def ours(inputs: np.ndarray, targets: np.ndarray) -> Callable[[], float]:
    """Return what trains one more epoch and gives its seconds."""
    from deepfactor.models.networks import initial_network
    from deepfactor.models.training import Labelled, train_epochs

    seeds = tuple(range(MEMBERS))
    start = initial_network(FEATURES, HIDDEN, seeds)
    training = TrainingConfig(epochs=1_000_000, batch_size=BATCH)
    epochs = train_epochs(start, Labelled(inputs, targets), seeds, training)
    next(epochs)

    def epoch() -> float:
        started = perf_counter()
        next(epochs)
        return perf_counter() - started

    return epoch


def with_keras(inputs: np.ndarray, targets: np.ndarray) -> Callable[[], float]:
    import keras

    layers = [keras.layers.Dense(width, "relu") for width in HIDDEN]
    model = keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(inputs[: 4 * BATCH], targets[: 4 * BATCH], batch_size=BATCH, epochs=1, verbose=0)

    def epoch() -> float:
        started = perf_counter()
        model.fit(inputs, targets, batch_size=BATCH, epochs=1, verbose=0)
        return perf_counter() - started

    return epoch


def products(inputs: np.ndarray) -> Callable[[], float]:
    """Return what does an epoch's matrix products for one network; the first layer's inputs need no gradient."""
    generator = np.random.default_rng(0)
    kernels = [generator.normal(0, 0.1, shape).astype(np.float32) for shape in pairwise((FEATURES, *HIDDEN, 1))]
    batches = [inputs[first : first + BATCH] for first in range(0, ROWS, BATCH)]

    def epoch() -> float:
        started = perf_counter()
        for batch in batches:
            entering = [batch]
            for kernel in kernels:
                entering.append(entering[-1] @ kernel)
            received = entering.pop()
            for place in reversed(range(len(kernels))):
                entering[place].T @ received
                if place:
                    received = received @ kernels[place].T
        return perf_counter() - started

    return epoch


def measure_epochs(rounds: int) -> None:
    generator = np.random.default_rng(1)
    inputs = generator.uniform(-0.5, 0.5, (ROWS, FEATURES)).astype(np.float32)
    targets = generator.normal(0, 0.1, ROWS)
    cases = {
        "deepfactor": ours(inputs, targets),
        "keras.Model.fit": with_keras(inputs, targets),
        "sgemm": products(inputs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, epoch in cases.items():
            seconds[name].append(epoch() / (MEMBERS if name == "deepfactor" else 1))
    print(f"{'an epoch of DFM 2, per network':34}{'best, s':>9}{'median, s':>11}{'ratio of best':>15}")
    for name, taken in seconds.items():
        ratio = min(taken) / min(seconds["deepfactor"])
        print(f"{name:34}{min(taken):>9.3f}{median(taken):>11.3f}{ratio:>15.2f}")


def month_step(root: str, step: str) -> None:
    """Do a part of the month in this process, and print its seconds and its peak memory as JSON."""
    started = perf_counter()
    from deepfactor import pipeline
    from deepfactor.config import SimulationConfig, load_config
    from deepfactor.months import Month
    from deepfactor.runs import Run
    from deepfactor.stack.embedded import embedded_store

    config = load_config()
    market = replace(config.source, folder=f"{root}/market", simulate=SimulationConfig(stocks=1_948))
    config = replace(config, source=market, models=("dfm1", "dfm2"), training=replace(config.training, members=MEMBERS))
    record = Path(root, "run.json")
    with embedded_store(Path(root)) as store:
        if step == "prepare":
            run = pipeline.ingest(Month.parse("2016-02"), store, config)
            pipeline.validate(run, store, config)
            pipeline.describe(run, store, config)
            record.write_text(json.dumps(run.as_dict()))
        else:
            run = Run.from_dict(json.loads(record.read_text()))
            for model in config.models:
                pipeline.train(run, store, config, model)
            pipeline.attribute(run, store, config)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": perf_counter() - started, "gigabytes": gigabytes}))


def measure_month() -> None:
    print(f"{'a month at 1,948 stocks, in a process of its own':56}{'seconds':>9}{'peak, GB':>10}")
    told = {
        "prepare": "simulate, ingest, validate, describe",
        "month": "DFM 1 and DFM 2, five members each, to the ledger",
    }
    with tempfile.TemporaryDirectory() as root:
        for step, name in told.items():
            command = [sys.executable, __file__, "--step", root, step]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
            facts = json.loads(run.stdout.splitlines()[-1])
            print(f"{name:56}{facts['seconds']:>9.1f}{facts['gigabytes']:>10.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--month", action="store_true", help="a whole month instead")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        month_step(*arguments.step)
    elif arguments.month:
        measure_month()
    else:
        measure_epochs(arguments.rounds)


if __name__ == "__main__":
    main()
