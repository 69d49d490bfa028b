"""Which target, learning rate, batch size, weight decay and number of epochs the networks are trained with, and why.

Everything is chosen on Japanese equities up to the return of 2016-05; no later month is read. Three folds look ahead as
a run does: trained on the months before, measured on the next twelve, the last 36 months of the window together. Each
trial is an ensemble of five, measured after several epochs by the mean over months of the rank correlation (rank IC)
between its mean score and the return, and by the root mean square error of its calibrated forecast.

The standard error of a mean rank IC over 36 months is about .013, so that a single best cell is luck. What is chosen is
the highest plateau: the mean over both networks and over three neighbouring numbers of epochs. Last it is compared with
early stopping, on the last twelve months of each fold's training samples.

    python benchmarks/hyperparameters.py [folder]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfactor.config import INCLUDE, TrainingConfig, load_config
from deepfactor.descriptors import describe
from deepfactor.features import Samples, rank_panel, training_samples
from deepfactor.models.base import member_seeds
from deepfactor.models.baselines import fit_linear
from deepfactor.models.networks import HIDDEN_LAYERS, initial_network
from deepfactor.models.registry import train_model
from deepfactor.models.targets import UNCALIBRATED, Target, calibrate, target_values
from deepfactor.models.training import Labelled, train_epochs
from deepfactor.months import Month, Window
from deepfactor.panel import build_panel
from deepfactor.ranks import rank_correlation
from deepfactor.raw import fetch_raw
from deepfactor.validation import validate

FOLDER = INCLUDE.parents[1] / "shared" / "market-jp"
LAST = Month.parse("2016-05")
FIRST_FEATURES = Month.parse("2011-06")  # a year of lags after the first accounts
FOLDS, FOLD_MONTHS = 3, 12
EPOCHS = (1, 2, 3, 4, 6, 8, 10, 15, 20)
TARGETS: tuple[Target, ...] = ("return", "excess", "rank")
RATES = (1e-3, 3e-4, 1e-4)
BATCHES = (256, 512, 2048)
DECAYS = (0.0, 1.0, 10.0)
MODELS = tuple(HIDDEN_LAYERS)
START = TrainingConfig(members=5, batch_size=512, weight_decay=0.0)


@dataclass(frozen=True)
class Fold:
    """Samples to learn from, and those of the twelve months after."""

    training: Samples
    measured: Samples


@dataclass(frozen=True)
class Outcome:
    """What a trial was worth after some epochs, over the months of all folds."""

    epochs: int
    rank_ics: NDArray[np.float64]
    squared_errors: NDArray[np.float64]

    @property
    def rank_ic(self) -> float:
        return float(self.rank_ics.mean())

    @property
    def t(self) -> float:
        return float(self.rank_ic / self.rank_ics.std(ddof=1) * np.sqrt(len(self.rank_ics)))

    @property
    def error(self) -> float:
        return float(np.sqrt(self.squared_errors.mean()))


def read_samples(folder: Path) -> Samples:
    config = load_config(INCLUDE / "config" / "market_jp.yaml", folder)
    window = Window(LAST, training_months=LAST - FIRST_FEATURES)
    validation = validate(fetch_raw(LAST, config), window, config)
    panel = build_panel(validation.tables, window, config.universe, config.calendar)
    return training_samples(rank_panel(describe(panel, window), window), window, config.universe)


def folds(samples: Samples) -> list[Fold]:
    newest = int(samples.months.max())
    firsts = [newest - FOLD_MONTHS * (fold + 1) + 1 for fold in reversed(range(FOLDS))]
    return [
        # The label of the month before the first measured one is the return of that month: it is known.
        Fold(
            samples.where(samples.months < first),
            samples.where(np.isin(samples.months, first + np.arange(FOLD_MONTHS))),
        )
        for first in firsts
    ]


def trial(model: str, training: TrainingConfig, parts: list[Fold]) -> list[Outcome]:
    """Train on each fold and measure after each of ``EPOCHS``."""
    measured: dict[int, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {epoch: [] for epoch in EPOCHS}
    for fold in parts:
        targets = target_values(fold.training.returns, fold.training.months, training.target)
        calibration = calibrate(targets, fold.training.returns, fold.training.months)
        seeds = member_seeds(Month(int(fold.measured.months.min())), model, training.members)
        start = initial_network(fold.training.inputs.shape[1], HIDDEN_LAYERS[model], seeds)
        data = Labelled(fold.training.inputs, targets)
        for epoch in train_epochs(start, data, seeds, replace(training, epochs=max(EPOCHS))):
            if epoch.number in EPOCHS:
                forecast = calibration(epoch.network.member_scores(fold.measured.inputs).mean(axis=0))
                measured[epoch.number].append(by_month(forecast, fold.measured))
    return [
        Outcome(epoch, *(np.concatenate(each) for each in zip(*results, strict=True)))
        for epoch, results in measured.items()
    ]


def linear(target: Target, parts: list[Fold]) -> Outcome:
    results = []
    for fold in parts:
        targets = target_values(fold.training.returns, fold.training.months, target)
        calibration = calibrate(targets, fold.training.returns, fold.training.months)
        scores = fit_linear(fold.training.inputs, targets, UNCALIBRATED).member_predictions(fold.measured.inputs)[0]
        results.append(by_month(calibration(scores), fold.measured))
    return Outcome(0, *(np.concatenate(each) for each in zip(*results, strict=True)))


def by_month(forecast: NDArray[np.float64], samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each month's rank IC and mean squared error."""
    rows = [samples.months == month for month in np.unique(samples.months)]
    ics = [rank_correlation(forecast[row], samples.returns[row]) or 0.0 for row in rows]
    errors = [np.mean((forecast[row] - samples.returns[row]) ** 2) for row in rows]
    return np.array(ics), np.array(errors)


