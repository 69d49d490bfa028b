"""Faults are counted; ``make test-faults`` causes all of them, the ordinary tests some of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.faults.tally import PROPERTY, Tally, table


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Tally]]:
    """Begin to count a fault's cases; the test fails at its end if one was violated."""
    begun: list[Tally] = []

    def begin(fault: str) -> Tally:
        begun.append(Tally(fault))
        return begun[-1]

    yield begin
    for each in begun:
        request.node.user_properties.append((PROPERTY, each.to_text()))
        assert each.cases, f"{each.fault}: no case"
    violations = [line for each in begun for line in each.violations]
    assert not violations, "\n".join(violations)


@pytest.fixture(scope="session")
def cases() -> Callable[[int, int], int]:
    """Choose how many cases: the first number with DEEPFACTOR_FAULTS=full, else the second."""
    full = os.environ.get("DEEPFACTOR_FAULTS") == "full"
    return lambda all_of_them, some: all_of_them if full else some


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was counted."""
    texts = {
        (report.nodeid, text)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, text in getattr(report, "user_properties", [])
        if name == PROPERTY
    }
    if texts:
        terminalreporter.section("faults")
        for line in table(text for _, text in sorted(texts)):
            terminalreporter.write_line(line)
