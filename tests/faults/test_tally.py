"""The count itself: a case that raises is a violation, and the table adds up."""

from __future__ import annotations

from tests.faults.tally import Tally, table


def test_a_case_that_raises_is_a_violation_and_the_next_goes_on() -> None:
    count = Tally("kill")
    for number in range(3):
        with count.case(f"case {number}"):
            if number == 1:
                raise ValueError("half a manifest")
            count.ended("published")
    assert count.cases == 3
    assert count.violations == ["kill: case 1: ValueError: half a manifest"]
    assert table([count.to_text(), count.to_text()])[2:] == [
        "| kill | 6 | 4 published | 2 |",
        "| all | 6 | | 2 |",
    ]
