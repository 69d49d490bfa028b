"""Bars that tell sign and size without colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.explaining.bars import SignedBar


def drawn(values: list[float], width: int) -> list[str]:
    return [each.drawn(width).plain for each in SignedBar.all(values)]


def test_both_sides() -> None:
    assert drawn([0.02, -0.01, 0.0, 0.0049], 13) == ["    │████████", "████│        ", "    │        ", "    │██      "]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 0.5], ["│██████████", "│█████     "]),
        ([-1.0, -0.45], ["██████████│", "     ▐████│"]),
        ([0.0], ["│          "]),
    ],
)
def test_one_side_takes_all_the_room(values: list[float], expected: list[str]) -> None:
    assert drawn(values, 11) == expected


def test_what_is_small_is_seen_and_rounding_is_not() -> None:
    small, large, rounding = drawn([-0.001, 1.0, 1e-18], 11)
    assert small.startswith("▐│")
    assert large == " │█████████"
    assert set(rounding) == {" ", "│"}


@given(values=st.lists(st.floats(-1, 1), min_size=1, max_size=8), width=st.integers(3, 90))
def test_geometry(values: list[float], width: int) -> None:
    """All bars of a table are as wide as the column, share an axis, and stand on the side of their sign."""
    bars = drawn(values, width)
    assert {len(each) for each in bars} == {width}
    (axis,) = {each.index("│") for each in bars}
    for value, bar in zip(values, bars, strict=True):
        left, right = bar[:axis], bar[axis + 1 :]
        if value >= 0:
            assert not left.strip()
        if value <= 0:
            assert not right.strip()


@given(values=st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_a_larger_one_is_never_shorter(values: list[float]) -> None:
    def halves(bar: str) -> int:
        return 2 * bar.count("█") + bar.count("▌") + bar.count("▐")

    bars = {value: halves(bar) for value, bar in zip(values, drawn(values, 60), strict=True)}
    for sign in (1, -1):
        own = sorted((sign * value, count) for value, count in bars.items() if sign * value > 0)
        assert [count for _, count in own] == sorted(count for _, count in own)
