"""Each call of a store before an endpoint that answers wrongly: right in the end, or refused clearly, and in time."""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from deepfactor.errors import DeepfactorError, PublicationConflict
from deepfactor.objects import Reference
from deepfactor.patience import Patience
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.faults.plan import Fault, Plan, Rule
from tests.faults.proxy import Proxy, proxied
from tests.faults.tally import Tally

PATIENCE = Patience(connect=1.0, silence=0.4, attempt=1.0, attempts=5, pause=0.002)
# A put makes six calls at most, a probe three commits' worth; each call ends after five attempts.
LIMIT = 60.0

KEY = "folder/object"
OLD, NEW = b"old " * 300, b"new " * 400


@dataclass(frozen=True)
class Work:
    """Something that is done with a store.

    Attributes
    ----------
    name
        For people.
    before
        What lies at the key before.
    act
        Does it; given the store and the key.
    after
        What lies there after, if it was done.
    """

    name: str
    before: bytes | None
    act: Callable[[Store, str], object]
    after: bytes | None


def _commit_over(store: Store, key: str) -> object:
    found = store.find(key)
    return store.commit(key, NEW, replacing=None if found is None else found[1])


WORKS = (
    Work("put a new object", None, lambda store, key: store.put(key, NEW), NEW),
    Work("put over an object", OLD, lambda store, key: store.put(key, NEW), NEW),
    Work("put what is there", NEW, lambda store, key: store.put_immutable(key, NEW), NEW),
    Work("commit", None, lambda store, key: store.commit(key, NEW), NEW),
    Work("commit again", NEW, lambda store, key: store.commit(key, NEW), NEW),
    Work("replace", OLD, _commit_over, NEW),
    Work("read", OLD, lambda store, key: store.read(Reference.to(key, OLD)), OLD),
    Work("get", OLD, lambda store, key: store.get(key), OLD),
    Work("find nothing", None, lambda store, key: store.find(key), None),
    Work("look", OLD, lambda store, key: store.etag(key), OLD),
    Work("list", OLD, lambda store, key: store.list(key), OLD),
    Work("probe", None, lambda store, _: store.honours_conditions(), None),
)
# What the store says could be true, and nothing that is known contradicts it.
UNCHECKED = {
    (Fault.STALE, "get"),
    (Fault.STALE, "look"),
    (Fault.STALE, "list"),
    (Fault.STALE, "replace"),
    (Fault.OTHER, "get"),
    (Fault.OTHER, "replace"),
    (Fault.OTHER, "commit again"),
}


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    with proxied(endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def through(proxy: Proxy) -> Store:
    return proxy.open(PATIENCE)


@pytest.fixture(scope="module")
def methods(proxy: Proxy, through: Store, bucket: Store) -> dict[str, Counter[str]]:
    """What each work asks of a store that answers well."""
    asked = {}
    for work in WORKS:
        wrong, _ = _prepare(work, proxy, through, bucket)
        work.act(wrong, KEY)
        asked[work.name] = Counter(call.method for call in proxy.calls)
    return asked


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_each_work_before_each_fault(
    fault: Fault,
    proxy: Proxy,
    through: Store,
    bucket: Store,
    methods: dict[str, Counter[str]],
    tally: Callable[[str], Tally],
    cases: Callable[[int, int], int],
) -> None:
    """Where every second attempt succeeds, and where none does from the first, second, third call on."""
    count = tally(f"a call: the store {fault.words}")
    chosen = [
        (work, rule)
        for work in WORKS
        for number in [sum(methods[work.name][each] for each in fault.methods)]
        for rule in [Rule(fault, odd=True), *(Rule(fault, first=first + 1) for first in range(number))]
        if number
    ]
    random.Random(fault.name).shuffle(chosen)
    for work, rule in chosen[: cases(len(chosen), 1)]:
        with count.case(f"{work.name}, {rule}"):
            count.ended(_outcome(work, rule, proxy, through, bucket))


def _prepare(work: Work, proxy: Proxy, through: Store, bucket: Store) -> tuple[Store, Store]:
    """Return a store with what lies there before, through the proxy and past it."""
    place = secrets.token_hex(6)
    wrong, real = through.below(place), bucket.below(place)
    real.put("folder/other", b"another " * 200)
    if work.before is not None:
        real.put(KEY, work.before)
    proxy.begin(Plan())
    # What it has read before it can mix up.
    wrong.get("folder/other")
    proxy.begin(Plan())
    return wrong, real


def _outcome(work: Work, rule: Rule, proxy: Proxy, through: Store, bucket: Store) -> str:
    wrong, real = _prepare(work, proxy, through, bucket)
    proxy.begin(Plan(rule))
    started = time.monotonic()
    try:
        result = work.act(wrong, KEY)
        outcome = "right" if proxy.caused else "not met"
    except DeepfactorError as error:
        assert f"s3://{real.bucket}" in str(error), error
        assert ";" in str(error) or isinstance(error, PublicationConflict), error
        result, outcome = error, "refused clearly"
    assert time.monotonic() - started < LIMIT
    proxy.plan = Plan()
    there = _body(real, KEY)
    assert there in (work.before, work.after)
    unchecked = (rule.fault, work.name) in UNCHECKED
    if not isinstance(result, DeepfactorError):
        assert there == work.after, "done, and not there"
        assert unchecked or result == work.act(real, KEY), f"{result!r} was wrong"
    elif rule.odd and not unchecked and rule.fault is not Fault.STALE:
        raise AssertionError(f"the second attempt would have succeeded: {result}")
    work.act(wrong, KEY)
    assert _body(real, KEY) == work.after
    proxy.healed.set()
    return outcome


def _body(store: Store, key: str) -> bytes | None:
    found = store.find(key)
    return None if found is None else found[0]
