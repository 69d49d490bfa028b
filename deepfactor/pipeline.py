"""The steps of a month, each a plain function that shares nothing with the others but the store.

A step leaves a record that names what it made, written last. Where the record of the same run is there and its
objects are whole, the step is done: a second run changes nothing, and a killed one goes on where it stopped.

Heavy libraries are imported where they are used, so that a process pays only for its own step.
"""

from __future__ import annotations

from dataclasses import replace as with_fields
from time import perf_counter
from typing import TYPE_CHECKING

import polars as pl

from deepfactor.committing import commit
from deepfactor.config import Config
from deepfactor.models.names import EXPLAINED_MODELS
from deepfactor.models.progress import Progress, log_progress
from deepfactor.months import Month, Window
from deepfactor.objects import frame_to_bytes, json_to_bytes
from deepfactor.provenance import code_version
from deepfactor.publication import Manifest, open_month
from deepfactor.raw import RawObjects, ingest_raw, read_raw
from deepfactor.runs import Run, StepRecord, note, once, raw_inputs, read_record, store_objects
from deepfactor.schemas import RAW
from deepfactor.scratch import scratch
from deepfactor.store import Store
from deepfactor.verdicts import require_blessed, require_valid

if TYPE_CHECKING:
    from deepfactor.features import RankedPanel
    from deepfactor.models.base import Model


def ingest(month: Month, store: Store, config: Config, api_key: str | None = None) -> Run:
    """Fetch the raw tables of the month and of the history it needs, and store them by content.

    Parameters
    ----------
    month, store, config
        As in every step.
    api_key
        Key of a data service; None: that of the service's environment variable.

    Raises
    ------
    SourceError
        If the delivery is missing or cannot be read.
    HistoryError
        If it does not reach back far enough.
    ScratchFull
        If there is no room on the machine's own disk.
    """
    from deepfactor.sources import open_source

    with scratch():
        return ingest_raw(month, store, config, open_source(config.source, api_key), RawObjects(store))


def validate(run: Run, store: Store, config: Config) -> StepRecord:
    """Hold the raw tables against their expectations, and set bad rows aside.

    Raises
    ------
    ValidationFailed
        If an expectation that must hold does not; verdict and Data Docs are stored all the same.
    """

    def work() -> StepRecord:
        from deepfactor.validation import validate as judge_tables
        from deepfactor.validation.files import verdict_files

        validation = judge_tables(read_raw(raw_inputs(run, store), store), Window(run.month), config)
        bodies = {
            **{f"validation/{path}": body for path, body in verdict_files(validation).items()},
            **{f"validated/{name}.parquet": frame_to_bytes(frame) for name, frame in validation.tables.items()},
        }
        facts = {"validation passed": validation.passed, "rows quarantined": validation.quarantined.height}
        return store_objects(run, store, "validate", bodies, facts)

    record = once(run, store, config, "validate", work)
    require_valid(run, store, record)
    return record


def describe(run: Run, store: Store, config: Config) -> StepRecord:
    """Compute the descriptors of every month the window needs.

    Raises
    ------
    ValidationFailed
        If the run's raw tables did not pass.
    HistoryError
        If there are too few months.
    """

    def work() -> StepRecord:
        from deepfactor.descriptors import describe as describe_panel
        from deepfactor.panel import build_panel

        validated = read_record(run, store, "validate")
        require_valid(run, store, validated)
        tables = {
            name: store.read_frame(validated.objects[f"validated/{name}.parquet"])
            for name in RAW
            if f"validated/{name}.parquet" in validated.objects
        }
        window = Window(run.month)
        frame = describe_panel(build_panel(tables, window, config.universe, config.calendar), window)
        universe = frame.filter("in_universe", pl.col("month") == run.month.first_day).height
        facts = {"stocks in the universe": universe, "described stock-months": frame.height}
        return store_objects(run, store, "describe", {"descriptors.parquet": frame_to_bytes(frame)}, facts)

    return once(run, store, config, "describe", work)


def train(run: Run, store: Store, config: Config, model: str, progress: Progress = log_progress) -> StepRecord:
    """Train one model on the trailing 60 months, and if it can be explained, another of its kind beside a placebo.

    How long it took and how much memory is stored beside the card, as no part of the run: it is never the same twice.

    Parameters
    ----------
    run, store, config
        As in every step.
    model
        One of ``deepfactor.models.names.MODELS``.
    progress
        Told of every epoch; lines in the log if not given.

    Raises
    ------
    HistoryError
        If a month of the window has too few stocks.
    TrainingError
        If the model could not be trained.
    """

    def work() -> StepRecord:
        from deepfactor.attribution.placebo import check_placebo, with_placebo
        from deepfactor.features import training_samples
        from deepfactor.models.cards import measured
        from deepfactor.models.registry import train_model

        started = perf_counter()
        panel = _ranked(run, store)
        samples = training_samples(panel, Window(run.month), config.universe)
        trained = train_model(model, run.month, samples, config.training, progress)
        bodies = {
            f"models/{model}/weights.safetensors": trained.model.to_bytes(),
            f"models/{model}/card.json": json_to_bytes(trained.card),
        }
        if model in EXPLAINED_MODELS:
            placebo = check_placebo(model, run.month, with_placebo(panel, run.month), config)
            bodies[f"models/{model}/placebo.json"] = json_to_bytes(placebo.as_dict())
        note(run, store, f"models/{model}/measured.json", measured(perf_counter() - started))
        facts = {"training rows": len(samples.returns)} | {
            f"training: {reason}": number for reason, number in samples.exclusions.items()
        }
        return store_objects(run, store, f"train-{model}", bodies, facts)

    return once(run, store, config, f"train-{model}", work)


