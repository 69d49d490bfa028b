"""Small damage to bytes, texts and values, drawn from a seeded generator."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

# What parsers trip over, as bytes of a file.
TOKENS = (
    b"\0",
    b'"',
    b'""',
    b"'",
    b",",
    b";",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xff",
    b"\x81",
    b"PAR1",
    b"\x1f\x8b",
    b"1e400",
    b"-inf",
    b"NaN",
    b"9999-12-31",
    b"0000-00-00",
    b"10000-01-01",
    b"2016-02-30",
    b"\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x10",
    b"{",
    b"}",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!python/object ",
    b"? ",
    b": ",
    b"- ",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa9",
    b"\xed\xa0\x80",
)
# What a vendor, or somebody at a keyboard, might give for a value.
WORDS = (
    "",
    " ",
    "-",
    "0",
    "-0",
    "1",
    "-1",
    "1e400",
    "-1e400",
    "1e-400",
    "inf",
    "nan",
    "NULL",
    "0x10",
    "1_000",
    "+5",
    "5.",
    ".5",
    "1,5",
    "1.234,5",
    "１２３",
    "٣",
    "9" * 400,
    "9999-12",
    "0001-01",
    "0000-00",
    "2016-02",
    "2016-2",
    "2016-13",
    "2016-02-30",
    "9999-12-31",
    "0001-01-01",
    "-2016-02-01",
    "20160229",
    "../../etc/passwd",
    "/dev/zero",
    "s3://",
    "s3://bucket",
    "a\0b",
    "%s%n",
    "{}",
    "=1+1",
    "<script>",
    "\u202e",
    "\ufeff",
    "é" * 300,
    "\n",
    "\t",
    "\\",
    "'",
    '"',
    "**/*",
    "*" * 50,
    "[",
    "true",
    "null",
    "~",
)


def mutated(random: Random, body: bytes, others: list[bytes]) -> bytes:
    """Return bytes with a few places changed, cut, repeated, or taken from another."""
    for _ in range(random.choice((1, 1, 1, 2, 6))):
        start = random.randint(0, len(body))
        end = min(len(body), start + random.choice((1, 1, 2, 4, 16, 200)))
        match random.randrange(7):
            case 0:
                body = body[:start] + random.randbytes(end - start) + body[end:]
            case 1:
                body = body[:start] + body[end:]
            case 2:
                body = body[:end] + body[start:end] * random.choice((1, 2, 50)) + body[end:]
            case 3:
                body = body[:start] + random.choice(TOKENS) + body[start:]
            case 4:
                body = body[:start] + random.choice(TOKENS) + body[end:]
            case 5 if start < len(body):
                body = body[:start] + bytes([body[start] ^ 1 << random.randrange(8)]) + body[start + 1 :]
            case _:
                other = random.choice(others)
                place = random.randint(0, len(other))
                body = body[:start] + other[place : place + 100] + body[end:]
    return body if random.random() < 0.95 else body[: random.randint(0, len(body))]


def odd_value(random: Random, depth: int = 0) -> Any:
    """Return a value that YAML or JSON can hold and that hardly belongs anywhere."""
    kind = random.randrange(9 if depth < 2 else 7)
    match kind:
        case 0:
            return random.choice((None, True, False))
        case 1:
            return random.choice((0, -1, 1, 2**31, 2**63, -(2**70), 10**400, 10**19))
        case 2:
            return random.choice((0.0, -0.0, 1e308, -1e308, 5e-324, 0.1, float("nan"), float("inf"), -float("inf")))
        case 3 | 4 | 5:
            return random.choice(WORDS)
        case 6:
            return random.choice((date(2016, 2, 29), date.min, date.max, "x" * random.choice((10, 5_000))))
        case 7:
            return [odd_value(random, depth + 1) for _ in range(random.randint(0, 3))]
        case _:
            return {random.choice(WORDS): odd_value(random, depth + 1) for _ in range(random.randint(0, 3))}


def spoiled(random: Random, content: Any, share: float = 0.08) -> Any:
    """Return nested content in which a few values, and names, are others, missing, or there twice."""
    if random.random() < share:
        return odd_value(random)
    if isinstance(content, dict):
        kept = {}
        for key, value in content.items():
            fate = random.random()
            if fate < share / 4:
                continue
            kept[random.choice(WORDS) if fate < share / 2 else key] = spoiled(random, value, share)
        return kept
    if isinstance(content, list):
        kept_values = [spoiled(random, each, share) for each in content if random.random() >= share / 4]
        return kept_values * 2 if random.random() < share / 4 else kept_values
    return content


def nested(random: Random, opening: str, closing: str) -> str:
    """Return brackets in brackets, closed or not."""
    depth = random.choice((10, 60, 1_000, 50_000))
    return opening * depth + closing * random.choice((0, depth))
