"""Verdicts that stop a run: whatever calls the steps, and in whatever order, nothing gets past them."""

from __future__ import annotations

from deepfactor.errors import NotBlessed, ValidationFailed
from deepfactor.runs import Run, StepRecord
from deepfactor.store import Store


def require_valid(run: Run, store: Store, record: StepRecord) -> None:
    """Go on only if the run's raw tables passed.

    Parameters
    ----------
    run, store
        As in every step.
    record
        Of the step validate.

    Raises
    ------
    ValidationFailed
        Saying what failed, and where the Data Docs are.
    """
    if record.facts["validation passed"] is True:
        return
    verdict = store.read_json(record.objects["validation/verdict.json"])
    raise ValidationFailed(
        f"{run.month} did not pass validation, nothing is computed from it: {'; '.join(verdict['faults'])}. "
        f"The Data Docs are below {store.url(run.key('validation/data_docs/'))}"
    )


def require_blessed(run: Run, store: Store, record: StepRecord) -> None:
    """Go on only if no gate refused the run; gates that only warn refuse nothing.

    Parameters
    ----------
    run, store
        As in every step.
    record
        Of the step bless.

    Raises
    ------
    NotBlessed
        Naming each gate that refused, with its numbers.
    """
    if record.facts["gates passed"] is True:
        return
    verdicts = store.read_json(record.objects["gates.json"])
    refused = [
        f"{each['gate']} of {each['model'] or 'the month'}: {each['value']} against {each['threshold']} "
        f"({each['meaning']})"
        for each in verdicts
        if each["hard"] and not each["passed"]
    ]
    faults = store.read_json(record.objects["results/verdict.json"])["faults"]
    raise NotBlessed(
        f"{run.month} is not published, a gate refused it: {'; '.join(refused)}"
        + (f". Of descriptors and signals: {'; '.join(faults)}" if faults else "")
        + f". The Data Docs are below {store.url(run.key('results/data_docs/'))}"
    )
