from __future__ import annotations

import pytest

from deepfactor.errors import IntegrityError
from deepfactor.preservation.publications import manifest_keys, read_publication, read_publications
from deepfactor.store import Store
from tests.preservation.conftest import overwrite, reference

pytestmark = pytest.mark.integration


def test_all_manifests_are_found(kept: Store) -> None:
    found, damaged = read_publications(kept)
    assert damaged == []
    assert [(each.what, each.current) for each in found] == [
        ("2016-01, run aa01", True),
        ("2016-02, run cc03", True),
        ("2016-01, run aa01", False),
        ("2016-02, run bb02", False),
        ("2016-02, run cc03", False),
        ("evaluation 2016-01 to 2016-02, e2", True),
        ("evaluation 2016-01 to 2016-02, e1", False),
        ("evaluation 2016-01 to 2016-02, e2", False),
    ]
    assert [each.key for each in found[1].references] == [
        "runs/2016-02/cc03/a.json",
        "runs/2016-02/cc03/b/c.json",
        "raw/prices/2016-01/1f.parquet",
        "runs/2016-02/cc03/manifest.json",
    ]
    assert all(each == reference(kept, each.key) for publication in found for each in publication.references)


def test_only_manifests_are_taken_for_one() -> None:
    manifests = [
        "manifests/2016-02.json",
        "runs/2016-02/0a/manifest.json",
        "evaluations/2006-03_2016-02.json",
        "evaluations/0a/manifest.json",
    ]
    others = [
        "manifests/latest.json",
        "manifests/2016-02.json.bak",
        "runs/2016-02/0a/b/manifest.json",
        "evaluations/0a/inputs.json",
        "evaluations/notes.json.txt",
        "raw/manifests/2016-02.json",
    ]
    assert manifest_keys([*others, *manifests]) == manifests


def test_what_is_no_manifest_is_told_and_the_rest_is_read(kept: Store) -> None:
    overwrite(kept, "manifests/2016-01.json", b"{")
    found, damaged = read_publications(kept)
    assert [each.key for each in damaged] == ["manifests/2016-01.json"]
    assert "is not a manifest" in damaged[0].reason
    assert len(found) == 7


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("manifests/2016-01.json", "manifests/2016-02.json"),
        ("runs/2016-01/aa01/manifest.json", "manifests/2016-02.json"),
        ("evaluations/e1/manifest.json", "evaluations/e2/manifest.json"),
    ],
)
def test_a_manifest_at_another_ones_place(kept: Store, key: str, other: str) -> None:
    overwrite(kept, key, kept.get(other))
    with pytest.raises(IntegrityError, match=f"{key} is the manifest of .*: it was moved or overwritten; restore it"):
        read_publication(kept, key)
