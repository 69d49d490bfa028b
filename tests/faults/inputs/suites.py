"""Expectation suites: damaged text, and values that do not belong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from deepfactor.config import load_config
from deepfactor.errors import ConfigurationError
from deepfactor.validation.suites import FRAMES, read_suites
from tests.faults.inputs.fuzzing import CORPUS, Case, corpus
from tests.faults.inputs.mutation import WORDS, mutated, nested, spoiled


@contextmanager
def cases() -> Iterator[Case]:
    """Write a suite beside a configuration, load that, and read its suites."""
    seeds = [path.read_bytes() for path in corpus("market.json", "found-suite*.json")]
    suite = json.loads(seeds[0])
    folders = Path("config"), Path("expectations")
    for folder in folders:
        folder.mkdir()
    config = folders[0] / "mine.yaml"
    config.write_bytes((CORPUS / "default.yaml").read_bytes())

    def case(random: Random) -> str:
        name = random.choice((*FRAMES, "market", "market", "other"))
        path = folders[1] / f"{name}.json"
        kind = random.random()
        if kind < 0.4:
            path.write_bytes(mutated(random, random.choice(seeds), seeds))
        elif kind < 0.9:
            written = json.dumps(spoiled(random, suite, random.choice((0.01, 0.1))), default=str)
            path.write_text(written, encoding="utf-8")
        else:
            bomb = (nested(random, "[", "]"), nested(random, '{"a":', "}"), "9" * 6_000, "[" + "0," * 200_000 + "0]")
            path.write_text(random.choice((*bomb, *WORDS, "NaN", "1" * 1_000_001)), encoding="utf-8")
        try:
            loaded = load_config(config)
            loaded.digest()
            read_suites([name] if name in FRAMES else [], loaded.expectations)
        except ConfigurationError as error:
            assert name in str(error) or "mine.yaml" in str(error), f"the message names no file: {error}"
            return "refused"
        finally:
            path.unlink()
        return "read"

    yield case
