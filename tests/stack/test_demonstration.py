from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from deepfactor.config import DEFAULT_CONFIG, load_config
from deepfactor.stack import demonstration
from deepfactor.stack.airflow_client import AirflowClient, TaskState
from deepfactor.stack.demonstration import prepare_delivery
from deepfactor.stack.layout import CHECKOUT, Layout
from deepfactor.stack.object_store import Endpoint
from deepfactor.stack.progress import STEPS, follow, ordered, tasks_table
from deepfactor.stack.stack import Stack


def task(name: str, state: str | None = "success", index: int = -1, label: str | None = None) -> TaskState:
    return TaskState(name, index, label, state, 1.5, datetime.now(UTC) - timedelta(seconds=9), 1)


class FakeSession:
    """Answers what a sequence of looks at a run would see."""

    def __init__(self, looks: list[tuple[str, list[TaskState]]]) -> None:
        self.looks = looks

    def trigger(self, *_: Any) -> str:
        return "manual__1"

    def run(self, *_: Any) -> dict[str, str]:
        return {"state": self.looks[0][0]}

    def tasks(self, *_: Any) -> list[TaskState]:
        return self.looks.pop(0)[1] if len(self.looks) > 1 else self.looks[0][1]

    def log(self, _dag: str, _run: str, failed: TaskState) -> list[str]:
        return [f"line {number} of {failed.task}" for number in range(100)]


def session(*looks: tuple[str, list[TaskState]]) -> AirflowClient:
    return cast(AirflowClient, FakeSession(list(looks)))


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=100)


def output(console: Console) -> str:
    return cast(StringIO, console.file).getvalue()


def test_the_default_market_needs_no_configuration_of_its_own() -> None:
    stocks = load_config().source.simulate
    assert stocks is not None
    delivery = prepare_delivery(Layout(CHECKOUT), stocks.stocks)
    assert CHECKOUT / delivery.config == DEFAULT_CONFIG
    assert delivery.folder == CHECKOUT / ".local" / "market"


def test_another_market_gets_one_that_says_the_same(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    delivery = prepare_delivery(layout, 77)
    written, default = load_config(delivery.config), load_config()
    assert written.source.simulate == delivery.simulation
    assert delivery.simulation.stocks == 77
    assert Path(str(written.source.folder)) == delivery.folder
    assert delivery.folder.is_relative_to(layout.local)
    assert written.expectations == default.expectations
    assert (written.models, written.gates, written.training) == (default.models, default.gates, default.training)


def test_tasks_are_shown_in_the_order_of_the_flow() -> None:
    shuffled = [task("publish"), task("train", index=1, label="dfm2"), task("train", index=0), task("ingest")]
    assert [each.name for each in ordered(shuffled)] == ["ingest", "train [0]", "train [dfm2]", "publish"]
    assert tasks_table(shuffled).row_count == 4
    assert len(set(STEPS)) == len(STEPS)


def test_each_task_is_printed_once_when_it_ends(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepfactor.stack.progress._INTERVAL", 0.0)
    looks = session(
        ("running", [task("ingest", "running")]),
        ("running", [task("ingest"), task("validate", None)]),
        ("success", [task("ingest"), task("validate")]),
    )
    assert follow(looks, "dag", "run", console) == "success"
    assert [line.split()[:2] for line in output(console).splitlines()] == [["ingest", "done"], ["validate", "done"]]


def test_a_terminal_sees_a_running_task_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepfactor.stack.progress._INTERVAL", 0.0)
    console = Console(file=StringIO(), force_terminal=True, width=100)
    assert follow(session(("success", [task("ingest"), task("train", "running")])), "d", "r", console) == "success"
    assert "9.0" in output(console)


def test_a_failed_run_names_the_task_and_shows_the_end_of_its_log(console: Console, tmp_path: Path) -> None:
    looks = session(("failed", [task("ingest"), task("validate", "failed"), task("describe", "upstream_failed")]))
    stack = Stack(Layout(tmp_path), cast(Endpoint, None), "http://127.0.0.1:1", looks)
    assert demonstration._run(stack, {}, console) is None
    text = output(console)
    assert "The task validate failed" in text
    assert "line 99 of validate" in text
    assert "line 9 of validate" not in text
    assert "describe" in text and "line 99 of describe" not in text
    assert "Nothing was published" in text