def early_stopped(model: str, training: TrainingConfig, parts: list[Fold]) -> tuple[Outcome, list[int]]:
    """Train with each fold's last twelve training months kept for validation; return also the epochs that were kept."""
    results, epochs = [], []
    for fold in parts:
        month = Month(int(fold.measured.months.min()))
        trained = train_model(model, month, fold.training, replace(training, validation_months=12), lambda _: None)
        results.append(by_month(trained.model.member_predictions(fold.measured.inputs).mean(axis=0), fold.measured))
        epochs += trained.card["kept_epoch_by_member"]
    return Outcome(0, *(np.concatenate(each) for each in zip(*results, strict=True))), epochs


def search(candidates: list[TrainingConfig], parts: list[Fold]) -> Iterator[tuple[TrainingConfig, float]]:
    """Print a line for each candidate and model; yield each candidate with its best epochs and their plateau."""
    for training in candidates:
        outcomes = {}
        for model in MODELS:
            outcomes[model] = trial(model, training, parts)
            best = max(outcomes[model], key=lambda outcome: outcome.rank_ic)
            curve = " ".join(f"{outcome.rank_ic:+.3f}" for outcome in outcomes[model])
            print(
                f"| {training.target} | {training.learning_rate:g} | {training.batch_size} | {training.weight_decay:g} "
                f"| {model} | {curve} | {best.epochs} | {best.rank_ic:+.4f} ({best.t:.1f}) | {best.error:.4f} |",
                flush=True,
            )
        ics = np.mean([[outcome.rank_ic for outcome in each] for each in outcomes.values()], axis=0)
        plateaus = (ics[:-2] + ics[1:-1] + ics[2:]) / 3
        place = int(plateaus.argmax())
        print(f"{'':54}| both: plateau {plateaus[place]:+.4f} around {EPOCHS[place + 1]} epochs", flush=True)
        yield replace(training, epochs=EPOCHS[place + 1]), float(plateaus[place])


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.is_dir():
        print(f"skipped: the real drop is not at {folder}; give its folder as an argument")
        return 0
    parts = folds(read_samples(folder))
    for fold in parts:
        print(
            f"trained on {len(fold.training.returns):,} samples up to {Month(int(fold.training.months.max()))}, "
            f"measured on {len(fold.measured.returns):,} of {Month(int(fold.measured.months.min()))} and 11 more months"
        )
    for target in TARGETS:
        outcome = linear(target, parts)
        print(f"linear, {target}: rank IC {outcome.rank_ic:+.4f} (t {outcome.t:.1f}), RMSE {outcome.error:.4f}")
    print(f"\n| target | rate | batch | decay | model | rank IC after {EPOCHS} epochs | best | rank IC (t) | RMSE |")
    print("|---|---|---|---|---|---|---|---|---|")
    first = [replace(START, target=target, learning_rate=rate) for target, rate in product(TARGETS, RATES)]
    best, height = max(search(first, parts), key=lambda found: found[1])
    grid = product(BATCHES, DECAYS)
    second = [replace(best, batch_size=size, weight_decay=decay) for size, decay in grid]
    others = search([each for each in second if each != best], parts)
    chosen, height = max([(best, height), *others], key=lambda found: found[1])
    print(f"\nhighest plateau: {height:+.4f}, {chosen}\n")
    for model in MODELS:
        outcome, epochs = early_stopped(model, replace(chosen, epochs=max(EPOCHS)), parts)
        figures = f"rank IC {outcome.rank_ic:+.4f} (t {outcome.t:.1f}), RMSE {outcome.error:.4f}"
        print(f"{model}, stopped early: {figures}; kept epochs {epochs}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
