"""Publishers of one month at the same time: one manifest, and whoever lost knows it, and why."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import cast

import pytest

from deepfactor.address import StoreAddress
from deepfactor.committing import commit
from deepfactor.config import Config
from deepfactor.errors import IntegrityError, PublicationConflict
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.publication import Manifest, copy_key, find_manifest, manifest_key, verify_month
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.conftest import AS_OF
from tests.faults.behind import overwrite, remove
from tests.faults.month_process import Runner
from tests.faults.tally import Tally

pytestmark = pytest.mark.integration

_SEED = 20160331
# About as long as a commit takes, so that each of its calls meets each of the other's.
_JITTER = 0.04


@dataclass(frozen=True)
class Race:
    """What two publishers find and may do.

    Attributes
    ----------
    there
        The run that is published before, or none.
    copied
        Whether that one's publisher has lived to write the copy of its manifest.
    runs
        The two runs.
    replaces
        Whether each may replace another's.
    """

    there: str | None
    copied: bool
    runs: tuple[str, str]
    replaces: tuple[bool, bool]


RACES = (
    Race(None, True, ("a1", "b2"), (False, False)),
    Race(None, True, ("a1", "a1"), (False, False)),
    Race("c3", True, ("a1", "b2"), (True, True)),
    Race("c3", False, ("a1", "b2"), (True, False)),
    Race(None, True, ("a1", "b2"), (True, True)),
    Race("a1", False, ("a1", "b2"), (False, True)),
    Race("c3", True, ("a1", "a1"), (True, True)),
    Race("c3", False, ("a1", "b2"), (True, True)),
    Race("c3", True, ("a1", "b2"), (False, False)),
)


class Attentive(Store):
    """A store that remembers what was replaced by the manifests that were written through it."""

    replaced: list[str | None]

    def commit(self, key: str, body: bytes, replacing: str | None = None) -> Reference:
        reference = super().commit(key, body, replacing)
        if key == manifest_key(AS_OF):
            self.replaced.append(replacing)
        return reference


class Publishers:
    """Two publishers, each with a connection of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._buckets = (endpoint.open(), endpoint.open())

    def publish(
        self, prefix: str, manifests: tuple[Manifest, Manifest], replaces: tuple[bool, bool], waits: tuple[float, float]
    ) -> list[PublicationConflict | bool]:
        """Let both publish at the same time, and return whether each has, or what it was told."""
        barrier = threading.Barrier(2)
        replaced: list[str | None] = []

        def one(number: int) -> PublicationConflict | bool:
            barrier.wait()
            time.sleep(waits[number])
            try:
                store = Attentive(self._buckets[number]._client, self._buckets[number].bucket, prefix)
                store.replaced = replaced
                return commit(store, manifests[number], replace=replaces[number])
            except PublicationConflict as error:
                return error

        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(one, range(2)))
        # Nobody replaces what he has not seen; the same may be written twice.
        assert len(set(replaced)) == len(replaced) or manifests[0] == manifests[1]
        return told


@pytest.fixture(scope="module")
def publishers(endpoint: Endpoint) -> Publishers:
    """The publishers of all races."""
    return Publishers(endpoint)


