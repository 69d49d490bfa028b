"""Which calls to a store meet which fault: pure data, and the same for the same seed whatever the order of threads."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum

READS = frozenset({"GET", "HEAD", "LIST"})
BODIES = frozenset({"GET", "LIST"})
ALL = READS | {"PUT", "DELETE"}


class Fault(Enum):
    """What the store does wrong, in words, and at which calls it can."""

    ERROR = "answers 500 with an S3 error", ALL
    EMPTY_ERROR = "answers 503 without a body", ALL
    SLOW_DOWN = "answers 503 SlowDown", ALL
    ERROR_PAGE = "answers 503 with a load balancer's page", ALL
    PAGE = "answers 200 with a page that is no answer", ALL
    RESET_BEFORE = "resets before the request is passed on", ALL
    RESET_AFTER = "resets after it did what was asked", ALL
    STALL = "is silent", ALL
    STALL_IN_BODY = "is silent in the middle of a body", BODIES
    DRIP = "drips", ALL
    CUT = "cuts a body short", BODIES
    CUT_CHUNKED = "cuts a body in chunks short", BODIES
    CUT_CLOSED = "cuts a body of unknown length short", BODIES
    LOSE = "accepts a write and loses it", frozenset({"PUT"})
    STALE = "reads what was there before", READS
    OTHER = "reads another object", frozenset({"GET"})
    FLIP = "changes a bit of what is read", frozenset({"GET"})

    def __init__(self, words: str, methods: frozenset[str]) -> None:
        self.words = words
        self.methods = methods


# What each call waits for until it is given up.
SLOW = (Fault.STALL, Fault.STALL_IN_BODY, Fault.DRIP)


@dataclass(frozen=True)
class Call:
    """A call to the store; of a listing the key is the prefix."""

    method: str
    key: str


@dataclass(frozen=True)
class Rule:
    """A fault and the calls that meet it.

    Attributes
    ----------
    fault
        What happens.
    where
        Regular expression that is searched in "METHOD key".
    first, last
        Of the calls that match, from which to which, counted from 1.
    odd
        Only the first, third, … call of the same method and key: each second attempt is answered well.
    share
        How many of them meet it.
    stays
        Once it has begun, every call that can meet it does, whether it matches or not.
    """

    fault: Fault
    where: str = ""
    first: int = 1
    last: int = 1_000_000_000
    odd: bool = False
    share: float = 1.0
    stays: bool = False


class Plan:
    """Rules, the first that holds counts; it counts the calls it is asked about."""

    def __init__(self, *rules: Rule, seed: int = 0) -> None:
        self._rules = rules
        self._seed = seed
        self._matched: Counter[int] = Counter()
        self._met: Counter[Call] = Counter()
        self._begun: set[int] = set()

    def meets(self, call: Call) -> tuple[Fault | None, random.Random]:
        """Return the fault that a call meets, and the chance that belongs to the call."""
        self._met[call] += 1
        number = self._met[call]
        chance = random.Random(f"{self._seed} {call.method} {call.key} {number}")
        met: Fault | None = None
        for index, rule in enumerate(self._rules):
            if call.method not in rule.fault.methods:
                continue
            if index not in self._begun:
                if not re.search(rule.where, f"{call.method} {call.key}"):
                    continue
                self._matched[index] += 1
                if not rule.first <= self._matched[index] <= rule.last:
                    continue
                if rule.stays:
                    self._begun.add(index)
            if met is None and (number % 2 == 1 or not rule.odd) and chance.random() < rule.share:
                met = rule.fault
        return met, chance
