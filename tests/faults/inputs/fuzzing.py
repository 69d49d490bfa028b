"""Many cases of one kind in a process of its own, whose crashes, hangs and memory can be seen from outside."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from deepfactor.stack.layout import CHECKOUT

CORPUS = Path(__file__).parent / "corpus"
# Seconds of work for one case, and on average of waiting: on a machine that does other things as well.
DEADLINE = 15
_LONGEST_CASE = 5
# The last line: what a process may ask for at all, threads' stacks and libraries included.
_ADDRESS_SPACE = 16 << 30

Case = Callable[[Random], str]
"""Does one case in the working directory, and says how it ended; whatever it raises is a violation."""
Kind = Callable[[], AbstractContextManager[Case]]


@dataclass
class Outcome:
    """What came of cases.

    Attributes
    ----------
    ended
        How each case ended, by its number.
    violations
        What was raised, by the case's number.
    grown
        Bytes by which the process's peak of memory has grown since its first cases.
    left
        Files that lay somewhere at the end that were not there before.
    """

    ended: dict[int, str] = field(default_factory=dict)
    violations: dict[int, str] = field(default_factory=dict)
    grown: int = 0
    left: list[str] = field(default_factory=list)


def run(kind: str, count: int, environment: dict[str, str] | None = None) -> Outcome:
    """Run cases 0 … count - 1 of a kind; a process that dies is a violation, and another one goes on after it.

    Parameters
    ----------
    kind
        Name of a module here, whose ``cases`` is a :data:`Kind`.
    count
        Number of cases.
    environment
        Variables of the process, beside the usual ones.
    """
    outcome = Outcome()
    number = 0
    while number < count:
        with tempfile.TemporaryDirectory(prefix="deepfactor-inputs-") as folder:
            told = Path(folder) / "told"
            done = subprocess.run(
                [sys.executable, "-m", __name__, kind, str(number), str(count), str(told)],
                env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONFAULTHANDLER": "1", **(environment or {})},
                cwd=folder,
                capture_output=True,
                timeout=120 + count * _LONGEST_CASE,
                check=False,
            )
            lines = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
            if not lines:
                raise AssertionError(f"{kind} did not begin: {done.stderr.decode(errors='replace')[-3000:]}")
            for line in lines:
                if "grown" in line:
                    outcome.grown = max(outcome.grown, line["grown"])
                    outcome.left = line["left"]
                    return outcome
                kept = outcome.violations if line.get("violation") else outcome.ended
                kept[line["case"]] = line["ended"]
                number = line["case"] + 1
            last = done.stderr.decode(errors="replace")[-600:]
            outcome.violations[number] = f"the process ended with {done.returncode}: {last}"
            number += 1
    return outcome


def main(kind: str, first: int, count: int, told: Path) -> None:
    """Run cases and tell of each in a file, a line each."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    signal.signal(signal.SIGPROF, _too_late)
    module = import_module(f"tests.faults.inputs.{kind}")
    cases: Kind = module.cases
    # What is imported when it is first needed is no case's.
    warm = getattr(module, "WARM", 20)
    scratch = told.with_name("scratch")
    scratch.mkdir()
    os.chdir(scratch)
    with told.open("w", buffering=1) as file, cases() as case:
        usual = 0
        for number in range(first, count):
            usual = _peak() if number == first + warm else usual
            file.write(json.dumps({"case": number, **_one(case, Random(f"{kind} {number}"))}) + "\n")
        left = [path.name for path in told.parent.iterdir() if path not in (told, scratch)]
        file.write(json.dumps({"grown": _peak() - usual if usual else 0, "left": left}) + "\n")


def _one(case: Case, random: Random) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_PROF, DEADLINE)
    try:
        return {"ended": case(random)}
    except BaseException as error:  # polars' panics are no ordinary exceptions
        return {"ended": f"{type(error).__name__}: {str(error)[:600]}{_place(error)}", "violation": True}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, ""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "deepfactor" in name:
            place = f" (at {Path(name).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


class _TooLate(BaseException):
    """Nobody may take it for a failure of his own."""


def _too_late(*_: object) -> None:
    raise _TooLate(f"not done after {DEADLINE} s of work")


def _peak() -> int:
    # Not of getrusage, where a process begins with the peak of the one that started it.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def corpus(*patterns: str) -> Iterator[Path]:
    """Return the corpus's files that match any of some globs, sorted."""
    yield from sorted({path for pattern in patterns for path in CORPUS.glob(pattern)})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
