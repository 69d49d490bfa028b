from __future__ import annotations

import pytest

from deepfactor.preservation.publications import read_publications
from deepfactor.preservation.unnamed import Unnamed, unnamed_objects
from deepfactor.store import Store

pytestmark = pytest.mark.integration


def _unnamed(store: Store) -> list[Unnamed]:
    return unnamed_objects(store, read_publications(store)[0])


def test_what_was_replaced_and_the_records_of_steps_belong_to_what_is_published(kept: Store) -> None:
    assert _unnamed(kept) == []


def test_what_no_manifest_names_is_listed_by_folder(kept: Store) -> None:
    for key in (
        "runs/2016-02/dd04/a.json",
        "runs/2016-02/dd04/steps/train.json",
        "raw/prices/2016-01/2e.parquet",
        "evaluations/e3/summary.json",
        "probes/1",
        "top",
    ):
        kept.put(key, b"nobody names this")
    assert _unnamed(kept) == [
        Unnamed("", ("top",)),
        Unnamed("evaluations/e3/", ("evaluations/e3/summary.json",)),
        Unnamed("probes/", ("probes/1",)),
        Unnamed("raw/prices/", ("raw/prices/2016-01/2e.parquet",)),
        Unnamed("runs/2016-02/dd04/", ("runs/2016-02/dd04/a.json", "runs/2016-02/dd04/steps/train.json")),
    ]
