"""What a backfill through Airflow costs: wall time beside the time inside the steps, start-up, processors, database.

Starts an embedded stack in a new folder, lands a simulated market, publishes its last months with the command's own
code, and prints the figures as a Markdown table. What the evaluation DAG would do meanwhile is left out. Processor time
is read from the system, for it says the same on a busy machine; wall time does not. 120 months are extrapolated.

    python benchmarks/backfill.py [--stocks 300] [--months 120] [--max-active 2]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import psutil
from sqlalchemy import create_engine, text

from deepfactor.backfill.airflow import Backfill, BackfillClient
from deepfactor.backfill.driving import Request, run_backfill
from deepfactor.backfill.following import Progress
from deepfactor.backfill.outcome import MonthOutcome
from deepfactor.backfill.sizing import months_at_once
from deepfactor.cores import available_cores
from deepfactor.months import Month, month_range
from deepfactor.sources.simulated import land
from deepfactor.stack import postgres
from deepfactor.stack.airflow_settings import DAG, EVALUATION_DAG
from deepfactor.stack.demonstration import prepare_delivery
from deepfactor.stack.layout import Layout, Ports
from deepfactor.stack.stack import Stack, down, up
from deepfactor.stack.state import read_state

LAST = Month.parse("2016-02")
PAPER = 120
# Not the default ones, so that a demonstration may run beside it.
PORTS = Ports(api=28680, s3=24980)
_INTERVAL = 5.0
# How the library logs that a step was done.
_STEP = re.compile(r"^\d{4}-\d{2} [\w-]+: .*, (\d+\.\d) s *$")


@dataclass
class Task:
    """A task of a month: Airflow's seconds of it, those inside its step, and those between queue and start."""

    name: str
    seconds: float
    inside: float | None
    queued: float


@dataclass
class Memory:
    """Largest memory of all processes together, shared pages divided among those that share them, in bytes."""

    peak: int = 0


def processor_seconds(layout: Layout) -> dict[str, float]:
    """Return the processor time so far by what used it; tasks are children of the executor's workers."""
    state = read_state(layout)
    found = {}
    for name, record in state.processes.items():
        process = psutil.Process(record.pid)
        found[name] = _own(process) + (0.0 if name == "scheduler" else _children(process))
    workers = psutil.Process(state.processes["scheduler"].pid).children()
    found["task supervisors"] = sum(map(_own, workers))
    found["tasks"] = sum(map(_children, workers))
    if server := postgres.running(layout):
        found["PostgreSQL"] = _own(server) + _children(server)
    return found


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _children(process: psutil.Process) -> float:
    times = process.cpu_times()
    ended = float(times.children_user + times.children_system)
    living = 0.0
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            living += _own(child)
    return ended + living


