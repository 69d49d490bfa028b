from __future__ import annotations

import pytest

from deepfactor.committing import commit
from deepfactor.errors import IntegrityError, PublicationConflict
from deepfactor.preservation.publications import read_publication, read_publications
from deepfactor.preservation.restoration import restore
from deepfactor.preservation.unnamed import unnamed_objects
from deepfactor.preservation.verification import verify_publications
from deepfactor.store import Store
from tests.preservation.conftest import month_manifest, overwrite, remove

pytestmark = pytest.mark.integration


@pytest.fixture
def target(kept: Store) -> Store:
    """Return an empty store beside the filled one."""
    return kept.below("target-of-a-restoration")


def _restore_all(copy: Store, target: Store) -> int:
    return sum(len(restore(copy, target, each)) for each in read_publications(copy)[0])


def test_an_empty_store_gets_everything_back(kept: Store, target: Store) -> None:
    assert _restore_all(kept, target) > 0
    before, after = read_publications(kept), read_publications(target)
    assert after == before
    assert verify_publications(target, after[0]) == []
    assert unnamed_objects(target, after[0]) == []
    assert _restore_all(kept, target) == 0


def test_only_what_is_damaged_is_written(kept: Store, target: Store) -> None:
    _restore_all(kept, target)
    overwrite(target, "runs/2016-02/cc03/a.json", b"rot")
    remove(target, "raw/prices/2016-01/1f.parquet")
    written = restore(kept, target, read_publication(kept, "manifests/2016-02.json"))
    assert written == ["raw/prices/2016-01/1f.parquet", "runs/2016-02/cc03/a.json"]
    assert verify_publications(target, read_publications(target)[0]) == []


def test_another_publication_is_replaced_only_if_asked_and_stays_known(kept: Store, target: Store) -> None:
    commit(target, month_manifest(target, "2016-02", "dd04"), replace=False)
    publication = read_publication(kept, "manifests/2016-02.json")
    with pytest.raises(PublicationConflict, match="look at both, and pass --replace to restore the copy's"):
        restore(kept, target, publication)
    assert not target.exists("runs/2016-02/cc03/a.json")
    remove(target, "runs/2016-02/dd04/manifest.json")
    assert restore(kept, target, publication, replace=True)[-1] == "manifests/2016-02.json"
    assert [each.what for each in read_publications(target)[0]] == [
        "2016-02, run cc03",
        "2016-02, run cc03",
        "2016-02, run dd04",
    ]


def test_a_manifest_that_is_none_is_replaced(kept: Store, target: Store) -> None:
    target.put("manifests/2016-02.json", b"{")
    restore(kept, target, read_publication(kept, "manifests/2016-02.json"), replace=True)
    assert target.get("manifests/2016-02.json") == kept.get("manifests/2016-02.json")


def test_what_the_copy_has_lost_is_not_published(kept: Store, target: Store) -> None:
    publication = read_publication(kept, "manifests/2016-02.json")
    overwrite(kept, "runs/2016-02/cc03/b/c.json", b"rot")
    with pytest.raises(IntegrityError, match=r"runs/2016-02/cc03/b/c\.json is not what was written"):
        restore(kept, target, publication)
    assert not target.exists("manifests/2016-02.json")
