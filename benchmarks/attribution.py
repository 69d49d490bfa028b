"""How fast predictions are explained: a month of DFM 2, and ten years of an ensemble with everything that is published.

Ten years are 120 months of an ensemble of five: the kernel month by month, the kernel on all 233,760 stock-months in
one call, and everything that is published of a network, as Parquet. Each runs in a process of its own.

A month is 1,948 × 80, one network, LRP-0: the whole ledger, beside gradient × input by ``tf.GradientTape`` on the same
Keras model, eagerly and within ``tf.function``, in single and in double precision. "With biases" the tape is written so
that it gives the biases' terms too, as the ledger has them. Both have all cores. A round of each follows the other, so
that a busy machine slows all. The column on the right is the largest difference from the ledger, relative to the
predictions' root mean square.

    python benchmarks/attribution.py [--rounds 50] [--months 120] [--rules zero]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.attribution.rules import Rule, network_rules
from deepfactor.models.base import Network
from deepfactor.models.blas import one_thread
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.targets import Calibration

STOCKS, FEATURES, MEMBERS = 1_948, 80, 5
DEPTH = len(HIDDEN_LAYERS["dfm2"]) + 1

Terms = tuple[NDArray[Any], ...]


def made_up(stocks: int, members: int) -> tuple[Network, NDArray[np.float32]]:
    """Return DFM 2 with biases that are not zero, and ranks."""
    random = np.random.Generator(np.random.PCG64(1))
    start = initial_network(FEATURES, HIDDEN_LAYERS["dfm2"], range(members))
    biases = tuple(random.normal(0, 0.1, each.shape).astype(np.float32) for each in start.biases)
    network = Network(start.kernels, biases, Calibration(0.01, 0.25))
    return network, (random.integers(0, STOCKS, (stocks, FEATURES)) / (STOCKS - 1) - 0.5).astype(np.float32)


def by_tape(network: Network, inputs: NDArray[np.float32], precision: str) -> Callable[[], Any]:
    """Return gradient × input as TensorFlow's guide writes it."""
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(precision)
    hidden = [keras.layers.Dense(width, "relu") for width in HIDDEN_LAYERS["dfm2"]]
    scale = keras.layers.Rescaling(network.calibration.slope, network.calibration.level)
    model = keras.Sequential([keras.Input((FEATURES,), dtype=precision), *hidden, keras.layers.Dense(1), scale])
    model.set_weights([each[0] for pair in zip(network.kernels, network.biases, strict=True) for each in pair])
    features = tf.constant(inputs, precision)

    def explain() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(features)
            prediction = model(features)
        return (features * tape.gradient(prediction, features),)

    return explain


def by_tape_with_biases(network: Network, inputs: NDArray[np.float32], precision: str) -> Callable[[], Any]:
    """Return gradient × input, and bias × gradient by layer: a bias's gradient is that of its pre-activation."""
    import tensorflow as tf

    features = tf.constant(inputs, precision)
    kernels = [tf.constant(each[0], precision) for each in network.kernels]
    biases = [tf.constant(each[0], precision) for each in network.biases]

    def explain() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(features)
            entering, totals = features, []
            for kernel, bias in zip(kernels, biases, strict=True):
                totals.append(entering @ kernel + bias)
                entering = tf.nn.relu(totals[-1])
            prediction = network.calibration.level + network.calibration.slope * totals[-1]
        by_input, *gradients = tape.gradient(prediction, [features, *totals])
        by_bias = [tf.linalg.matvec(each, bias) for each, bias in zip(gradients, biases, strict=True)]
        return features * by_input, tf.stack(by_bias, axis=1)

    return explain


def cases(network: Network, inputs: NDArray[np.float32]) -> dict[str, Callable[[], Terms]]:
    import tensorflow as tf

    def ledger() -> Terms:
        account = relevance(network, inputs)
        return account.member_inputs[0], account.member_bias[0]

    found: dict[str, Callable[[], Terms]] = {"deepfactor": ledger}
    for precision in ("float32", "float64"):
        for name, way in (("tape", by_tape), ("tape with biases", by_tape_with_biases)):
            explain = way(network, inputs, precision)
            for how, each in (("eager", explain), ("tf.function", tf.function(explain))):
                found[f"{name}, {precision}, {how}"] = lambda each=each: tuple(term.numpy() for term in each())
    return found


