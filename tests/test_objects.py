"""References as JSON holds them."""

from __future__ import annotations

from typing import Any

import pytest

from deepfactor.errors import IntegrityError
from deepfactor.objects import Reference
from deepfactor.publication import Manifest
from deepfactor.seals import seal

REFERENCE: dict[str, Any] = {"key": "runs/a", "sha256": "0" * 64, "size": 3}


def test_what_is_written_is_read_again() -> None:
    assert Reference.from_dict(REFERENCE).as_dict() == REFERENCE


@pytest.mark.parametrize(
    "change", [{"key": 1}, {"sha256": None}, {"size": "3"}, {"size": -1}, {"size": True}, {"colour": "red"}]
)
def test_what_is_no_reference_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Reference.from_dict(REFERENCE | change)


@pytest.mark.parametrize(
    "change", [{"facts": []}, {"inputs": [REFERENCE | {"size": "3"}]}, {"named_objects": {"a": REFERENCE | {"key": 1}}}]
)
def test_a_manifest_with_a_right_checksum_and_wrong_types_is_refused(change: dict[str, Any]) -> None:
    content = {
        "month": "2016-02",
        "run_id": "abc",
        "signal_model": "dfm2",
        "code_version": "1",
        "config_digest": "2",
        "facts": {},
        "inputs": [REFERENCE],
        "named_objects": {"a": REFERENCE},
    }
    assert Manifest.from_bytes(seal(content), "there").inputs == (Reference.from_dict(REFERENCE),)
    with pytest.raises(IntegrityError, match="there is not a manifest"):
        Manifest.from_bytes(seal(content | change), "there")
