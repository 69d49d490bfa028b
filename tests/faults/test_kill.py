"""``kill -9`` of the process that runs a month: the next run publishes what an undisturbed one publishes."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from deepfactor.address import StoreAddress
from deepfactor.config import Config
from deepfactor.publication import copy_key, find_manifest, manifest_key, verify_month
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store, verify_all
from tests.conftest import AS_OF
from tests.faults.behind import lasting, remove_runs
from tests.faults.month_process import Call, Ending, Moment, Runner, steps
from tests.faults.tally import Tally

pytestmark = pytest.mark.integration

_SEED = 20160229
# In a step that publishes: from the probe of the endpoint to the copy of the manifest.
_LAST_CALLS = 9


@pytest.fixture(scope="module")
def config(small_config: Config, cases: Callable[[int, int], int]) -> Config:
    """Two models, one of them a network, which takes longest; the short form is content with the other."""
    models = ("linear", "dfm1")[: cases(2, 1)]
    return replace(small_config, models=models, signal_model=models[-1])


@pytest.fixture(scope="module")
def place(bucket: Store) -> Store:
    """Where all of these months are run."""
    return bucket.below(f"killed-{secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def runner(endpoint: Endpoint, place: Store, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """What starts the processes."""
    keys = endpoint.credentials
    address = StoreAddress(place.url("").rstrip("/"), endpoint.url, keys.access_key, keys.secret_key)
    return Runner(address, AS_OF, tmp_path_factory.mktemp("killed"))


def test_a_killed_run_is_taken_up_by_the_next(
    place: Store, runner: Runner, config: Config, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    undisturbed = runner.run(config)
    assert undisturbed.error == ""
    expected, keys = place.get(manifest_key(AS_OF)), lasting(place)
    chance = random.Random(_SEED)
    counts: dict[str, Tally] = {}
    for number in range(cases(100, 2)):
        moment = _moment(number, undisturbed, steps(config), chance)
        if moment.step not in counts:
            counts[moment.step] = tally(f"kill -9 in {moment.step}")
        count = counts[moment.step]
        with count.case(f"case {number} of seed {_SEED}, {moment}"):
            remove_runs(place, raw=moment.step == "ingest")
            ending = runner.run(config, moment)
            assert ending.error == ""
            state = _state(place, expected)
            count.ended(state if ending.killed else f"over before, {state}")
            assert runner.run(config).error == ""
            assert place.get(manifest_key(AS_OF)) == expected
            assert verify_month(place, AS_OF).to_bytes() == expected
            assert lasting(place) == keys
    assert set(counts) == set(steps(config)) or cases(0, 1)


def _state(store: Store, expected: bytes) -> str:
    """Tell what a killed process has left, which is whole if it is published."""
    manifest = find_manifest(store, AS_OF)
    if manifest is None:
        return "not published"
    assert manifest.to_bytes() == expected
    verify_all(store, [*manifest.objects, *manifest.inputs])
    return "published" if store.exists(copy_key(manifest)) else "published without its copy"


def _moment(number: int, undisturbed: Ending, order: Sequence[str], chance: random.Random) -> Moment:
    """Choose when to kill: each step in turn, and within it a call or a time.

    Every other call is one of the last of its step, around the record that makes it done, or around the manifest.
    """
    # The short form takes the first of these.
    turn = ("publish", order[-4], "publish", "ingest", "attribute", "publish", *order)
    step = turn[number] if number < len(turn) else order[number % len(order)]
    calls = [each for each in undisturbed.calls if each.step == step]
    if step != "publish" and number % 3 == 1:
        assert undisturbed.seconds is not None
        return Moment(step, "while it works", seconds=chance.random() * undisturbed.seconds[step])
    call = chance.randint(1, len(calls))
    if number % 2 == 0:
        last = _LAST_CALLS if step == "publish" else 4
        call = len(calls) - chance.randrange(last)
    if number == 0:
        call = _committing(calls)
        return Moment(step, "after a call", call)
    return Moment(step, chance.choice(["before a call", "after a call"]), call)


def _committing(calls: Sequence[Call]) -> int:
    """Return the number of the call that writes the manifest."""
    return next(i for i, each in enumerate(calls, 1) if each.method == "PUT" and each.key.startswith("manifests/"))
