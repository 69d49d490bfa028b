from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError, IntegrityError, PublicationConflict, StoreError, StoreUnreachable
from deepfactor.objects import Reference, frame_to_bytes, json_to_bytes
from deepfactor.patience import Patience
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store, verify_all
from tests.faults.plan import Fault, Plan, Rule
from tests.faults.proxy import Proxy, proxied


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

    def test_what_is_there_and_what_is_not(self, store: Store) -> None:
        reference = store.put("one", b"body")
        assert store.find("one") == store.get_tagged("one") == (b"body", store.etag("one"))
        assert store.holds(reference)
        assert not store.holds(Reference.to("one", b"other"))
        assert store.find("two") is None
        assert not store.holds(Reference.to("two", b"body"))

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

    def test_what_was_damaged_is_noticed_even_where_nobody_knows_its_checksum(self, store: Store) -> None:
        place = {"Bucket": store.bucket, "Key": f"{store.prefix}/o"}
        right = Reference.to("o", b"right").sha256
        store._client.put_object(**place, Body=b"wrong", Metadata={"sha256": right})
        with pytest.raises(IntegrityError, match=rf"/o is not what was written: expected .*{right}.*restore it from"):
            store.get("o")
        store._client.put_object(**place, Body=b"copied by a tool that keeps no checksum")
        assert store.get("o") == b"copied by a tool that keeps no checksum"

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


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    with proxied(endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def opened(proxy: Proxy) -> Store:
    """The bucket through the proxy, with little patience."""
    return proxy.open(Patience(silence=2, attempt=3, attempts=3, pause=0.001))


@pytest.fixture
def wrong(store: Store, opened: Store) -> Store:
    return opened.below(store.prefix)


class TestWrongAnswers:
    @pytest.mark.parametrize("write", [Store.put, Store.put_immutable, Store.commit])
    def test_a_lost_write_is_written_again(
        self, proxy: Proxy, wrong: Store, store: Store, write: Callable[[Store, str, bytes], Reference]
    ) -> None:
        proxy.begin(Plan(Rule(Fault.LOSE, last=2)))
        assert store.read(write(wrong, "o", b"body")) == b"body"
        assert proxy.caused == {Fault.LOSE: 2}

    @pytest.mark.parametrize("write", [Store.put, Store.put_immutable, Store.commit])
    def test_a_store_that_loses_writes_is_given_up(
        self, proxy: Proxy, wrong: Store, store: Store, write: Callable[[Store, str, bytes], Reference]
    ) -> None:
        proxy.begin(Plan(Rule(Fault.LOSE)))
        with pytest.raises(IntegrityError, match=r"/o was written 3 times, .*disk or quota is full; make room there"):
            write(wrong, "o", b"body")
        assert not store.exists("o")

    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_CHUNKED, Fault.CUT_CLOSED, Fault.FLIP])
    def test_a_damaged_body_is_read_again(self, fault: Fault, proxy: Proxy, wrong: Store, store: Store) -> None:
        reference = store.put("o", b"body" * 1000)
        for read in (lambda: wrong.get("o"), lambda: wrong.read(reference)):
            proxy.begin(Plan(Rule(fault, last=2)))
            assert read() == b"body" * 1000
            assert proxy.caused == {fault: 2}

    def test_an_answer_that_drips_is_given_up(self, proxy: Proxy, store: Store) -> None:
        reference = store.put("o", b"body" * 1000)
        impatient = proxy.open(Patience(silence=2, attempt=0.3, attempts=2, pause=0)).below(store.prefix)
        proxy.begin(Plan(Rule(Fault.DRIP)))
        with pytest.raises(StoreUnreachable, match=r"/o at .*: no whole answer in 0\.3 s"):
            impatient.read(reference)
        proxy.heal()

    def test_a_commit_whose_answer_is_lost_is_no_conflict(self, proxy: Proxy, wrong: Store, store: Store) -> None:
        proxy.begin(Plan(Rule(Fault.RESET_AFTER, last=1)))
        wrong.commit("m", b"first")
        proxy.begin(Plan(Rule(Fault.RESET_AFTER, last=1)))
        wrong.commit("m", b"second", replacing=store.etag("m"))
        assert store.get("m") == b"second"
        assert [each.method for each in proxy.calls] == ["PUT", "PUT", "GET"]

    def test_a_commit_sees_the_past_and_looks_again(self, proxy: Proxy, wrong: Store, store: Store) -> None:
        store.commit("m", b"first")
        tag = store.etag("m")
        proxy.begin(Plan(Rule(Fault.STALE, last=1)))
        wrong.commit("m", b"second", replacing=tag)
        assert store.get("m") == b"second"
        proxy.begin(Plan(Rule(Fault.STALE, last=2)))
        with pytest.raises(PublicationConflict, match="another writer"):
            wrong.commit("m", b"third")
        assert store.get("m") == b"second"

    def test_a_commit_that_only_sees_the_past_says_so(self, proxy: Proxy, wrong: Store, store: Store) -> None:
        proxy.begin(Plan(Rule(Fault.STALE)))
        with pytest.raises(StoreUnreachable, match=r"/m: .*because of another writer, and shows nothing.*again later"):
            wrong.commit("m", b"first")
        assert store.get("m") == b"first"

    @pytest.mark.parametrize(
        "work", [lambda store: store.get("o"), lambda store: store.etag("o"), Store.honours_conditions]
    )
    def test_a_page_is_no_answer(self, work: Callable[[Store], object], proxy: Proxy, wrong: Store) -> None:
        proxy.begin(Plan(Rule(Fault.PAGE)))
        with pytest.raises(StoreUnreachable, match="what answers is no S3 service; check that the store runs"):
            work(wrong)

    def test_a_page_is_no_listing(self, proxy: Proxy, wrong: Store) -> None:
        proxy.begin(Plan(Rule(Fault.PAGE)))
        with pytest.raises(StoreUnreachable, match="check that the store runs"):
            wrong.list("")
