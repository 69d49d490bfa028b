"""What a store gives for manifests: damaged bytes, and forged content that carries the right checksum."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from random import Random
from typing import Any

from deepfactor.errors import IntegrityError
from deepfactor.evaluating.results import EvaluationManifest
from deepfactor.months import Month
from deepfactor.objects import Reference
from deepfactor.publication import Manifest
from deepfactor.seals import seal
from tests.faults.inputs.fuzzing import Case
from tests.faults.inputs.mutation import mutated, nested, spoiled

_MONTH = Month.parse("2016-02")
_OBJECTS = {
    name: Reference.to(f"runs/2016-02/a/{name}", name.encode())
    for name in ("signals.parquet", "gates.json", "report.html")
}
_INPUTS = (Reference.to("raw/prices/2016-02/x.parquet", b"x"),)
_READERS: dict[str, tuple[Any, Any]] = {
    "manifest": (
        Manifest.from_bytes,
        Manifest(_MONTH, "a" * 16, "dfm2", "code", "digest", {"stocks in the universe": 3}, _INPUTS, _OBJECTS),
    ),
    "evaluation": (
        EvaluationManifest.from_bytes,
        EvaluationManifest(_MONTH, _MONTH + 3, "b" * 16, "code", {"basis_points": 10.0}, 3, _OBJECTS),
    ),
}


@contextmanager
def cases() -> Iterator[Case]:
    """Read bytes as a manifest or an evaluation's manifest."""
    seeds = [good.to_bytes() for _, good in _READERS.values()]

    def case(random: Random) -> str:
        read, good = _READERS[random.choice(list(_READERS))]
        kind = random.random()
        if kind < 0.3:
            body = mutated(random, random.choice(seeds), seeds)
        elif kind < 0.9:
            body = _forged(random, json.loads(good.to_bytes()))
        else:
            body = random.choice(
                (nested(random, "[", "]"), nested(random, '{"a":', "}"), "9" * 6_000, "NaN", "")
            ).encode()
        try:
            found = read(body, "s3://bucket/manifests/2016-02.json")
        except IntegrityError as error:
            assert "s3://bucket" in str(error), f"the message names no object: {error}"
            return "refused"
        _use(found)
        return "read"

    yield case


def _forged(random: Random, content: dict[str, Any]) -> bytes:
    content = spoiled(random, content, random.choice((0.01, 0.05)))
    content = content if isinstance(content, dict) else {"month": content}
    content.pop("sha256", None)
    try:
        return seal(json.loads(json.dumps(content, default=date.isoformat, allow_nan=False)))
    except (ValueError, TypeError):
        return b"{}"


def _use(found: Any) -> None:
    """Write it again."""
    found.to_bytes()
    asdict(found)
