"""A whole month before a store that answers wrongly: published right, or refused clearly and resumed."""

from __future__ import annotations

import random
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from deepfactor.config import Config
from deepfactor.patience import Patience
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.faults.disturbed import Disturbance, undisturbed
from tests.faults.plan import SLOW, Call, Fault, Plan, Rule
from tests.faults.proxy import Proxy, proxied
from tests.faults.tally import Tally

PATIENCE = Patience(connect=2.0, silence=0.7, attempt=2.0, attempts=6, pause=0.002)
LIMIT = 900.0
_FIRST = (Fault.RESET_AFTER, Fault.LOSE)
QUICK = (*_FIRST, *(each for each in Fault if each not in (*_FIRST, *SLOW)))
# That an object is not there may be true, and so may be what another says: then the month fails.
UNCHECKED = (Fault.STALE, Fault.OTHER)
# A month can begin after each.
STEPS = (None, "ingest", "validate", "describe", "train linear", "train dfm1", "attribute", "bless")


@pytest.fixture(scope="module")
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    with proxied(endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def disturbance(proxy: Proxy, bucket: Store, small_config: Config, cases: Callable[[int, int], int]) -> Disturbance:
    """A month of the linear model and, in the long form, a network."""
    config = replace(small_config, models=("linear", "dfm1")[: cases(2, 1)], signal_model="linear")
    place = secrets.token_hex(6)
    real = bucket.below(place)
    return Disturbance(undisturbed(real, config), config, real, proxy.open(PATIENCE).below(place), LIMIT)


def test_every_call_s_first_attempt(
    proxy: Proxy, disturbance: Disturbance, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    """The whole month, or in the short form what follows the gates, with the fault at each first attempt."""
    done = (None, "bless")[cases(0, 1)]
    for fault in (*QUICK, *SLOW)[: cases(len(Fault), 2)]:
        count = tally(f"a month: at every call, once, the store {fault.words}")
        with count.case("every call"):
            outcome = disturbance.run(proxy, done, Plan(Rule(fault, odd=True)))
            count.ended(outcome)
            assert fault in UNCHECKED or outcome == "published", "the second attempt would have succeeded"


def test_from_a_call_on(
    proxy: Proxy, disturbance: Disturbance, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    """The fault begins at a call and stays until it is healed, there or everywhere: every kind of call of each step."""
    kinds = _kinds(proxy, disturbance, cases(0, len(STEPS) - 1))
    chance = random.Random(20160229)
    for number, (done, kind) in enumerate(chance.sample(sorted(kinds, key=str), cases(len(kinds), 1))):
        possible = [fault for fault in Fault if kind.split()[0] in fault.methods]
        fault = possible[number % len(possible)]
        first = chance.randint(1, kinds[done, kind])
        count = tally(f"a month: from some call on the store {fault.words}")
        rule = Rule(fault, where=f"^{kind}", first=first, stays=number % 2 == 0)
        with count.case(f"after {done}: {rule}"):
            count.ended(disturbance.run(proxy, done, Plan(rule, seed=number)))


def test_mixtures(
    proxy: Proxy, disturbance: Disturbance, tally: Callable[[str], Tally], cases: Callable[[int, int], int]
) -> None:
    """Every fault at some calls, whichever they are."""
    count = tally("a month: the store does all of it now and then")
    for number in range(cases(24, 1)):
        share = (0.002, 0.01, 0.03)[number % 3]
        done = STEPS[number % len(STEPS)] if cases(1, 0) else "bless"
        rules = [Rule(fault, share=share) for fault in Fault]
        random.Random(number).shuffle(rules)
        with count.case(f"seed {number}, share {share}, after {done}"):
            count.ended(disturbance.run(proxy, done, Plan(*rules, seed=number)))


def _kinds(proxy: Proxy, disturbance: Disturbance, first: int) -> Counter[tuple[str | None, str]]:
    """Return how many calls of which kind there are in each step, named by the step before it."""
    kinds: Counter[tuple[str | None, str]] = Counter()
    done = STEPS[first]
    for step, calls in disturbance.calls(proxy, done):
        kinds.update((done, _kind(call)) for call in calls)
        done = step
    return kinds


def _kind(call: Call) -> str:
    """Return a pattern of the calls that differ only in month, hash and name of the file."""
    key = re.sub(r"[0-9a-f]{12,}", "[0-9a-f]+", call.key)
    key = re.sub(r"\d{4}-\d{2}", "[0-9-]+", key)
    key = re.sub(r"(validation|results|validated|models)/.*", r"\1/", key)
    return f"{call.method} {key}"
