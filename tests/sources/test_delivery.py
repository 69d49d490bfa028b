"""Where files lie: a folder as it is, a prefix of a real S3 endpoint, fetched once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError, SourceChanged, SourceError, StoreError, StoreUnreachable
from deepfactor.objects import Reference
from deepfactor.sources.bucket import DeliveredObjects, S3Delivery, matches
from deepfactor.sources.delivery import DeliveredFile, FolderDelivery, open_delivery
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store

_PARTS = st.sampled_from(["a", "ab", "b.csv", "B.csv", ".csv", "a.b.csv"])
_PATHS = st.sets(st.lists(_PARTS, min_size=1, max_size=3).map(tuple), max_size=8)
_PATTERNS = st.lists(st.sampled_from(["*", "**", "a", "a*", "*.csv", "?.csv", "[!a].csv"]), max_size=3).flatmap(
    lambda folders: st.sampled_from(["*", "*.csv", "a*.csv", "[ab].csv"]).map(lambda last: [*folders, last])
)


class TestPatterns:
    @settings(max_examples=60, deadline=None)
    @given(paths=_PATHS, pattern=_PATTERNS)
    def test_keys_match_as_files_do(self, paths: set[tuple[str, ...]], pattern: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path in sorted(paths, key=len):
                if any((root / Path(*path[:end])).is_file() for end in range(1, len(path))):
                    continue
                (root / Path(*path)).parent.mkdir(parents=True, exist_ok=True)
                if not (root / Path(*path)).is_dir():
                    (root / Path(*path)).touch()
            there = [file.relative_to(root) for file in root.rglob("*") if file.is_file()]
            listed = [file.path.relative_to(root) for file in FolderDelivery(root).files("/".join(pattern))]
        assert sorted(path for path in there if matches(path.parts, pattern)) == sorted(set(listed))

    @pytest.mark.parametrize(
        ("name", "suffixes"),
        [
            ("p/2016.csv", (".csv", False)),
            ("p/2016.02.CSV.gz", (".csv", True)),
            ("s3://bucket/a.b/2016-02.parquet", (".parquet", False)),
            ("p/2016.gz", ("", True)),
            ("p/2016", ("", False)),
        ],
    )
    def test_suffixes(self, name: str, suffixes: tuple[str, bool]) -> None:
        assert DeliveredFile(name, Path(name)).suffixes == suffixes


class TestFolder:
    @pytest.fixture
    def delivery(self, tmp_path: Path) -> FolderDelivery:
        for name in ("a.csv", "b.csv"):
            (tmp_path / name).write_bytes(b"first")
        return FolderDelivery(tmp_path, largest=5)

    def test_what_stays_is_confirmed(self, delivery: FolderDelivery) -> None:
        for _ in range(2):
            assert [delivery.read(file) for file in delivery.files("*.csv")] == [b"first", b"first"]
            delivery.confirm()
            delivery.confirm()

    @pytest.mark.parametrize("confirmed", [True, False])
    @pytest.mark.parametrize("change", ["rewrite", "replace", "append", "truncate", "remove", "add"])
    def test_what_changes_is_named_and_may_be_read_again(
        self, delivery: FolderDelivery, change: str, confirmed: bool
    ) -> None:
        files = delivery.files("*.csv")
        for file in files:
            delivery.read(file)
        if confirmed:
            delivery.confirm()
        path = files[1].path
        times = path.stat()
        if change in ("rewrite", "replace"):
            target = path if change == "rewrite" else path.with_suffix(".new")
            target.write_bytes(b"other")
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
            target.rename(path)
        elif change == "append":
            path.write_bytes(b"first\nfirst")
        elif change == "truncate":
            os.truncate(path, 2)
        elif change == "remove":
            path.unlink()
        else:
            path.with_name("c.csv").touch()
        with pytest.raises(SourceChanged, match=r"(b|c).csv has changed while the delivery was read.*run again once"):
            delivery.confirm()
        for file in delivery.files("*.csv")[:1]:
            delivery.read(file)
        delivery.confirm()

    def test_a_file_that_is_too_large_is_not_opened(self, delivery: FolderDelivery, tmp_path: Path) -> None:
        os.truncate(tmp_path / "a.csv", 10_000_000_000)
        file = delivery.files("a.csv")[0]
        with pytest.raises(SourceError, match=r"a.csv has 10 GB, and more than 5e-09 GB are not read .*smaller files"):
            delivery.read(file)

    def test_a_file_that_cannot_be_read(self, delivery: FolderDelivery) -> None:
        file = delivery.files("a.csv")[0]
        file.path.unlink()
        file.path.mkdir()
        with pytest.raises(SourceError, match=r"a.csv cannot be read \(Is a directory\): make it readable, or deliver"):
            delivery.read(file)


@pytest.mark.integration
class TestPrefix:
    def test_only_what_lies_below_and_matches(self, store: Store) -> None:
        keys = ["p/b.csv", "p/a.csv", "p/q/c.csv", "p-2/d.csv", "p/e.parquet", "p/../f.csv", "p/ and +&%.csv"]
        for key in keys:
            store.put(key, key.encode())
        delivery = S3Delivery(DeliveredObjects.of(store))
        files = delivery.files("p/*.csv")
        assert [file.name for file in files] == [store.url(f"p/{name}.csv") for name in (" and +&%", "a", "b")]
        assert [file.path.read_bytes() for file in files] == [b"p/ and +&%.csv", b"p/a.csv", b"p/b.csv"]
        below = S3Delivery(DeliveredObjects.of(store.below("p")))
        assert [PurePosixPath(file.name).name for file in below.files("**/*.csv")][-1] == "c.csv"
        assert below.files("d.csv") == []

    def test_an_object_is_fetched_once_and_again_only_if_it_is_another(self, store: Store) -> None:
        for key in ("a.csv", "b.csv"):
            store.put(key, b"first")
        delivery = S3Delivery(DeliveredObjects.of(store))
        first = delivery.files("*.csv")
        for file in first:
            file.path.write_bytes(b"fetched")
        store.put("a.csv", b"second")
        store.put("c.csv", b"third")
        contents = [file.path.read_bytes() for file in delivery.files("*.csv")]
        assert contents == [b"second", b"fetched", b"third"]

    def test_nothing_is_left_behind(self, store: Store) -> None:
        store.put("a.csv", b"first")
        delivery = S3Delivery(DeliveredObjects.of(store))
        (file,) = delivery.files("*.csv")
        assert file.path.exists()
        del delivery
        assert not file.path.parent.exists()

    @pytest.mark.parametrize("replaced", [True, False])
    def test_a_change_between_listing_and_reading(self, store: Store, replaced: bool) -> None:
        class Changing(DeliveredObjects):
            """Somebody delivers between the two calls."""

            def etags(self, prefix: str) -> dict[str, str]:
                listed = super().etags(prefix)
                if replaced:
                    self.put("a.csv", b"second")
                else:
                    self._client.delete_object(Bucket=self.bucket, Key=self._full("a.csv"))
                return listed

        store.put("a.csv", b"first")
        delivery = S3Delivery(Changing.of(store))
        with pytest.raises(
            SourceChanged, match=r"s3://.*/a.csv has changed while the delivery was read.*run again once"
        ):
            delivery.files("*.csv")

    def test_a_change_after_reading(self, store: Store) -> None:
        store.put("a.csv", b"first")
        delivery = S3Delivery(DeliveredObjects.of(store))
        assert delivery.read(delivery.files("*.csv")[0]) == b"first"
        delivery.confirm()
        store.put("a.csv", b"other")
        with pytest.raises(SourceChanged, match=r"s3://.*/a.csv has changed while the delivery was read"):
            delivery.confirm()
        assert delivery.read(delivery.files("*.csv")[0]) == b"other"
        delivery.confirm()

    def test_an_object_that_is_too_large_is_not_fetched(self, store: Store) -> None:
        store.put("a.csv", b"first")
        with pytest.raises(SourceError, match=r"s3://.*/a.csv has 5e-09 GB, and more than 4e-09 GB are not read"):
            S3Delivery(DeliveredObjects.of(store), largest=4).files("*.csv")

    def test_the_usual_variables_say_where_and_who(
        self, endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reference = store.put("f/a.csv", b"first")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)
        delivery = open_delivery(f"s3://{store.bucket}/{store.prefix}/")
        assert delivery.name == f"s3://{store.bucket}/{store.prefix}"
        (file,) = delivery.files("f/*")
        assert Reference.to("f/a.csv", file.path.read_bytes()) == reference
        with pytest.raises(StoreError, match="the bucket does not exist"):
            open_delivery("s3://no-such-bucket/prefix")


class TestBadPlaces:
    @pytest.mark.parametrize("folder", ["https://vendor/files", "gs://bucket/prefix"])
    def test_neither_folder_nor_s3(self, folder: str) -> None:
        with pytest.raises(ConfigurationError, match="neither a folder nor of the form s3://bucket/prefix"):
            open_delivery(folder)

    def test_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"absent does not exist: pass --source .*deepfactor simulate"):
            open_delivery(str(tmp_path / "absent"))

    def test_an_endpoint_that_does_not_answer_may_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(StoreUnreachable):
            open_delivery("s3://bucket/prefix")
