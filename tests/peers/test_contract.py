"""What the store promises, held against every service that it is meant for."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfactor.errors import IntegrityError, PublicationConflict, StoreError
from deepfactor.objects import Reference
from deepfactor.pages.shelf import Shelf
from deepfactor.store import Store, verify_all
from tests.peers.peer import BUCKET, Peer

pytestmark = pytest.mark.integration

WRITERS = 16
RACES = 3
# More than stands in deepfactor's keys; the last is almost as long as may be. No backslash, of which SeaweedFS
# makes a slash.
ODD_KEYS = (
    "a b",
    " a",
    "a+b",
    "a%20b",
    "a%2Fb",
    "a&b=c",
    "a?b",
    "a#b",
    "a:b;c,d",
    "a'b\"c",
    "<a>",
    "{a}[b]|c^d`e",
    "a~b!c*d(e)$f@g",
    "ä/日本/ü",
    "u\u0308",
    ".hidden/..twice",
    "A/a/Aa",
    "/".join(["0123456789" * 9] * 11),
)


def _race(act: Callable[[bytes], object]) -> list[object]:
    """Let all writers act at the same moment, each with a body of its own; returns what each got, or its error."""
    together = Barrier(WRITERS)

    def one(number: int) -> object:
        together.wait()
        try:
            return act(f"writer {number}".encode())
        except StoreError as error:
            return error

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


class TestRoundTrips:
    @pytest.mark.parametrize("size", [0, 1, 5_000_000, 64_000_000])
    def test_a_body_of_any_size_comes_back(self, empty: Store, size: int) -> None:
        body = secrets.token_bytes(size)
        reference = empty.put("body", body)
        assert reference == Reference.to("body", body)
        assert empty.read(reference) == body

    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(bodies=st.lists(st.binary(max_size=2000), min_size=1, max_size=20))
    def test_many_objects_in_order(self, peer_bucket: Store, bodies: list[bytes]) -> None:
        part = peer_bucket.below(secrets.token_hex(6))
        references = part.put_many((f"o/{number}", body) for number, body in enumerate(bodies))
        assert [part.read(each) for each in references] == bodies
        verify_all(part, references)

    def test_frames_and_json(self, empty: Store) -> None:
        frame = pl.DataFrame({"a": [1.5, None], "b": ["x", "ü"]})
        assert empty.read_frames([empty.put_frame("frame", frame)] * 2)[1].equals(frame)
        assert empty.read_json(empty.put_json("json", {"b": [1, None], "a": "ü"})) == {"a": "ü", "b": [1, None]}

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_key_of_any_characters(self, empty: Store, key: str) -> None:
        reference = empty.put(key, key.encode())
        assert empty.read(reference) == key.encode()
        assert empty.list("") == [key]
        assert empty.list(key[:1]) == [key]

    def test_keys_that_are_similar_are_different_objects(self, empty: Store) -> None:
        keys = ["a/b", "a%2Fb", "A/b", "a/b.json", "u\u0308", "\u00fc", "a b", "a+b", "a%20b"]
        references = empty.put_many((key, key.encode()) for key in keys)
        verify_all(empty, references)
        assert empty.list("") == sorted(keys)

    def test_content_that_is_there_is_not_written_again(self, empty: Store) -> None:
        first = empty.put_immutable("raw/1f", b"body")
        assert empty.put_immutable("raw/1f", b"body") == first
        overwritten = empty.put("raw/1f", b"damaged")
        assert empty.put_immutable("raw/1f", b"body") == first != overwritten
        assert empty.read(first) == b"body"

    def test_many_write_the_same_content_at_once(self, empty: Store) -> None:
        references = _race(lambda _: empty.put_immutable("raw/1f", b"body"))
        assert references == [Reference.to("raw/1f", b"body")] * WRITERS


class TestTagsAndListing:
    def test_tags_tell_one_content_from_another(self, empty: Store) -> None:
        empty.put("o", b"first")
        body, tag = empty.get_tagged("o")
        assert (body, tag) == (b"first", empty.etag("o"))
        assert empty.etags("") == {"o": tag}
        empty.put("o", b"second")
        assert empty.get_tagged("o")[1] == empty.etag("o") == empty.etags("")["o"] != tag

    def test_what_is_not_there(self, empty: Store) -> None:
        assert empty.etag("gone") is None
        assert not empty.exists("gone")
        assert empty.list("gone") == []
        with pytest.raises(IntegrityError, match=r"/gone: there is no such object"):
            empty.get("gone")
        with pytest.raises(IntegrityError, match=r"/gone: there is no such object"):
            empty.read(Reference("gone", "0", 0))

    def test_more_keys_than_one_answer_holds(self, empty: Store) -> None:
        keys = [f"many/{number:04}" for number in range(1_050)]
        client = empty._client
        with ThreadPoolExecutor(WRITERS) as pool:
            put = lambda key: client.put_object(Bucket=BUCKET, Key=empty._full(key), Body=b"1")  # noqa: E731
            list(pool.map(put, keys))
        empty.put("other", b"2")
        assert empty.list("many/") == keys
        assert empty.list("many/1") == keys[1_000:]
        assert len(set(empty.etags("many/").values())) == 1

    def test_one_level_at_a_time(self, empty: Store) -> None:
        for key in ("runs/2016-01/a/x", "runs/2016-01/b/x", "runs/2016-02/c/x", "runs/note"):
            empty.put(key, b"1")
        shelf = Shelf(empty._client, empty.bucket, empty.prefix)
        assert shelf.folder("runs/").folders == ("2016-01", "2016-02")
        assert list(shelf.folder("runs/").entity_tags) == ["note"]
        assert shelf.folder("runs/2016-01/").folders == ("a", "b")

    def test_a_part_of_the_store_sees_nothing_else(self, empty: Store) -> None:
        empty.put("in/side", b"1")
        empty.put("inside/one", b"2")
        empty.put("other", b"3")
        part = empty.below("inside")
        assert part.list("") == ["one"]
        assert part.get("one") == b"2"
        assert empty.below("in").list("") == ["side"]


class TestCommit:
    def test_the_service_honours_conditions_and_the_probe_leaves_nothing(self, empty: Store) -> None:
        assert empty.honours_conditions()
        assert empty.list("") == []

    def test_written_once(self, empty: Store) -> None:
        reference = empty.commit("m", b"first")
        assert empty.commit("m", b"first") == reference  # a retry after a lost answer
        with pytest.raises(PublicationConflict, match=r"cannot \w+ s3://.*/m: another writer"):
            empty.commit("m", b"second")
        assert empty.read(reference) == b"first"

    def test_only_what_was_seen_is_replaced(self, empty: Store) -> None:
        empty.commit("m", b"first")
        seen = empty.etag("m")
        empty.commit("m", b"second", replacing=seen)
        with pytest.raises(PublicationConflict):
            empty.commit("m", b"third", replacing=seen)
        assert empty.get("m") == b"second"

    def test_the_tag_of_a_reading_or_of_a_listing_will_do(self, empty: Store) -> None:
        empty.commit("m", b"first")
        empty.commit("m", b"second", replacing=empty.get_tagged("m")[1])
        empty.commit("m", b"third", replacing=empty.etags("")["m"])
        assert empty.get("m") == b"third"

    def test_what_is_gone_is_not_replaced(self, empty: Store) -> None:
        empty.commit("m", b"first")
        seen = empty.etag("m")
        empty._client.delete_object(Bucket=BUCKET, Key=empty._full("m"))
        with pytest.raises(StoreError):
            empty.commit("m", b"second", replacing=seen)
        assert not empty.exists("m")

    def test_one_of_many_commits(self, empty: Store) -> None:
        for attempt in range(RACES):
            _one_won(empty, str(attempt), _race(partial(empty.commit, str(attempt))))

    def test_one_of_many_replaces(self, empty: Store) -> None:
        for attempt in range(RACES):
            key = str(attempt)
            empty.commit(key, b"first")
            seen = empty.etag(key)
            _one_won(empty, key, _race(partial(empty.commit, key, replacing=seen)))


def _one_won(store: Store, key: str, results: list[object]) -> None:
    won = [each for each in results if isinstance(each, Reference)]
    lost = [each for each in results if isinstance(each, PublicationConflict)]
    assert (len(won), len(lost)) == (1, WRITERS - 1), results
    assert Reference.to(key, store.get(key)) == won[0]


class TestRefusals:
    def test_no_bucket(self, peer: Peer) -> None:
        who = peer.users["owner"]
        with pytest.raises(StoreError, match=r"s3://absent/?: the bucket does not exist; create it or name another"):
            Store.open("s3://absent", peer.url, who.access_key, who.secret_key)

    def test_an_unknown_key(self, peer: Peer) -> None:
        with pytest.raises(StoreError, match="refused the credentials"):
            Store.open(f"s3://{BUCKET}", peer.url, "nobody", "secret")

    def test_a_wrong_secret(self, peer: Peer) -> None:
        if not peer.checks_secrets:
            pytest.skip(f"{peer.name} does not check the secret of a known key; docs/security.md says so")
        with pytest.raises(StoreError, match="refused the credentials"):
            Store.open(f"s3://{BUCKET}", peer.url, peer.users["owner"].access_key, "wrong")
