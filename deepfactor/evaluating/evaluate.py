"""From published months to a published evaluation."""

from __future__ import annotations

from deepfactor.config import Config
from deepfactor.evaluating.evaluation import Evaluation, evaluated
from deepfactor.evaluating.materials import read_materials
from deepfactor.evaluating.parameters import USUAL, Parameters
from deepfactor.evaluating.results import EvaluationManifest, bodies, manifest_key, publish
from deepfactor.months import Month
from deepfactor.reports.evaluation.page import NAME, render_evaluation
from deepfactor.store import Store


def evaluate(
    store: Store,
    first: Month,
    last: Month,
    parameters: Parameters = USUAL,
    *,
    config: Config | None = None,
    api_key: str | None = None,
    replace: bool = False,
) -> tuple[Evaluation, EvaluationManifest]:
    """Evaluate the published months of a span, and publish what comes of it, with a page.

    A second evaluation of the same runs has the same id and changes nothing; one that knows more results replaces the
    span's manifest.

    Parameters
    ----------
    store
        Where months are published.
    first, last
        As-of months of the span, both included.
    parameters
        What is supposed.
    config
        Where a month may be fetched from whose returns no published run knows; none: it is not known yet.
    api_key
        Key of a data service; None: that of the service's environment variable.
    replace
        Whether an evaluation with other parameters, or one that knows more results, may be replaced.

    Raises
    ------
    ConfigurationError
        If the span or a parameter is not what it should be.
    StoreError
        If no month of the span is published.
    IntegrityError
        If an object of a month is missing, its bytes differ, or it is of another version.
    PublicationConflict
        As :func:`deepfactor.evaluating.results.publish` does.
    """
    # Before anything is read, so that what is written meanwhile is not lost.
    seen = store.etag(manifest_key(first, last))
    evaluation = evaluated(read_materials(store, first, last, config, api_key), parameters)
    objects = bodies(evaluation) | {NAME: render_evaluation(evaluation)}
    return evaluation, publish(store, evaluation, objects, seen, replace=replace)