def test_two_publishers_of_a_month(
    publishers: Publishers, bucket: Store, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    counts = {same: tally(f"two publishers of a month, {what}") for same, what in _KINDS.items()}
    chance = random.Random(_SEED)
    for number in range(cases(180, 12)):
        race = RACES[number % len(RACES)]
        waits = (chance.random() * _JITTER, chance.random() * _JITTER)
        count = counts[race.runs[0] == race.runs[1]]
        with count.case(f"case {number} of seed {_SEED}, {race}"):
            prefix = f"race-{secrets.token_hex(6)}"
            store = bucket.below(prefix)
            manifests = {run: _manifest(store, run) for run in {*race.runs, race.there} if run is not None}
            if race.there is not None:
                commit(store, manifests[race.there], replace=False)
            if not race.copied:
                remove(store, f"runs/{AS_OF}/{race.there}/manifest.json")
            told = publishers.publish(
                prefix, cast("tuple[Manifest, Manifest]", tuple(manifests[run] for run in race.runs)),
                race.replaces, waits,
            )  # fmt: skip
            count.ended(_judged(store, race, manifests, told))


_KINDS = {False: "different inputs", True: "the same inputs"}


def _judged(store: Store, race: Race, manifests: dict[str, Manifest], told: list[PublicationConflict | bool]) -> str:
    """Check what must hold after a race, and tell how it ended."""
    final = verify_month(store, AS_OF)
    assert final == manifests[final.run_id]
    published = {run for run, what in zip(race.runs, told, strict=True) if not isinstance(what, PublicationConflict)}
    assert final.run_id in published or final.run_id == race.there
    if len(published) == 2:
        assert race.replaces[race.runs.index(final.run_id)]
    for run, may_replace, what in zip(race.runs, race.replaces, told, strict=True):
        if isinstance(what, PublicationConflict):
            others = {race.there, *race.runs} - {run, None}
            assert str(AS_OF) in str(what)
            assert f"this run {run}" in str(what)
            assert any(f"as run {other}" in str(what) for other in others)
            assert "--replace" in str(what)
            assert race.runs[0] != race.runs[1]
        elif race.there not in (None, run):
            assert may_replace
    # Whatever has been published stays known, and nothing else does.
    known = published | ({race.there} if race.there is not None else set())
    for run, manifest in manifests.items():
        if run in known:
            assert store.get(copy_key(manifest)) == manifest.to_bytes()
        elif store.exists(copy_key(manifest)):
            assert race.replaces[0]
            assert race.replaces[1]
    if len(published) == 1 and race.runs[0] != race.runs[1]:
        return "one is published, the other is told by whom"
    if not published:
        return "both are told who has published before"
    same = race.runs[0] == race.runs[1]
    return "both have published the same" if same else "one replaced the other, which is known by its copy"


def test_two_processes_run_the_whole_month(
    endpoint: Endpoint,
    bucket: Store,
    small_config: Config,
    tmp_path_factory: pytest.TempPathFactory,
    tally: Callable[[str], Tally],
    cases: Callable[[int, int], int],
) -> None:
    if not cases(1, 0):
        pytest.skip("half an hour: only with DEEPFACTOR_FAULTS=full; publishers race in the test above")
    models = ("linear", "dfm1")
    config = replace(small_config, models=models, signal_model=models[-1])
    other = replace(config, gates=replace(config.gates, maximum_absolute_prediction=0.9))
    keys = endpoint.credentials
    for number in range(20):
        same = number % 2 == 0
        count = tally(f"two processes run a month, {_KINDS[same]}")
        with count.case(f"case {number}"):
            store = bucket.below(f"together-{secrets.token_hex(6)}")
            address = StoreAddress(store.url("").rstrip("/"), endpoint.url, keys.access_key, keys.secret_key)
            runner = Runner(address, AS_OF, tmp_path_factory.mktemp("together"))
            endings = runner.run_together([config, config if same else other])
            manifest = verify_month(store, AS_OF)
            failed = [each.error for each in endings if each.error]
            if same:
                assert failed == []
                count.ended("both have published the same")
                continue
            assert len(failed) == 1
            assert failed[0].startswith("PublicationConflict: 2016-02 ")
            assert manifest.run_id in failed[0]
            assert "--replace" in failed[0]
            count.ended("one is published, the other is told by whom")


def test_a_damaged_manifest_is_raced_for_like_another_runs(publishers: Publishers, store: Store, bucket: Store) -> None:
    manifests = (_manifest(store, "a1"), _manifest(store, "b2"))
    overwrite(store, manifest_key(AS_OF), b"{")
    prefix = store.prefix
    with pytest.raises(IntegrityError, match="run the month again with --replace"):
        publishers.publish(prefix, manifests, (False, False), (0.0, 0.0))
    told = publishers.publish(prefix, manifests, (True, True), (0.0, 0.0))
    assert not all(isinstance(each, PublicationConflict) for each in told)
    assert find_manifest(bucket.below(prefix), AS_OF) in manifests


def _manifest(store: Store, run_id: str) -> Manifest:
    """Store what a run makes, and return its manifest."""
    raw = store.put_immutable("raw/prices/2016-02/1f.parquet", b"all runs read this")
    folder = f"runs/{AS_OF}/{run_id}"
    named = {name: store.put(f"{folder}/{name}", f"{run_id} {name}".encode()) for name in ("a.json", "b/c.json")}
    return Manifest(Month.parse("2016-02"), run_id, "linear", "0.1.0", "0" * 64, {"stocks": 7}, (raw,), named)
