"""An evaluation in the store: its objects, and the manifest that names them, written last."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from deepfactor.errors import (
    ConfigurationError,
    IntegrityError,
    PublicationConflict,
    PublishedMeanwhile,
    StoreError,
)
from deepfactor.evaluating.evaluation import TABLES, Evaluation
from deepfactor.evaluating.markdown import summary_markdown
from deepfactor.evaluating.summary import summary
from deepfactor.months import Month
from deepfactor.objects import Reference, frame_to_bytes, json_to_bytes
from deepfactor.reports.numbers import figure
from deepfactor.seals import look, seal, unseal
from deepfactor.store import Store

LOGGER = logging.getLogger(__name__)

_REMEDY = "evaluate again with --replace, or bring it back with deepfactor restore"


@dataclass(frozen=True)
class EvaluationManifest:
    """The commit of an evaluation; as JSON it carries the checksum of its own content.

    Attributes
    ----------
    first, last
        As-of months of the span.
    evaluation_id
        Hash of its inputs.
    code_version
        What computed it.
    parameters
        What it supposes.
    known
        How many months have a result.
    named_objects
        Everything it consists of, by name.
    """

    first: Month
    last: Month
    evaluation_id: str
    code_version: str
    parameters: dict[str, Any]
    known: int
    named_objects: dict[str, Reference]

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        return seal(asdict(self) | {"first": str(self.first), "last": str(self.last)})

    @classmethod
    def from_bytes(cls, body: bytes, where: str) -> EvaluationManifest:
        """Read a manifest.

        Raises
        ------
        IntegrityError
            If it is not one, or not byte for byte what was written.
        """
        what = "the manifest of an evaluation"
        content = unseal(body, where, what, _REMEDY)
        try:
            content |= {name: Month.parse(content[name]) for name in ("first", "last")}
            content["named_objects"] = {
                name: Reference.from_dict(each) for name, each in content["named_objects"].items()
            }
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError, ConfigurationError) as error:
            raise IntegrityError(f"{where} is not {what} ({error}); {_REMEDY}") from None


def manifest_key(first: Month, last: Month) -> str:
    """Return where the manifest of a span's evaluation lies."""
    return f"evaluations/{first}_{last}.json"


def find_evaluation(store: Store, first: Month, last: Month) -> EvaluationManifest | None:
    """Return the manifest of a span's evaluation, none if there is none.

    Raises
    ------
    IntegrityError
        If it is damaged, or another span's.
    """
    there = store.find(manifest_key(first, last))
    return None if there is None else _current(store, first, last, there[0])


def read_evaluation(store: Store, first: Month, last: Month) -> Evaluation:
    """Read a published evaluation; every object is checked against the manifest, every table against its columns.

    Raises
    ------
    StoreError
        If the span is not evaluated.
    IntegrityError
        If an object is missing or its bytes differ.
    """
    manifest = find_evaluation(store, first, last)
    if manifest is None:
        raise StoreError(f"{first} to {last} is not evaluated in {store.url('')}: run `deepfactor evaluate` first")
    objects = manifest.named_objects
    try:
        references = {name: objects[f"{name}.parquet"] for name in TABLES}
        inputs, told = store.read_json(objects["inputs.json"]), store.read_json(objects["summary.json"])
    except KeyError as error:
        raise IntegrityError(
            f"the manifest of the evaluation {first} to {last} names no {error}: it is of another version; evaluate "
            "again with --replace"
        ) from None
    frames = dict(zip(references, store.read_frames(list(references.values())), strict=True))
    checked = {name: TABLES[name].check(frame, references[name].key) for name, frame in frames.items()}
    return Evaluation(inputs=inputs, notes=tuple(told["notes"]), **checked)


def bodies(evaluation: Evaluation) -> dict[str, bytes]:
    """Return the objects of an evaluation by name; the same evaluation gives the same bytes."""
    return {
        **{f"{name}.parquet": frame_to_bytes(frame) for name, frame in evaluation.frames().items()},
        "summary.json": json_to_bytes(summary(evaluation)),
        "summary.md": summary_markdown(evaluation).encode(),
        "inputs.json": json_to_bytes(evaluation.inputs),
    }


