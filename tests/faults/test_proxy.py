"""The proxy itself: each fault is what its name says, and a plan chooses the same calls again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.patience import Patience
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.faults.plan import Call, Fault, Plan, Rule
from tests.faults.proxy import Proxy, proxied

BODY = b"what was written " * 100
KEY = "folder/object"


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    with proxied(endpoint) as running:
        yield running


class Bare:
    """A client without deepfactor's care."""

    def __init__(self, proxy: Proxy, bucket: Store) -> None:
        self.real = bucket.below(secrets.token_hex(6))
        self.real.put(KEY, BODY)
        proxy.heal()
        self._client = proxy.open(Patience(silence=0.3))._client

    @property
    def place(self) -> dict[str, str]:
        return {"Bucket": self.real.bucket, "Key": f"{self.real.prefix}/{KEY}"}

    def get(self) -> bytes:
        return self._client.get_object(Bucket=self.place["Bucket"], Key=self.place["Key"])["Body"].read()

    def put(self, body: bytes) -> int:
        answer = self._client.put_object(Bucket=self.place["Bucket"], Key=self.place["Key"], Body=body)
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    def list(self) -> list[str]:
        answer = self._client.list_objects_v2(Bucket=self.real.bucket, Prefix=f"{self.real.prefix}/")
        return [each["Key"] for each in answer.get("Contents", [])]


@pytest.fixture
def bare(proxy: Proxy, bucket: Store) -> Bare:
    return Bare(proxy, bucket)


def test_without_a_plan_everything_passes(proxy: Proxy, bare: Bare) -> None:
    proxy.begin(Plan())
    assert bare.get() == BODY
    assert bare.put(b"new") == 200
    assert bare.get() == bare.real.get(KEY) == b"new"
    assert bare.list() == [f"{bare.real.prefix}/{KEY}"]
    assert [each.method for each in proxy.calls] == ["GET", "PUT", "GET", "LIST"]
    assert not proxy.caused


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.ERROR, 500), (Fault.EMPTY_ERROR, 503), (Fault.SLOW_DOWN, 503), (Fault.ERROR_PAGE, 503)],
)
def test_errors(fault: Fault, status: int, proxy: Proxy, bare: Bare) -> None:
    proxy.begin(Plan(Rule(fault)))
    with pytest.raises(ClientError) as caught:
        bare.put(b"new")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert bare.real.get(KEY) == BODY
    assert proxy.caused == {fault: 1}


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (Fault.RESET_BEFORE, ConnectionClosedError),
        (Fault.RESET_AFTER, ConnectionClosedError),
        (Fault.STALL, ReadTimeoutError),
        (Fault.STALL_IN_BODY, ReadTimeoutError),
        (Fault.CUT, (IncompleteReadError, ResponseStreamingError)),
        (Fault.CUT_CHUNKED, ResponseStreamingError),
    ],
)
def test_broken_answers(fault: Fault, raised: type[Exception], proxy: Proxy, bare: Bare) -> None:
    proxy.begin(Plan(Rule(fault)))
    with pytest.raises(raised):
        bare.get()


@pytest.mark.parametrize(("fault", "there"), [(Fault.RESET_BEFORE, BODY), (Fault.RESET_AFTER, b"new")])
def test_what_a_reset_leaves(fault: Fault, there: bytes, proxy: Proxy, bare: Bare) -> None:
    proxy.begin(Plan(Rule(fault)))
    with pytest.raises(HTTPClientError):
        bare.put(b"new")
    assert bare.real.get(KEY) == there


def test_a_body_of_unknown_length_is_cut_unseen(proxy: Proxy, bare: Bare) -> None:
    """But for the checksum, which not every store has."""
    short = 0
    for seed in range(20):
        proxy.begin(Plan(Rule(Fault.CUT_CLOSED), seed=seed))
        try:
            body = bare.get()
        except FlexibleChecksumError:
            continue
        assert BODY.startswith(body)
        short += len(body) < len(BODY)
    assert 0 < short < 20


def test_a_bit_is_changed_unseen(proxy: Proxy, bare: Bare) -> None:
    changed = 0
    for seed in range(20):
        proxy.begin(Plan(Rule(Fault.FLIP), seed=seed))
        try:
            body = bare.get()
        except FlexibleChecksumError:
            continue
        assert sum((one ^ other).bit_count() for one, other in zip(body, BODY, strict=True)) == 1
        changed += 1
    assert 0 < changed < 20


def test_a_write_is_lost(proxy: Proxy, bare: Bare) -> None:
    proxy.begin(Plan(Rule(Fault.LOSE)))
    assert bare.put(b"new") == 200
    assert bare.get() == bare.real.get(KEY) == BODY


def test_reads_of_what_was_before(proxy: Proxy, bare: Bare) -> None:
    proxy.begin(Plan(Rule(Fault.STALE)))
    bare.put(b"new")
    bare.put(b"newer")
    assert bare.get() == BODY
    assert bare.real.get(KEY) == b"newer"
    bare.real._calls.delete(f"{bare.real.prefix}/{KEY}")
    proxy.begin(Plan(Rule(Fault.STALE)))
    bare.put(b"new")
    with pytest.raises(ClientError, match="NoSuchKey"):
        bare.get()
    assert bare.list() == []


def test_a_listing_lacks_what_is_there(proxy: Proxy, bare: Bare) -> None:
    for number in range(4):
        bare.real.put(f"folder/{number}", b"")
    proxy.begin(Plan(Rule(Fault.STALE)))
    assert len(bare.list()) == 2


def test_another_object_is_read(proxy: Proxy, bare: Bare) -> None:
    bare.real.put("folder/other", b"another")
    proxy.read.clear()
    proxy.begin(Plan(Rule(Fault.OTHER)))
    assert bare.get() == BODY
    assert proxy.open(Patience()).below(bare.real.prefix).get("folder/other") == BODY


@given(seed=st.integers(0, 1000), keys=st.lists(st.sampled_from("abc"), min_size=1, max_size=40), data=st.data())
def test_whatever_the_order_the_same_calls_meet_it(seed: int, keys: list[str], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(keys))

    def met(order: list[str]) -> list[tuple[str, int]]:
        plan = Plan(Rule(Fault.ERROR, share=0.5), seed=seed)
        numbers = dict.fromkeys(order, 0)
        found = []
        for key in order:
            numbers[key] += 1
            if plan.meets(Call("GET", key))[0] is not None:
                found.append((key, numbers[key]))
        return sorted(found)

    assert met(keys) == met(list(shuffled))


def test_rules() -> None:
    plan = Plan(Rule(Fault.LOSE, where="^PUT a", first=2, last=3), Rule(Fault.CUT, odd=True))
    asked = [
        Call("PUT", "a"),
        Call("GET", "a"),
        Call("PUT", "ab"),
        Call("GET", "a"),
        Call("PUT", "a"),
        Call("PUT", "a"),
    ]
    assert [plan.meets(each)[0] for each in asked] == [None, Fault.CUT, Fault.LOSE, None, Fault.LOSE, None]


def test_a_fault_that_stays() -> None:
    plan = Plan(Rule(Fault.CUT, where="^GET b", first=2, stays=True))
    asked = [Call("GET", "b"), Call("GET", "a"), Call("GET", "b"), Call("GET", "a"), Call("PUT", "b"), Call("LIST", "")]
    assert [plan.meets(each)[0] for each in asked] == [None, None, Fault.CUT, Fault.CUT, None, Fault.CUT]