def measure_month(rounds: int) -> None:
    network, inputs = made_up(STOCKS, 1)
    ways = cases(network, inputs)
    scale = float(np.sqrt(np.mean(network.member_predictions(inputs) ** 2)))
    exact = ways["deepfactor"]()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    differences = {}
    # As a month's run does it: what is published must not depend on the number of cores. TensorFlow has them all.
    with one_thread():
        for name, explain in ways.items():
            explain()
            differences[name] = max(np.abs(a - b).max() for a, b in zip(explain(), exact, strict=False)) / scale
        for _ in range(rounds):
            for name, explain in ways.items():
                started = perf_counter()
                explain()
                seconds[name].append(perf_counter() - started)
    title = f"a month of DFM 2, {STOCKS:,} × {FEATURES}"
    print(f"{title:44}{'best, ms':>10}{'median, ms':>12}{'ratio of best':>15}{'differs by':>12}")
    for name, taken in seconds.items():
        ratio = min(taken) / min(seconds["deepfactor"])
        print(
            f"{name:44}{1e3 * min(taken):>10.2f}{1e3 * median(taken):>12.2f}{ratio:>15.2f}{differences[name]:>12.0e}",
            flush=True,
        )


def kernel(months: int, rules: tuple[Rule, ...]) -> None:
    network, inputs = made_up(STOCKS, MEMBERS)
    for _ in range(months):
        closed(relevance(network, inputs, rules))


def one_call(months: int, rules: tuple[Rule, ...]) -> None:
    network, inputs = made_up(months * STOCKS, MEMBERS)
    relevance(network, inputs, rules)


def published(months: int, rules: tuple[str, ...]) -> None:
    from deepfactor.attribution.accounts import account_for
    from deepfactor.config import AttributionConfig
    from deepfactor.features import Samples
    from deepfactor.months import Month
    from deepfactor.objects import frame_to_bytes

    network, inputs = made_up(STOCKS, MEMBERS)
    codes, first = np.array([f"{1_300 + number}" for number in range(STOCKS)]), Month.parse("2006-03")
    for number in range(months):
        ordinals = np.full(STOCKS, (first + number).ordinal)
        samples = Samples(ordinals, codes, inputs, np.empty(0), np.ones(inputs.shape, bool), {})
        tables, _ = account_for(first + number, [("dfm2", network)], samples, AttributionConfig(rules))
        for frame in tables.values():
            frame_to_bytes(frame)


def closed(account: Relevance) -> None:
    if account.imbalance().max() > 1e-9 * np.abs(account.prediction).max():
        sys.exit("a ledger does not close")


def run_years(case: str, months: int, names: tuple[str, ...]) -> None:
    """Explain the months, and print seconds and peak memory as JSON."""
    started, started_processor = perf_counter(), process_time()
    with one_thread():
        if case == "published":
            published(months, names)
        else:
            {"kernel": kernel, "one call": one_call}[case](months, network_rules(names, DEPTH))
    seconds = {"seconds": perf_counter() - started, "cpu": process_time() - started_processor}
    print(json.dumps(seconds | {"gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))


YEARS = {
    "kernel": "the kernel, month by month",
    "one call": "the kernel, all months in one call",
    "published": "the kernel and all published tables, as Parquet",
}


def measure_years(months: int, rules: str) -> None:
    title = f"{months} months, an ensemble of {MEMBERS} DFM 2, {rules}"
    print(f"{title:48}{'seconds':>9}{'CPU':>9}{'peak, GB':>10}")
    for case, name in YEARS.items():
        command = [sys.executable, __file__, "--case", case, "--months", str(months), "--rules", rules]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  this program
        facts = json.loads(run.stdout)
        print(f"{name:48}{facts['seconds']:>9.1f}{facts['cpu']:>9.1f}{facts['gigabytes']:>10.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--months", type=int, default=120)
    parser.add_argument("--rules", default="zero", help="one, or three with commas between, as in a configuration")
    parser.add_argument("--case", choices=YEARS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        run_years(arguments.case, arguments.months, tuple(arguments.rules.split(",")))
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A process's peak is also that of the one that started it, so TensorFlow comes second.
    measure_years(arguments.months, arguments.rules)
    print()
    measure_month(arguments.rounds)


if __name__ == "__main__":
    main()
