"""What an input says in words."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.descriptors import NAMES
from deepfactor.explaining.words import WORDINGS, Rank, sentence, value_phrase

positions = st.integers(0, 1999).map(lambda place: float(np.float32(place / 1999 - 0.5)))


def test_every_descriptor_has_words() -> None:
    assert tuple(WORDINGS) == NAMES
    for wording in WORDINGS.values():
        assert wording.high != wording.low
        assert wording.unit


@pytest.mark.parametrize(
    ("descriptor", "lag", "position", "words"),
    [
        ("PER", 0, 0.43, "cheaper by earnings than 93 % of the market, three months ago 88 %"),
        ("PER", 0, -0.43, "dearer by earnings than 93 % of the market, three months ago 12 %"),
        ("60VOL", 6, -0.3, "six months ago calmer than 80 % of the market, now 12 %"),
        ("CAP", 12, 0.5, "a year ago larger than 100 % of the market, now 88 %"),
        ("ILLIQ", 0, 0.0, "harder to trade than 50 % of the market, three months ago 88 %"),
        ("1MOM", 3, 0.1, "three months ago rose more in the month than 60 % of the market, now 88 %"),
    ],
)
def test_sentences(descriptor: str, lag: int, position: float, words: str) -> None:
    beside = "now" if lag else "three months ago"
    assert sentence(descriptor, lag, Rank(position, 1.0), beside, Rank(0.38, 1.0)) == words


def test_what_is_not_known() -> None:
    known, unknown = Rank(0.2, 1.0), Rank(0.0, 0.0)
    assert sentence("PER", 0, unknown, "three months ago", known) == "not known: taken as the median"
    assert sentence("PER", 9, unknown, "now", known) == "nine months ago not known: taken as the median"
    assert sentence("PER", 0, known, "three months ago", unknown).endswith(
        "70 % of the market, three months ago not known"
    )


@given(position=positions, name=st.sampled_from(NAMES))
def test_no_more_than_is_true(position: float, name: str) -> None:
    """In whole percent, rounded down; single precision takes none away."""
    place = round((position + 0.5) * 1999)
    words = sentence(name, 0, Rank(position, 1.0), "", Rank(position, 1.0))
    found = re.search(r"than (\d+) % of the market", words)
    assert found is not None
    beaten = place if position >= 0 else 1999 - place
    assert int(found[1]) == beaten * 100 // 1999
    assert (WORDINGS[name].high if position >= 0 else WORDINGS[name].low) in words


@pytest.mark.parametrize(
    ("descriptor", "value", "phrase"),
    [
        ("60VOL", 0.0981, "volatility 9.8 % a month"),
        ("BETA", -0.123, "beta −0.12"),
        ("SKEW", 0.5, "skewness 0.5"),
        ("ROE", -0.05, "net income −5.0 % of net assets"),
        ("ROA", 0.1234, "operating profit 12.3 % of total assets"),
        ("ACCRUALS", -1.234e10, "operating cash flow less operating profit −12.3 billion"),
        ("ACCRUALS", 0.0, "operating cash flow less operating profit 0"),
        ("LEVERAGE", 0.61, "liabilities 61.0 % of total assets"),
        ("12-1MOM", 0.123, "return +12.3 % over the eleven months before this"),
        ("1MOM", -0.05, "return −5.0 % in the month"),
        ("60MOM", 1.5, "return +150.0 % over five years"),
        ("PSR", 1.25, "sales 125.0 % of market value"),
        ("PER", 0.071, "net income 7.1 % of market value"),
        ("PBR", 0.9, "net assets 90.0 % of market value"),
        ("PCFR", 0.2, "operating cash flow 20.0 % of market value"),
        ("CAP", math.log(2.13e13), "market value 21.3 trillion"),
        ("CAP", math.log(999.6e6), "market value 1 billion"),
        ("ILLIQ", 3.14e-11, "a traded million moves it 0.0031 %"),
        ("PER", None, ""),
    ],
)
def test_values_in_their_units(descriptor: str, value: float | None, phrase: str) -> None:
    assert value_phrase(descriptor, value) == phrase


def test_every_value_can_be_said() -> None:
    for name in NAMES:
        for value in (0.0, -0.3, 1e-12, 12.0):
            assert value_phrase(name, value)
