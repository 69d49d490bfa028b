"""One changed byte of anything that is published: it is named, no reader takes it, and running again mends it."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepfactor.cli import app
from deepfactor.config import Config
from deepfactor.errors import IntegrityError
from deepfactor.evaluating.evaluate import evaluate
from deepfactor.evaluating.results import read_evaluation
from deepfactor.monthly import run_month
from deepfactor.objects import Reference
from deepfactor.patience import Patience
from deepfactor.preservation.publications import read_publications
from deepfactor.preservation.verification import verify_publications
from deepfactor.publication import Manifest, copy_key, manifest_key, read_month, verify_month
from deepfactor.raw import read_raw
from deepfactor.runs import Run, raw_inputs, read_record
from deepfactor.stack import object_store
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.layout import Layout
from deepfactor.stack.object_store import Endpoint
from deepfactor.stack.state import read_state
from deepfactor.store import Store
from tests.conftest import AS_OF
from tests.evaluating.made_span import FIRST, publish_span
from tests.faults.behind import overwrite
from tests.faults.tally import Tally

pytestmark = pytest.mark.integration

_SEED = 20160430
_PORT = 16466
_FIRST = ("manifest", "steps/*.json", "raw/prices")


@dataclass(frozen=True)
class Kept:
    """An endpoint of one's own, and where its objects lie."""

    endpoint: Endpoint
    objects: Path

    def file(self, store: Store, key: str) -> Path:
        """Return the file that holds an object."""
        return next(self.objects.glob(f"*/{store.bucket}/{store._full(key)}"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """The endpoint."""
    layout = Layout(tmp_path_factory.mktemp("kept"))
    layout.create()
    started, state = object_store.start(layout, ensure_credentials(layout), read_state(layout), preferred=_PORT)
    yield Kept(started, layout.objects)
    object_store.stop(layout, state)


@pytest.fixture(scope="module")
def config(small_config: Config, cases: Callable[[int, int], int]) -> Config:
    """Two models, one of them a network, which takes longest; the short form is content with the other."""
    models = ("linear", "dfm1")[: cases(2, 1)]
    return replace(small_config, models=models, signal_model=models[-1])


@pytest.fixture(scope="module")
def month_store(kept: Kept) -> Store:
    """Where the month is published."""
    return _impatient(kept, f"month-{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def manifest(month_store: Store, config: Config) -> Manifest:
    """The published month."""
    return run_month(AS_OF, month_store, config, after=_silent)


def test_any_byte_of_a_month(
    kept: Kept,
    month_store: Store,
    manifest: Manifest,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    tally: Callable[[str], Tally],
    cases: Callable[[int, int], int],
) -> None:
    monkeypatch.setenv("DEEPFACTOR_STORE", month_store.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", kept.endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", kept.endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", kept.endpoint.credentials.secret_key)
    chance = random.Random(_SEED)
    kinds = _kinds(manifest)
    pinned = {each.key: each for each in (*manifest.objects, *manifest.inputs)}
    count = tally("a byte of a published month is changed")
    # The short form takes the first of them.
    order = [*_FIRST, *sorted(kinds.keys() - set(_FIRST))]
    for number in range(cases(200, len(_FIRST))):
        key = chance.choice(kinds[order[number % len(order)]])
        with count.case(f"case {number} of seed {_SEED}, {key}"):
            _damage(kept, month_store, key, chance, on_disk=number % 2 == 0)
            assert _named(month_store) == {key}
            # The command reads as slowly as a patient store does.
            assert number % 20 or _told_by_command() == {key}
            _refused(month_store, manifest, key, pinned.get(key))
            assert run_month(AS_OF, month_store, config, after=_silent) == manifest
            assert verify_month(month_store, AS_OF) == manifest
            count.ended("named, refused and mended")


def test_any_byte_of_an_evaluation(kept: Kept, tally: Callable[[str], Tally], cases: Callable[[int, int], int]) -> None:
    store = _impatient(kept, f"evaluation-{secrets.token_hex(4)}")
    publish_span(store, FIRST, FIRST + 2)
    _, manifest = evaluate(store, FIRST, FIRST + 1)
    before = store.etags("evaluations/")
    keys = sorted(before)
    chance = random.Random(_SEED)
    count = tally("a byte of an evaluation is changed")
    for number in range(cases(50, 2)):
        key = keys[-1 - number] if number < len(keys) else chance.choice(keys)
        with count.case(f"case {number} of seed {_SEED}, {key}"):
            _damage(kept, store, key, chance, on_disk=number % 2 == 0)
            assert _named(store) == {key}
            if key.endswith((".parquet", "summary.json", "inputs.json")) or key.count("/") == 1:
                with pytest.raises(IntegrityError, match=key):
                    read_evaluation(store, FIRST, FIRST + 1)
            current = key.count("/") == 1
            assert evaluate(store, FIRST, FIRST + 1, replace=current)[1] == manifest
            assert _named(store) == set()
            assert store.etags("evaluations/") == before
            count.ended("named, refused and mended")


def _kinds(manifest: Manifest) -> dict[str, list[str]]:
    """Return the keys of everything that belongs to a month, by kind: where it lies, without digits and names."""
    kinds = {"manifest": [manifest_key(manifest.month)], "copy": [copy_key(manifest)]}
    for reference in manifest.inputs:
        kinds.setdefault("/".join(reference.key.split("/")[:2]), []).append(reference.key)
    for name, reference in manifest.named_objects.items():
        kind = name if "/" not in name else f"{name.split('/')[0]}/*{Path(name).suffix}"
        kinds.setdefault(kind, []).append(reference.key)
    return kinds


def _damage(kept: Kept, store: Store, key: str, chance: random.Random, *, on_disk: bool) -> None:
    """Change one byte of an object, on the endpoint's disk or by writing to its key."""
    body = bytearray(store.get(key))
    body[chance.randrange(len(body))] ^= chance.randint(1, 255)
    if on_disk:
        kept.file(store, key).write_bytes(body)
    else:
        overwrite(store, key, bytes(body))


def _named(store: Store) -> set[str]:
    """Return what is damaged of all that is published."""
    publications, damaged = read_publications(store)
    return {each.key for each in (*damaged, *verify_publications(store, publications))}


def _told_by_command() -> set[str]:
    """Return what ``deepfactor verify --all`` names."""
    result = CliRunner().invoke(app, ["verify", "--all", "--json"], catch_exceptions=False)
    damaged = {each["key"] for each in json.loads(result.stdout)["damaged"]}
    assert result.exit_code == bool(damaged)
    return damaged


def _impatient(kept: Kept, prefix: str) -> Store:
    """Return a store in which what is not as it should be is read again at once."""
    store = kept.endpoint.open()
    return Store(store._client, store.bucket, prefix, Patience(pause=0.0))


def _refused(store: Store, manifest: Manifest, key: str, reference: Reference | None) -> None:
    """Read what is damaged as its readers do; each must name it."""
    run = Run(manifest.month, manifest.run_id)
    readers: list[Callable[[], object]] = [lambda: verify_month(store, AS_OF)]
    if reference is not None:
        readers.append(lambda: store.read(reference))
    if key == manifest_key(AS_OF):
        readers.append(lambda: read_month(store, AS_OF))
    if key == run.key("inputs.json"):
        readers.append(lambda: raw_inputs(run, store))
    if key.startswith(run.key("steps/")):
        readers.append(lambda: read_record(run, store, Path(key).stem))
    if key.startswith("raw/"):
        readers.append(lambda: read_raw(raw_inputs(run, store), store))
    if key.removeprefix(run.key("")) in _SHOWN:
        readers.append(lambda: read_month(store, AS_OF))
    for reader in readers:
        with pytest.raises(IntegrityError, match=key):
            reader()


_SHOWN = ("signals.parquet", "ledger.parquet", "shares.parquet", "gates.json", "validation/verdict.json")


def _silent(_step: str, _seconds: float) -> None:
    return
