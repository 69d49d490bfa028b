"""How fast support vectors and the forest are trained, beside plain scikit-learn, and how far they differ from it.

Each fit runs in a process of its own, so that its peak memory is its own; what has to be imported is imported before
the clock starts. Predictions are those of 2,000 other stocks.

    python benchmarks/baselines.py [--rows 40000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfactor.models.baselines import accelerator, fit_forest, fit_svr

FEATURES = 80
STOCKS = 1_948  # of the paper's average month
OTHERS = 2_000
# SVR stops at 0.001, so two solutions may be that far apart.
SVR_AGREEMENT = 1e-3

Arrays = tuple[NDArray[np.float32], NDArray[np.float64]]
Predict = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def made_up(rows: int) -> Arrays:
    """Return ranks like a month's, and fat-tailed returns of 10 % a month with a weak signal that is not linear."""
    random = np.random.Generator(np.random.PCG64(1))
    inputs = (random.integers(0, STOCKS, (rows, FEATURES)) / (STOCKS - 1) - 0.5).astype(np.float32)
    inputs[random.random(inputs.shape) < 0.05] = 0.0  # descriptors that are missing
    signal = inputs @ random.normal(0, 0.006, FEATURES) + 0.06 * inputs[:, 0] * inputs[:, 1]
    return inputs, np.maximum(signal + 0.07 * random.standard_t(4, rows), -0.95)


def ours(model: str, inputs: NDArray[np.float32], targets: NDArray[np.float64]) -> Predict:
    fitted = fit_svr(inputs, targets) if model == "svr" else fit_forest(inputs, targets, seed=1)
    return lambda others: fitted.member_predictions(others)[0]


def plain(model: str, inputs: NDArray[np.float32], targets: NDArray[np.float64]) -> Predict:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.svm import SVR

    estimator = SVR() if model == "svr" else RandomForestRegressor(random_state=1)
    return estimator.fit(inputs, targets).predict


def plain_on_all_cores(model: str, inputs: NDArray[np.float32], targets: NDArray[np.float64]) -> Predict:
    """Fit the forest on all cores, and from another seed: so far do two forests of the same kind differ."""
    from sklearn.ensemble import RandomForestRegressor

    assert model == "forest"  # noqa: S101 (SVR knows one core only)
    return RandomForestRegressor(random_state=2, n_jobs=-1).fit(inputs, targets).predict


WAYS = {"deepfactor": ours, "scikit-learn": plain, "on all cores": plain_on_all_cores}
CASES = [
    ("svr", "deepfactor"),
    ("svr", "scikit-learn"),
    ("forest", "deepfactor"),
    ("forest", "scikit-learn"),
    ("forest", "on all cores"),
]


def run_case(model: str, way: str, rows: int, predictions: Path) -> None:
    """Fit and predict, and print what was measured as JSON."""
    inputs, targets = made_up(rows + OTHERS)
    WAYS[way](model, inputs[:100], targets[:100])
    started, started_processor = perf_counter(), process_time()
    predict = WAYS[way](model, inputs[:rows], targets[:rows])
    fitted, processor = perf_counter(), process_time() - started_processor
    found = predict(inputs[rows:])
    seconds = {"fit": fitted - started, "cpu": processor, "predict": perf_counter() - fitted}
    error = float(np.sqrt(np.mean((found - targets[rows:]) ** 2)))
    np.save(predictions, found)
    print(json.dumps(seconds | {"gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, "rmse": error}))


def measured(model: str, way: str, rows: int, folder: Path) -> tuple[dict[str, Any], NDArray[np.float64]]:
    predictions = folder / f"{model} {way}.npy"
    command = [sys.executable, __file__, "--case", model, way, str(predictions), "--rows", str(rows)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    return json.loads(run.stdout), np.load(predictions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        model, way, predictions = arguments.case
        run_case(model, way, arguments.rows, Path(predictions))
        return
    print(
        f"{arguments.rows:,} × {FEATURES}; scikit-learn-intelex {accelerator(accelerated=True) or 'is not installed'}\n"
    )
    print(f"{'':8}{'':14}{'fit, s':>8}{'CPU, s':>8}{'predict, s':>12}{'peak, GB':>10}{'RMSE':>9}", flush=True)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            facts, predictions = found[case] = measured(*case, arguments.rows, Path(folder))
            print(
                f"{case[0]:8}{case[1]:14}{facts['fit']:>8.1f}{facts['cpu']:>8.1f}{facts['predict']:>12.2f}{facts['gigabytes']:>10.2f}"
                f"{facts['rmse']:>9.5f}",
                flush=True,
            )
    print()
    for case in CASES:
        theirs, other = found[case]
        facts, predictions = found[case[0], "deepfactor"]
        if case[1] != "deepfactor":
            ratios = (
                f"{theirs['fit'] / facts['fit']:.1f} times as long, {theirs['cpu'] / facts['cpu']:.1f} times the CPU"
            )
            print(f"{case[0]}: {case[1]} takes {ratios}; {compared(predictions, other)}")
    forests = (found["forest", way][1] for way in ("scikit-learn", "on all cores"))
    print(f"forest: two of scikit-learn's own: {compared(*forests)}")
    furthest = np.abs(found["svr", "deepfactor"][1] - found["svr", "scikit-learn"][1]).max()
    if furthest > SVR_AGREEMENT:
        sys.exit(f"the support vectors' predictions differ by {furthest:.1e}, more than {SVR_AGREEMENT}: one is wrong")


def compared(one: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    difference = np.abs(one - other)
    return (
        f"predictions, spread by {other.std():.4f}, differ by at most {difference.max():.1e}, "
        f"median {np.median(difference):.1e}, correlation {np.corrcoef(one, other)[0, 1]:.4f}"
    )


if __name__ == "__main__":
    main()
