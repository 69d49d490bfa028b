"""How often a fault was caused, what came of it, and whether what must hold did."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PROPERTY = "fault"


@dataclass
class Tally:
    """Cases of one kind of fault.

    Attributes
    ----------
    fault
        What was done, as the table calls it.
    cases
        How often.
    outcomes
        How many cases ended in which way.
    violations
        What did not hold, a line each.
    """

    fault: str
    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @contextmanager
    def case(self, what: str) -> Iterator[None]:
        """Count a case; what it raises is a violation, and the next case goes on."""
        self.cases += 1
        try:
            yield
        except Exception as error:
            self.violations.append(f"{self.fault}: {what}: {type(error).__name__}: {error}")

    def ended(self, outcome: str) -> None:
        """Count how a case ended."""
        self.outcomes[outcome] += 1

    def to_text(self) -> str:
        """Return the tally as a report of pytest can carry it between processes."""
        return json.dumps([self.fault, self.cases, self.outcomes, len(self.violations)])


def table(texts: Iterable[str]) -> list[str]:
    """Return tallies as lines of Markdown, those of one fault added up."""
    cases: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    outcomes: dict[str, Counter[str]] = {}
    for fault, number, ended, violated in map(json.loads, texts):
        cases[fault] += number
        violations[fault] += violated
        outcomes.setdefault(fault, Counter()).update(ended)
    lines = ["| fault | cases | came of it | violations |", "|---|---|---|---|"]
    for fault in cases:
        came = ", ".join(f"{number} {outcome}" for outcome, number in outcomes[fault].most_common())
        lines.append(f"| {fault} | {cases[fault]} | {came} | {violations[fault]} |")
    lines.append(f"| all | {cases.total()} | | {violations.total()} |")
    return lines
