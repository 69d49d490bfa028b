"""What carries its own checksum is read only if it is byte for byte what was written."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import IntegrityError
from deepfactor.evaluating.results import EvaluationManifest
from deepfactor.months import Month
from deepfactor.objects import Reference, json_to_bytes
from deepfactor.publication import Manifest
from deepfactor.runs import StepRecord
from deepfactor.seals import seal, unseal

_OBJECTS = {name: Reference.to(f"runs/2016-02/0a/{name}", name.encode()) for name in ("a.json", "b.parquet")}
_MONTH = Manifest(
    Month.parse("2016-02"), "0a", "dfm1", "0.1.0", "0" * 64, {"stocks": 1234, "mean": 0.1},
    (Reference.to("raw/prices/2016-02/1f.parquet", b"raw"),), _OBJECTS,
)  # fmt: skip
_EVALUATION = EvaluationManifest(
    Month.parse("2006-03"), Month.parse("2016-02"), "e1", "0.1.0", {"trials": 5}, 120, _OBJECTS
)
_RECORD = StepRecord("train-dfm1", _OBJECTS, {"training rows": 4711})

READERS: tuple[tuple[bytes, Callable[[bytes], object]], ...] = (
    (_MONTH.to_bytes(), lambda body: Manifest.from_bytes(body, "here")),
    (_EVALUATION.to_bytes(), lambda body: EvaluationManifest.from_bytes(body, "here")),
    (_RECORD.to_bytes(), lambda body: unseal(body, "here", "a record", "do the step again")),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('aö"\\{1'),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text("abs", max_size=4), each, max_size=3),
    max_leaves=10,
)


def test_the_bytes() -> None:
    assert (
        seal({"b": 1, "a": "ö"})
        == (
            '{\n "a": "ö",\n "b": 1,\n'
            ' "sha256": "843a1f0512b7013f211bdd70255f722712350cc1514055ed8ff00abd4cb70a7f"\n}\n'
        ).encode()
    )


@given(st.dictionaries(st.text("abs", max_size=4), JSON, max_size=4))
def test_what_is_sealed_comes_back(content: dict[str, object]) -> None:
    assert unseal(seal(content), "here", "it", "mend it") == content


@pytest.mark.parametrize(("body", "read"), READERS)
def test_what_is_whole_is_read(body: bytes, read: Callable[[bytes], object]) -> None:
    assert read(body)


@pytest.mark.parametrize(("body", "read"), READERS)
def test_no_byte_can_change(body: bytes, read: Callable[[bytes], object]) -> None:
    for place in range(len(body)):
        for change in (1, 2, 16, 32, 128):
            changed = body[:place] + bytes([body[place] ^ change]) + body[place + 1 :]
            with pytest.raises(IntegrityError, match="^here is not "):
                read(changed)


@pytest.mark.parametrize(("body", "read"), READERS)
@given(data=st.data())
def test_nothing_can_be_cut_off_added_or_written_otherwise(
    body: bytes, read: Callable[[bytes], object], data: st.DataObject
) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    content = json.loads(body)
    changed = data.draw(
        st.sampled_from(
            [
                body[:start] + body[end:] if start < end else body[:start] + b" " + body[start:],
                body + b" ",
                json.dumps(content).encode(),
                json_to_bytes({**content, "more": 1}),
                json_to_bytes({**content, "sha256": "0" * 64}),
            ]
        )
    )
    with pytest.raises(IntegrityError, match="^here is not "):
        read(changed)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", r"here is not a manifest \(Expecting value.*\); run the month again with --replace, or bring it back"),
        (b"\xff", r"here is not a manifest \('utf-8' codec"),
        (b"[" * 100_000, r"here is not a manifest \(maximum recursion"),
        (b"[]", "here is not a manifest that carries a checksum of its own content, which an earlier version did not"),
        (b'{"month": "2016-02"}', "not a manifest that carries a checksum .* run the month again with --replace"),
        (b'{"sha256": NaN}', "here is not what was written, its checksum is not that of its content; run the month"),
        (seal({"month": "2016-02"}), r"here is not a manifest \('inputs'\)"),
        (seal({"month": "never"}), r"here is not a manifest \(.*never.*\)"),
        (seal({"month": "2016-02", "inputs": 1}), r"here is not a manifest \('int' object is not iterable"),
    ],
)
def test_what_is_no_manifest(body: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        Manifest.from_bytes(body, "here")
