from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfactor.preservation.publications import read_publications
from deepfactor.preservation.verification import verify_publications
from deepfactor.store import Store
from tests.preservation.conftest import overwrite, remove

pytestmark = pytest.mark.integration


def test_what_is_whole(kept: Store) -> None:
    found, _ = read_publications(kept)
    told: list[tuple[int, int]] = []
    assert verify_publications(kept, found, lambda done, total: told.append((done, total))) == []
    objects = {each.key for publication in found for each in publication.references}
    assert told == [(done, len(objects)) for done in range(1, len(objects) + 1)]


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_byte_that_changes_is_found_where_it_is_named(kept: Store, data: st.DataObject) -> None:
    found, _ = read_publications(kept)
    key = data.draw(st.sampled_from(sorted({each.key for one in found for each in one.references})))
    body = kept.get(key)
    place = data.draw(st.integers(0, len(body) - 1))
    flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    overwrite(kept, key, data.draw(st.sampled_from([b"", body[:place], body + b"x", flipped])))
    damaged = verify_publications(kept, found)
    overwrite(kept, key, body)
    assert {each.key for each in damaged} == {key}
    expected = [one.what for one in found if key in {each.key for each in one.references}]
    assert [each.what for each in damaged] == expected
    assert all("is not what was written" in each.reason for each in damaged)


def test_an_object_that_is_missing(kept: Store) -> None:
    found, _ = read_publications(kept)
    remove(kept, "raw/prices/2016-01/1f.parquet")
    damaged = verify_publications(kept, found)
    assert len(damaged) == 5  # two months, and three copies of manifests
    assert {each.key for each in damaged} == {"raw/prices/2016-01/1f.parquet"}
    assert all("there is no such object" in each.reason for each in damaged)
