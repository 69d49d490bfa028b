from __future__ import annotations

import secrets

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, StoreError, StoreUnreachable
from deepfactor.objects import Reference, frame_to_bytes, json_to_bytes
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store, verify_all


class TestRoundTrips:
    def test_bytes_frames_and_json_come_back(self, store: Store) -> None:
        frame = pl.DataFrame({"a": [1.5, None], "b": ["x", "ü"]})
        assert store.read(store.put("one", b"body")) == b"body"
        assert store.read_frame(store.put_frame("two", frame)).equals(frame)
        assert store.read_json(store.put_json("three", {"b": [1, None], "a": "ü"})) == {"a": "ü", "b": [1, None]}

    @settings(max_examples=20, deadline=None)
    @given(bodies=st.lists(st.binary(max_size=2000), min_size=1, max_size=20))
    def test_many_objects_in_order(self, bucket: Store, bodies: list[bytes]) -> None:
        part = bucket.below(secrets.token_hex(6))
        references = part.put_many((f"o/{number}", body) for number, body in enumerate(bodies))
        assert [part.read(each) for each in references] == bodies
        assert part.list("o/") == sorted(f"o/{number}" for number in range(len(bodies)))
        verify_all(part, references)

    def test_a_part_of_the_store_sees_nothing_else(self, store: Store) -> None:
        store.put("inside/one", b"1")
        store.put("other", b"2")
        assert store.below("inside").list("") == ["one"]

    def test_same_content_same_bytes(self) -> None:
        assert json_to_bytes({"a": 1, "b": 2}) == json_to_bytes({"b": 2, "a": 1})
        frame = pl.DataFrame({"a": [1.0, 2.0]})
        assert frame_to_bytes(frame) == frame_to_bytes(frame.clone())


class TestCommit:
    def test_written_once(self, store: Store) -> None:
        store.commit("m", b"first")
        with pytest.raises(PublicationConflict, match="another writer"):
            store.commit("m", b"second")
        assert store.get("m") == b"first"

    def test_a_retry_after_a_lost_answer_is_no_conflict(self, store: Store) -> None:
        assert store.commit("m", b"first") == store.commit("m", b"first")

    def test_only_what_was_seen_is_replaced(self, store: Store) -> None:
        store.commit("m", b"first")
        seen = store.etag("m")
        store.commit("m", b"second", replacing=seen)
        with pytest.raises(PublicationConflict):
            store.commit("m", b"third", replacing=seen)
        assert store.get("m") == b"second"

    def test_the_endpoint_honours_conditions_and_the_probe_leaves_nothing(self, store: Store) -> None:
        assert store.honours_conditions()
        assert store.list("") == []


class TestFaults:
    def test_other_bytes_are_refused(self, store: Store) -> None:
        reference = store.put("o", b"right")
        store.put("o", b"wrong")
        with pytest.raises(IntegrityError, match=r"/o is not what was written"):
            store.read(reference)

    def test_a_missing_object_is_named(self, store: Store) -> None:
        with pytest.raises(IntegrityError, match=r"/gone: there is no such object"):
            store.read(Reference("gone", "0", 0))
        assert not store.exists("gone")

    def test_not_a_store(self) -> None:
        with pytest.raises(ConfigurationError, match="s3://bucket/prefix"):
            Store.open("http://bucket")

    def test_an_unreachable_store(self) -> None:
        with pytest.raises(StoreUnreachable, match=r"127\.0\.0\.1:9.*check that the store runs"):
            Store.open("s3://bucket", "http://127.0.0.1:9", access_key="a", secret_key="b")

    def test_wrong_credentials(self, endpoint: Endpoint) -> None:
        with pytest.raises(StoreError, match="refused the credentials"):
            Store.open("s3://deepfactor", endpoint.url, access_key="nobody", secret_key="b")

    def test_no_credentials(self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "absent")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(StoreError, match="no credentials.*AWS_ACCESS_KEY_ID"):
            Store.open("s3://deepfactor", endpoint.url)

    def test_no_bucket(self, endpoint: Endpoint) -> None:
        with pytest.raises(StoreError, match="bucket does not exist"):
            Store.open(
                "s3://absent",
                endpoint.url,
                access_key=endpoint.credentials.access_key,
                secret_key=endpoint.credentials.secret_key,
            )
