"""Configurations, mappings among them: damaged text, values that do not belong, and text that stands for too much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import yaml

from deepfactor.config import load_config
from deepfactor.errors import ConfigurationError, SourceError
from deepfactor.sources import FilesSource
from tests.faults.inputs.fuzzing import CORPUS, Case, corpus
from tests.faults.inputs.mutation import WORDS, mutated, nested, spoiled
from tests.faults.inputs.source_files import FIRST, LAST

_ATOMS = ("close", "volume", "code", "date", "name", "cap", "1", "0.0", "NULL", "'x'", "nothing", "*", '"close"')
_SHAPES = (
    "{} + {}",
    "{} / {}",
    "{} || {}",
    "coalesce({}, {})",
    "CASE WHEN {} = {} THEN {} ELSE {} END",
    "CAST({} AS {})",
    "sum({})",
    "({})",
    "NOT {}",
    "{} IN ({}, {})",
    "{} BETWEEN {} AND {}",
    "{} IS NULL",
    "date_part('year', {})",
    "substr({}, {}, {})",
    "round({}, {})",
    "{} AS {}",
    "{}::{}",
    "row_number() OVER (ORDER BY {})",
    "(SELECT {})",
    "{}; {}",
    "-- {}",
)
_PATTERNS = ("(", ".*", "(a{1000}){1000}", "(?=x)", "^$", "\\p{L}+", "(x)|(y)", "a" * 999)


@contextmanager
def cases() -> Iterator[Case]:
    """Write a configuration, load it, and read a delivery by it."""
    seeds = [path.read_bytes() for path in corpus("*.yaml")]
    contents = [yaml.safe_load(each) for each in seeds]
    delivery = Path("delivery")
    delivery.mkdir()
    (delivery / "prices.csv").write_bytes((CORPUS / "prices.csv").read_bytes())
    (Path("config")).mkdir()
    (Path("config") / "default.yaml").write_bytes((CORPUS / "default.yaml").read_bytes())
    base = yaml.safe_load((CORPUS / "market_jp.yaml").read_bytes())
    base["source"]["datasets"] = {
        "prices": {"files": "prices.csv", "columns": {"month": "date", "security_id": "code"}}
    }
    (Path("config") / "base.yaml").write_text(yaml.safe_dump(base), encoding="utf-8")

    def case(random: Random) -> str:
        path = Path("config") / "mine.yaml"
        path.write_bytes(_written(random, seeds, contents))
        try:
            config = load_config(path, delivery)
            config.digest()
        except ConfigurationError as error:
            assert "mine.yaml" in str(error), f"the message names no file: {error}"
            return "refused"
        try:
            source = FilesSource.from_config(config.source)
            for dataset in source.datasets():
                source.fetch(dataset, FIRST, LAST)
        except (ConfigurationError, SourceError) as error:
            assert len(str(error)) < 20_000, "the message is a book"
            return "loaded, and refused by the delivery"
        return "loaded, and read"

    yield case


def _written(random: Random, seeds: list[bytes], contents: list[Any]) -> bytes:
    kind = random.random()
    if kind < 0.3:
        return mutated(random, random.choice(seeds), seeds)
    if kind < 0.5:
        return yaml.safe_dump(spoiled(random, random.choice(contents)), allow_unicode=True).encode("utf-8", "replace")
    if kind < 0.95:
        return yaml.safe_dump(_mapped(random), allow_unicode=True).encode("utf-8", "replace")
    return _bomb(random).encode()


def _mapped(random: Random) -> dict[str, Any]:
    """Return a configuration with a strange mapping of the delivery's file."""
    mapping: dict[str, Any] = {
        "files": "prices.csv" if random.random() < 0.95 else random.choice(("*.csv", "**/*.csv", *WORDS)),
        "columns": {random.choice(("close", "volume", "market_value")): _expression(random)},
    }
    options = {
        "encoding": ("cp932", "undefined", "zlib", "idna", "utf-16", "unicode_escape"),
        "separator": (";", "\t", '"', "\n", "", ",,"),
        "date_format": ("%Y-%m-%d", "%Y", "%", "%Q", "%d%d%d%Y%m", "%Y" * 400, "%s", "%+", "%Y-%m-%dT%H%z", "\0"),
        "decimal": (",", "x"),
        "thousands": (",", ".", "1", "\0", "é"),
        "missing": (["-"], ["0"], ["1e400", "nan"], []),
        "code": tuple({"pattern": each} for each in _PATTERNS),
        "types": ({"close": "text"}, {"nothing": "date"}, {"code": "number"}),
        "available_after": ({"months": 3}, {"days": 10**9}, {"months": -1}),
    }
    for name in random.sample(list(options), random.choice((0, 0, 0, 1, 1, 2))):
        mapping[name] = random.choice((*options[name], random.choice(WORDS)))
    if random.random() < 0.2:
        mapping["columns"][random.choice(("month", "security_id", "total_return"))] = _expression(random)
    return {"base": "base.yaml", "source": {"datasets": {"prices": mapping}}}


def _expression(random: Random, depth: int = 0) -> str:
    if depth > 3 or random.random() < 0.3:
        return random.choice((*_ATOMS, *_ATOMS, random.choice(WORDS)))
    shape = random.choice(_SHAPES)
    written = shape.format(*(_expression(random, depth + 1) for _ in range(shape.count("{}"))))
    return (
        written
        if random.random() < 0.97
        else random.choice((nested(random, "(", ")")[:90_000], "1+" * random.choice((400, 900)) + "1"))
    )


def _bomb(random: Random) -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return random.choice(
        (
            "\n".join(lines),
            "\n".join(lines).replace("[", "{<<: [").replace("]", "]}").replace("x", "{x: 1}"),
            nested(random, "[", "]"),
            nested(random, "{a: ", "}"),
            nested(random, "- ", ""),
            "a: &a [*a]",
            "a: " + "9" * 6_000,
            "a: 2016-99-99",
            "a: " + "x" * 1_000_001,
            "[" + "1, " * 200_000 + "]",
            "? [a, b]\n: c",
            "{[a]: b}",
            "2016: a",
            "a: !!binary x",
            "a: !!python/object/apply:os.system [ls]",
            "a: 1\na: 2",
            "base: mine.yaml",
            "base: ../../../etc",
            "base: 'a\\0b'",
            "base: /dev/zero",
        )
    )
