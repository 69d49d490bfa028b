"""A publication before a store that tells of the past: never over another's without being asked, and never half."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest

from deepfactor.committing import commit
from deepfactor.errors import DeepfactorError
from deepfactor.patience import Patience
from deepfactor.publication import Manifest, manifest_key, read_manifest, verify_month
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.conftest import AS_OF
from tests.faults.plan import Fault, Plan, Rule
from tests.faults.proxy import Proxy, proxied
from tests.faults.tally import Tally

PATIENCE = Patience(connect=2, silence=5, attempt=10, attempts=3, pause=0.001)
FIRST, SECOND, OURS = ("1" * 16, "2" * 16, "3" * 16)


@dataclass(frozen=True)
class Situation:
    """What was published before, one run after the other, and whether ours may replace it."""

    before: tuple[str, ...]
    replace: bool

    def allows(self) -> bool:
        return self.replace or not self.before or self.before[-1] == OURS


SITUATIONS = [
    Situation(before, may)
    for before in ((), (OURS,), (FIRST,), (FIRST, SECOND), (OURS, FIRST), (FIRST, OURS))
    for may in (False, True)
]
WHERE = "(GET|HEAD) .*(manifest|probes)"
RULES = [
    Rule(Fault.STALE, WHERE),
    Rule(Fault.STALE, WHERE, odd=True),
    *(Rule(Fault.STALE, WHERE, first=first, last=last) for first in range(1, 7) for last in (first, first + 1)),
    *(Rule(Fault.STALE, WHERE, share=0.5, first=first) for first in (1, 2)),
]


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    with proxied(endpoint) as running:
        yield running


def test_the_manifest_is_read_as_it_was(
    proxy: Proxy, bucket: Store, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    count = tally("a publication: manifests are read as they were before")
    through = proxy.open(PATIENCE)
    every = list(product(SITUATIONS, RULES))
    for number, (situation, rule) in enumerate(every[:: cases(1, 29)]):
        place = secrets.token_hex(6)
        with count.case(f"{situation}, {rule}, seed {number}"):
            plan = Plan(rule, seed=number)
            count.ended(_outcome(situation, plan, proxy, through.below(place), bucket.below(place)))


def _outcome(situation: Situation, plan: Plan, proxy: Proxy, wrong: Store, real: Store) -> str:
    made = {"signals.parquet": real.put("runs/signals.parquet", b"what all of them made")}
    manifest = Manifest(AS_OF, OURS, "linear", "1", "2", {}, (real.put("raw/prices", b"raw"),), made)
    proxy.begin(Plan())
    for run_id in situation.before:
        # Through the proxy, which remembers what was there before the last of them.
        proxy.begin(Plan())
        assert commit(wrong, replace(manifest, run_id=run_id), replace=True)
    before = real.find(manifest_key(AS_OF))
    proxy.plan = plan
    try:
        new = commit(wrong, manifest, replace=situation.replace)
        outcome = "published" if new else "published before"
    except DeepfactorError as error:
        assert "s3://" in str(error) or "published as run" in str(error), error
        new, outcome = False, f"refused ({type(error).__name__})"
    finally:
        proxy.heal()
    there = real.find(manifest_key(AS_OF))
    ours = there is not None and there[0] == manifest.to_bytes()
    assert ours or there == before, "neither ours nor what was there"
    assert ours or not new, "said to be published, and is not"
    assert not ours or situation.allows(), "another's was replaced without being asked"
    if outcome == "published before" and not ours:
        outcome = "took the past for the present, and wrote nothing"
    if there is not None and outcome in ("published", "published before"):
        verify_month(real, AS_OF)
    if situation.allows():
        commit(real, manifest, replace=situation.replace)
        assert verify_month(real, AS_OF) == manifest
    else:
        assert read_manifest(real, AS_OF).run_id == situation.before[-1]
    return outcome
