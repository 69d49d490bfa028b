"""The steps of a month, one after the other, without Airflow."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from deepfactor.config import Config
from deepfactor.models.progress import Progress, log_progress
from deepfactor.months import Month
from deepfactor.pipeline import attribute, bless, describe, ingest, publish, train, validate
from deepfactor.publication import Manifest
from deepfactor.store import Store


def run_month(
    month: Month,
    store: Store,
    config: Config,
    *,
    replace: bool = False,
    after: Callable[[str, float], None],
    progress: Progress = log_progress,
) -> Manifest:
    """Run all steps of a month, one after the other.

    Parameters
    ----------
    month, store, config
        As in every step.
    replace
        Whether another run's publication of this month may be replaced.
    after
        Called after each step with its name and its seconds.
    progress
        Told of every epoch of a network's training.
    """
    started = perf_counter()

    def done(step: str) -> None:
        nonlocal started
        after(step, perf_counter() - started)
        started = perf_counter()

    run = ingest(month, store, config)
    done("ingest")
    validate(run, store, config)
    done("validate")
    describe(run, store, config)
    done("describe")
    for model in config.models:
        train(run, store, config, model, progress)
        done(f"train {model}")
    attribute(run, store, config)
    done("attribute")
    bless(run, store, config)
    done("bless")
    manifest = publish(run, store, config, replace=replace)
    done("publish")
    return manifest