def publish(
    store: Store, evaluation: Evaluation, objects: Mapping[str, bytes], seen: str | None, *, replace: bool = False
) -> EvaluationManifest:
    """Store an evaluation under ``evaluations/<id>/``, then write the span's manifest, conditionally and last.

    What other inputs gave before is replaced: more results are known now, or a month was published again.

    Parameters
    ----------
    store
        Where it goes.
    evaluation
        What is published.
    objects
        Its objects by name, as ``bodies`` gives them, and a report.
    seen
        Entity tag of the span's manifest before the months were read; none if there was none. So an evaluation that
        knows less cannot replace one that was written meanwhile.
    replace
        Whether an evaluation with other parameters, or one that knows more results, may be replaced.

    Raises
    ------
    PublicationConflict
        If such a one is there and may not be replaced.
    PublishedMeanwhile
        If another process was faster.
    IntegrityError
        If an object is not what was written.
    """
    prefix = f"evaluations/{evaluation.id}"
    references = [store.put_immutable(f"{prefix}/{name}", body) for name, body in objects.items()]
    manifest = EvaluationManifest(
        first=evaluation.first,
        last=evaluation.last,
        evaluation_id=evaluation.id,
        code_version=evaluation.inputs["code_version"],
        parameters=evaluation.inputs["parameters"],
        known=evaluation.performance["month"].n_unique(),
        named_objects=dict(zip(objects, references, strict=True)),
    )
    _commit(store, manifest, seen, replace=replace)
    return manifest


def _commit(store: Store, manifest: EvaluationManifest, seen: str | None, *, replace: bool) -> None:
    key, body = manifest_key(manifest.first, manifest.last), manifest.to_bytes()
    what = f"{manifest.first} to {manifest.last}"
    there = look(store, key)
    if there is not None and there[0] == body:
        _keep_copy(store, manifest)
        LOGGER.info("%s is evaluated already, as %s: nothing new", what, manifest.evaluation_id)
        return
    if there is not None:
        _make_way(store, there[0], manifest, what, replace=replace)
    if not store.honours_conditions():
        LOGGER.warning("%s ignores conditional writes: make sure that only one evaluation runs", store.url(""))
    try:
        store.commit(key, body, replacing=seen)
    except PublicationConflict:
        raise PublishedMeanwhile(
            f"another evaluation of {what} was published while this one was computed: evaluate again"
        ) from None
    _keep_copy(store, manifest)
    LOGGER.info("%s is evaluated as %s", what, manifest.evaluation_id)


def _make_way(store: Store, there: bytes, manifest: EvaluationManifest, what: str, *, replace: bool) -> None:
    """Keep what is about to be replaced, or refuse; a damaged one is replaced only on demand, like any other's."""
    try:
        before = _current(store, manifest.first, manifest.last, there)
    except IntegrityError as error:
        if not replace:
            raise
        LOGGER.warning("%s. Evaluation %s takes its place", error, manifest.evaluation_id)
        return
    if not replace:
        _check_replaceable(before, manifest, what)
    # Its publisher may have been killed before it wrote the copy.
    _keep_copy(store, before)


def _current(store: Store, first: Month, last: Month, body: bytes) -> EvaluationManifest:
    """Read what lies where the manifest of a span should."""
    where = store.url(manifest_key(first, last))
    manifest = EvaluationManifest.from_bytes(body, where)
    if (manifest.first, manifest.last) != (first, last):
        raise IntegrityError(
            f"{where} is the manifest of {manifest.first} to {manifest.last}: it was moved or overwritten; {_REMEDY}"
        )
    return manifest


def _keep_copy(store: Store, manifest: EvaluationManifest) -> None:
    """Write the copy by which an evaluation stays known when it is replaced."""
    store.put_immutable(f"evaluations/{manifest.evaluation_id}/manifest.json", manifest.to_bytes())


def _check_replaceable(before: EvaluationManifest, manifest: EvaluationManifest, what: str) -> None:
    if before.parameters != manifest.parameters:
        raise PublicationConflict(
            f"{what} is evaluated already with other parameters, {_told(before.parameters)} instead of "
            f"{_told(manifest.parameters)}; pass --replace to publish this one in its place"
        )
    if before.known > manifest.known:
        raise PublicationConflict(
            f"{what} is evaluated already, and the results known then were {before.known}, now {manifest.known}: "
            "name the delivery that knows the others with --source or --config, or pass --replace"
        )


def _told(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {figure(value)}" for name, value in sorted(parameters.items()))
