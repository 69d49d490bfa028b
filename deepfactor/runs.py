"""A run, and the records of its steps: what makes a step repeatable, and a killed run resumable."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, IntegrityError
from deepfactor.months import Month
from deepfactor.objects import Reference, json_to_bytes
from deepfactor.provenance import code_version
from deepfactor.scratch import scratch
from deepfactor.seals import seal, unseal
from deepfactor.store import Store, verify_all

LOGGER = logging.getLogger(__name__)

_REMEDY = "do the step again"


@dataclass(frozen=True)
class Run:
    """One computation of one month.

    Attributes
    ----------
    month
        The as-of month.
    run_id
        Hash of inputs, configuration and code version.
    """

    month: Month
    run_id: str

    def key(self, name: str) -> str:
        """Return the key of one of the run's objects."""
        return f"runs/{self.month}/{self.run_id}/{name}"

    def as_dict(self) -> dict[str, str]:
        """Return the run as JSON can hold it."""
        return {"month": str(self.month), "run_id": self.run_id}

    @classmethod
    def from_dict(cls, content: Mapping[str, str]) -> Run:
        """Read what :meth:`as_dict` gives."""
        return cls(Month.parse(content["month"]), content["run_id"])


@dataclass(frozen=True)
class StepRecord:
    """What a step made.

    Attributes
    ----------
    step
        Its name.
    objects
        References by name within the run.
    facts
        JSON-able numbers for the report.
    """

    step: str
    objects: dict[str, Reference]
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called within the run."""
        return f"steps/{self.step}.json"

    def to_bytes(self) -> bytes:
        """Return the record as JSON that carries the checksum of its own content."""
        return seal(asdict(self))

    def reference(self, run: Run) -> Reference:
        """Pin the record itself."""
        return Reference.to(run.key(self.name), self.to_bytes())


def start_run(
    month: Month, store: Store, config: Config, tables: Mapping[str, list[Reference]]
) -> tuple[Run, Reference]:
    """Name a run by what it will be computed from, and store that; returns the run and where its inputs stand.

    Parameters
    ----------
    month
        The as-of month.
    store
        Where the run's objects go.
    config
        The run's configuration.
    tables
        The raw tables it reads, by dataset.
    """
    content = {
        "month": str(month),
        "tables": {name: [asdict(each) for each in references] for name, references in tables.items()},
        "config_digest": config.digest(),
        "code_version": code_version(),
    }
    body = json_to_bytes(content)
    run = Run(month, hashlib.sha256(body).hexdigest()[:16])
    return run, store.put_immutable(run.key("inputs.json"), body)


def raw_inputs(run: Run, store: Store) -> dict[str, list[Reference]]:
    """Return the raw tables a run reads, by dataset."""
    tables = _inputs(run, store)["tables"]
    return {name: [Reference.from_dict(each) for each in references] for name, references in tables.items()}


def once(run: Run, store: Store, config: Config, step: str, work: Callable[[], StepRecord]) -> StepRecord:
    """Return a step's record; do the work only if the record or one of its objects is not there or not whole.

    Parameters
    ----------
    run, store, config
        What every step is given.
    step
        The step's name.
    work
        Does the step and returns its record.

    Raises
    ------
    ConfigurationError
        If configuration or code are not those the run was started with.
    ScratchFull
        If there is no room on the machine's own disk.
    """
    _check_same(run, store, config)
    record = _done(run, store, step)
    if record is None:
        started = perf_counter()
        with scratch():
            record = work()
        write_record(run, store, record)
        LOGGER.info("%s %s: %s, %.1f s", run.month, step, record.facts, perf_counter() - started)
    return record


def store_objects(run: Run, store: Store, step: str, bodies: Mapping[str, bytes], facts: dict[str, Any]) -> StepRecord:
    """Store what a step made and return its record, not yet written."""
    references = store.put_many([(run.key(name), body) for name, body in bodies.items()])
    return StepRecord(step, dict(zip(bodies, references, strict=True)), facts)


def note(run: Run, store: Store, name: str, content: Any) -> None:
    """Store what is no part of the run, as JSON; another process at the same step notes something else."""
    try:
        store.put_json(run.key(name), content)
    except IntegrityError as error:
        LOGGER.info("%s is another process's: %s", name, error)


def write_record(run: Run, store: Store, record: StepRecord) -> None:
    """Write a step's record: the step is done."""
    store.put_immutable(run.key(record.name), record.to_bytes())


def read_record(run: Run, store: Store, step: str) -> StepRecord:
    """Read a step's record.

    Raises
    ------
    IntegrityError
        If the step has not been done, or its record is not byte for byte what was written.
    """
    record = _find_record(run, store, step)
    if record is None:
        raise IntegrityError(f"run {run.run_id} of {run.month} has no step {step}: do that step first")
    return record


def _find_record(run: Run, store: Store, step: str) -> StepRecord | None:
    key = run.key(f"steps/{step}.json")
    there = store.find(key)
    if there is None:
        return None
    content = unseal(there[0], store.url(key), f"the record of {step}", _REMEDY)
    try:
        objects = {name: Reference.from_dict(each) for name, each in content["objects"].items()}
        record = StepRecord(content["step"], objects, content["facts"])
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{store.url(key)} is not the record of {step} ({error}); {_REMEDY}") from None
    if record.step != step or any(not each.key.startswith(run.key("")) for each in objects.values()):
        raise IntegrityError(f"{store.url(key)} is the record of another step or run; {_REMEDY}")
    return record


def _done(run: Run, store: Store, step: str) -> StepRecord | None:
    """Return the record of a step that is done, its objects whole."""
    try:
        record = _find_record(run, store, step)
        if record is not None:
            verify_all(store, tuple(record.objects.values()))
            LOGGER.info("%s %s: done before in run %s", run.month, step, run.run_id)
    except IntegrityError as error:
        LOGGER.warning("%s %s is done again: %s", run.month, step, error)
        return None
    return record


def _check_same(run: Run, store: Store, config: Config) -> None:
    inputs = _inputs(run, store)
    there = {"config_digest": config.digest(), "code_version": code_version()}
    for name, value in there.items():
        if inputs[name] != value:
            raise ConfigurationError(
                f"run {run.run_id} of {run.month} was started with {name} {inputs[name]}, this step has {value}; "
                "start the month again from ingest"
            )


def _inputs(run: Run, store: Store) -> dict[str, Any]:
    there = store.find(run.key("inputs.json"))
    if there is None:
        raise IntegrityError(
            f"run {run.run_id} of {run.month} has no {store.url(run.key('inputs.json'))}: ingest first"
        )
    body = there[0]
    if hashlib.sha256(body).hexdigest()[:16] != run.run_id:
        raise IntegrityError(f"{store.url(run.key('inputs.json'))} does not belong to run {run.run_id}: ingest again")
    content: dict[str, Any] = json.loads(body)
    return content