@contextmanager
def watched(layout: Layout) -> Iterator[Memory]:
    memory, over = Memory(), threading.Event()
    state = read_state(layout)
    leaders = [psutil.Process(record.pid) for record in state.processes.values()]

    def watch() -> None:
        while not over.wait(_INTERVAL):
            total = 0
            for each in (*leaders, *(child for leader in leaders for child in leader.children(recursive=True))):
                with suppress(psutil.Error):
                    own = each.memory_full_info()
                    total += getattr(own, "pss", own.uss)
            memory.peak = max(memory.peak, total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


class Lines:
    """Prints a line for each month that ends."""

    def __init__(self) -> None:
        self.started = perf_counter()

    def begin(self, backfill: Backfill, months: Sequence[Month], *, attached: bool) -> None:  # noqa: ARG002
        print(f"{backfill}: {len(months)} months, {backfill.max_active} at once", flush=True)

    def show(self, progress: Progress) -> None:
        for month, state in progress.ended:
            print(f"  {month} {state} after {perf_counter() - self.started:.0f} s", flush=True)


def tasks(stack: Stack, outcomes: Sequence[MonthOutcome]) -> list[Task]:
    found = []
    for outcome in (each for each in outcomes if each.published):
        path = f"/api/v2/dags/{DAG}/dagRuns/{outcome.run}/taskInstances"
        answer = stack.session.call("GET", path, params={"limit": 100}).json()["task_instances"]
        details = {(each["task_id"], each["map_index"]): each for each in answer}
        for state in stack.session.tasks(DAG, str(outcome.run)):
            log = stack.session.log(DAG, str(outcome.run), state)
            inside = [float(match[1]) for line in log if (match := _STEP.match(line))]
            detail = details[state.task, state.index]
            waited = _moment(detail["start_date"]) - _moment(detail["queued_when"])
            found.append(Task(state.task, state.seconds or 0.0, sum(inside) if inside else None, waited))
    return found


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def database_bytes(layout: Layout) -> int:
    with create_engine(postgres.running_address(layout) or "").connect() as connection:
        return int(connection.execute(text("select pg_database_size(current_database())")).scalar_one())


def rows(
    arguments: argparse.Namespace,
    wall: float,
    used: Mapping[str, float],
    found: Sequence[Task],
    database: int,
    peak: int,
) -> list[tuple[str, str]]:
    cores, months = available_cores(), arguments.months
    logged = [(each, each.inside) for each in found if each.inside is not None]
    inside = sum(seconds for _, seconds in logged)
    lost = [each.seconds - seconds for each, seconds in logged]
    return [
        ("stocks, months, at once, cores", f"{arguments.stocks}, {months}, {arguments.max_active}, {cores}"),
        ("wall time", f"{wall / 60:.1f} min, {wall / months:.1f} s a month"),
        (f"extrapolated to {PAPER} months", f"{wall / months * PAPER / 60:.0f} min"),
        ("seconds inside steps, a month", f"{inside / months:.1f}"),
        ("wall time × cores / seconds inside steps", f"{wall * cores / inside:.2f}"),
        ("wall time × cores / processor seconds of tasks", f"{wall * cores / used['tasks']:.2f}"),
        ("lost in a task outside its step, mean and median", f"{mean(lost):.2f} s, {median(lost):.2f} s"),
        ("from queue to start, median", f"{median(each.queued for each in found):.2f} s"),
        *((f"processor seconds a month, {name}", f"{seconds / months:.2f}") for name, seconds in used.items()),
        ("scheduler, of a core", f"{used['scheduler'] / wall:.1%}"),
        ("machine busy with the stack", f"{sum(used.values()) / wall / cores:.0%}"),
        ("database after it", f"{database / 1e6:.0f} MB"),
        ("peak memory of the stack but PostgreSQL", f"{peak / 1e9:.1f} GB"),
    ]


def by_task(found: Sequence[Task]) -> list[tuple[str, str]]:
    names = dict.fromkeys(each.name for each in found)
    lines = []
    for name in names:
        chosen = [each for each in found if each.name == name]
        inside = [each.inside for each in chosen if each.inside is not None]
        seconds = f"{mean(each.seconds for each in chosen):.1f} s"
        lines.append((f"task {name}", seconds + (f", inside its step {mean(inside):.1f} s" if inside else "")))
    return lines


def measure(arguments: argparse.Namespace, layout: Layout) -> list[tuple[str, str]]:
    stack = up(layout, PORTS)
    stack.session.call("PATCH", f"/api/v2/dags/{EVALUATION_DAG}", json={"is_paused": True})
    delivery = prepare_delivery(layout, arguments.stocks)
    land(delivery.folder, delivery.simulation)
    months = tuple(month_range(LAST + -(arguments.months - 1), LAST))
    request = Request(months, arguments.max_active, conf={"config": str(delivery.config)})
    before = processor_seconds(layout)
    with watched(layout) as memory:
        started = perf_counter()
        outcomes = run_backfill(BackfillClient(stack.session, DAG), request, stack.endpoint.open(), Lines())
        wall = perf_counter() - started
    used = {name: seconds - before[name] for name, seconds in processor_seconds(layout).items()}
    published = sum(each.published for each in outcomes)
    for each in outcomes:
        if not each.published:
            print(f"{each.month} {each.task}: {each.reason}")
    found = tasks(stack, outcomes)
    lines = rows(arguments, wall, used, found, database_bytes(layout), memory.peak)
    stack.session.close()
    return [("published", f"{published} of {len(outcomes)}"), *lines, *by_task(found)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stocks", type=int, default=300)
    parser.add_argument("--months", type=int, default=PAPER)
    fitting = months_at_once(psutil.virtual_memory().available, available_cores())
    parser.add_argument("--max-active", type=int, default=fitting)
    parser.add_argument("--root", type=Path, help="Folder to keep; else a temporary one.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deepfactor-backfill-") as folder:
        layout = Layout(arguments.root or Path(folder))
        try:
            lines = measure(arguments, layout)
        finally:
            down(layout)
    print("\n| figure | value |\n|---|---|")
    for name, value in lines:
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
