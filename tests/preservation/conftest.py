"""A store with two months, one of them published twice, and an evaluation that was replaced."""

from __future__ import annotations

import json

import pytest

from deepfactor.committing import commit
from deepfactor.evaluating.results import EvaluationManifest
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.patience import Patience
from deepfactor.publication import Manifest
from deepfactor.store import Store


def month_manifest(store: Store, month: str, run_id: str) -> Manifest:
    """Store what a run makes, and return its manifest."""
    prefix = f"runs/{month}/{run_id}"
    raw = store.put_immutable("raw/prices/2016-01/1f.parquet", b"both months read this")
    named = {name: store.put(f"{prefix}/{name}", f"{run_id} {name}".encode()) for name in ("a.json", "b/c.json")}
    store.put(f"{prefix}/steps/train.json", b"the record of a step")
    return Manifest(Month.parse(month), run_id, "linear", "0.1.0", "0" * 64, {}, (raw,), named)


def evaluation_manifest(store: Store, identifier: str, known: int) -> EvaluationManifest:
    """Store what an evaluation consists of, and return its manifest."""
    body = json.dumps({"known": known}).encode()
    named = {"summary.json": store.put(f"evaluations/{identifier}/summary.json", body)}
    return EvaluationManifest(Month.parse("2016-01"), Month.parse("2016-02"), identifier, "0.1.0", {}, known, named)


def put_evaluation(store: Store, manifest: EvaluationManifest) -> None:
    """Write both manifests of an evaluation."""
    store.put(f"evaluations/{manifest.first}_{manifest.last}.json", manifest.to_bytes())
    store.put(f"evaluations/{manifest.evaluation_id}/manifest.json", manifest.to_bytes())


@pytest.fixture
def kept(store: Store) -> Store:
    """Return the store, filled; what is not as it should be is read again at once."""
    store = Store(store._client, store.bucket, store.prefix, Patience(pause=0.0))
    for month, run_id in (("2016-01", "aa01"), ("2016-02", "bb02"), ("2016-02", "cc03")):
        commit(store, month_manifest(store, month, run_id), replace=True)
    for identifier, known in (("e1", 1), ("e2", 2)):
        put_evaluation(store, evaluation_manifest(store, identifier, known))
    return store


def overwrite(store: Store, key: str, body: bytes) -> None:
    """Write past every check."""
    store._client.put_object(Bucket=store.bucket, Key=store._full(key), Body=body)


def remove(store: Store, key: str) -> None:
    """Delete an object."""
    store._client.delete_object(Bucket=store.bucket, Key=store._full(key))


def reference(store: Store, key: str) -> Reference:
    """Return an object as it is now."""
    return Reference.to(key, store.get(key))