def attribute(run: Run, store: Store, config: Config) -> StepRecord:
    """Predict the month with every model; where it can be explained, book predictions to inputs and check the books.

    Raises
    ------
    HistoryError
        If the month has too few stocks.
    """

    def work() -> StepRecord:
        from deepfactor.attribution.accounts import account_for
        from deepfactor.attribution.checks import check_explanations
        from deepfactor.features import prediction_samples
        from deepfactor.models.registry import read_model

        panel = _ranked(run, store)
        samples, before = (prediction_samples(panel, Window(run.month + back), config.universe) for back in (0, -1))
        trained = {name: read_record(run, store, f"train-{name}").objects for name in config.models}

        def model_of(name: str) -> Model:
            return read_model(name, store.read(trained[name][f"models/{name}/weights.safetensors"]))

        # A forest is large: one model at a time is in memory, and those that are explained are read again.
        models = ((name, model_of(name)) for name in config.models)
        tables, imbalances = account_for(run.month, models, samples, config.attribution)
        explained = ((name, model_of(name)) for name in imbalances)
        checks = check_explanations(run.month, explained, samples, before, config.attribution)
        for name, found in checks.items():
            found["placebo"] = store.read_json(trained[name][f"models/{name}/placebo.json"])
        bodies = {f"{name}.parquet": frame_to_bytes(frame) for name, frame in tables.items()}
        bodies |= {"imbalances.json": json_to_bytes(imbalances), "checks.json": json_to_bytes(checks)}
        facts = {
            "stocks scored": len(samples.security_ids),
            "attribution rules": ", ".join(config.attribution.rules),
            **{f"scoring: {why}": number for why, number in samples.exclusions.items() if "return" not in why},
        }
        return store_objects(run, store, "attribute", bodies, facts)

    return once(run, store, config, "attribute", work)


def bless(run: Run, store: Store, config: Config) -> StepRecord:
    """Hold descriptors and signals against their expectations, and the month against its gates.

    Raises
    ------
    NotBlessed
        If one refuses; its numbers are stored all the same. Where one only warns, it is logged.
    """

    def work() -> StepRecord:
        from deepfactor.gates import judge, warn_of
        from deepfactor.validation.results import validate_results

        attributed = read_record(run, store, "attribute").objects
        described = read_record(run, store, "describe")
        signals = store.read_frame(attributed["signals.parquet"])
        results = validate_results(
            store.read_frame(described.objects["descriptors.parquet"]),
            signals,
            store.read_frame(attributed["ledger.parquet"]),
            run.month,
            config,
        )
        verdicts = judge(
            validation_passed=bool(read_record(run, store, "validate").facts["validation passed"]),
            results_passed=results.passed,
            universe=int(described.facts["stocks in the universe"]),
            signals=signals,
            imbalances=store.read_json(attributed["imbalances.json"]),
            checks=store.read_json(attributed["checks.json"]),
            models=config.models,
            gates=config.gates,
        )
        warn_of(run.month, verdicts)
        bodies = {
            "gates.json": json_to_bytes([verdict.as_dict() for verdict in verdicts]),
            "results/verdict.json": json_to_bytes(results.verdict),
            **{f"results/data_docs/{path}": body for path, body in results.documents.items()},
        }
        facts = {"gates passed": not any(verdict.refuses for verdict in verdicts)}
        return store_objects(run, store, "bless", bodies, facts)

    record = once(run, store, config, "bless", work)
    require_blessed(run, store, record)
    return record


def publish(run: Run, store: Store, config: Config, *, replace: bool = False) -> Manifest:
    """Write the page and the signals for spreadsheets, then the manifest, which makes the month published.

    Parameters
    ----------
    run, store, config
        As in every step.
    replace
        Whether another run's publication of this month may be replaced.

    Raises
    ------
    NotBlessed
        If a gate refused.
    PublicationConflict
        If another run has published the month.
    IntegrityError
        If an object of the run is missing or differs.
    """
    steps = ["ingest", "validate", "describe", *(f"train-{model}" for model in config.models), "attribute", "bless"]
    records = [read_record(run, store, step) for step in steps]
    require_valid(run, store, records[1])
    require_blessed(run, store, records[-1])
    facts = {name: value for record in records for name, value in record.facts.items()}
    objects = {name: reference for record in records for name, reference in record.objects.items()}
    objects |= {record.name: record.reference(run) for record in records}
    manifest = Manifest(
        month=run.month,
        run_id=run.run_id,
        signal_model=config.signal_model,
        code_version=code_version(),
        config_digest=config.digest(),
        facts=facts,
        inputs=tuple(reference for references in raw_inputs(run, store).values() for reference in references),
        named_objects=objects,
    )
    manifest = _report(run, store, manifest)
    commit(store, manifest, replace=replace)
    return manifest


def _report(run: Run, store: Store, manifest: Manifest) -> Manifest:
    """Render and store what people read, and return the manifest with it."""
    from deepfactor.reports.month import render_month
    from deepfactor.reports.spreadsheet import frame_to_csv

    month = open_month(store, manifest)
    bodies = {"report.html": render_month(month.report()), "signals.csv": frame_to_csv(month.signals)}
    made = {name: store.put_immutable(run.key(name), body) for name, body in bodies.items()}
    return with_fields(manifest, named_objects=manifest.named_objects | made)


def _ranked(run: Run, store: Store) -> RankedPanel:
    from deepfactor.features import rank_panel

    descriptors = read_record(run, store, "describe").objects["descriptors.parquet"]
    return rank_panel(store.read_frame(descriptors), Window(run.month))
