"""Twelve months through Airflow while its machinery is ended again and again; needs an hour.

The short form is in ``tests/integration/test_backfill.py``, where a stack runs already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random
from urllib.parse import quote

import pytest
import yaml

from deepfactor.config import DEFAULT_CONFIG, SimulationConfig, load_config
from deepfactor.months import Month, month_range
from deepfactor.publication import published_months
from deepfactor.sources.simulated import land
from deepfactor.stack.airflow_settings import DAG, EVALUATION_DAG
from deepfactor.stack.layout import Ports
from deepfactor.stack.stack import Stack
from tests.faults.stack_faults import (
    API_SERVER_KILLED,
    DATABASE_KILLED,
    DATABASE_RESTARTED,
    ENDPOINT_KILLED,
    SCHEDULER_KILLED,
    TASK_KILLED,
    WORKER_KILLED,
    Fault,
    FollowedBackfill,
    announcements,
    check_months,
    endure,
    undisturbed,
)
from tests.faults.tally import Tally
from tests.integration.conftest import stack  # noqa: F401 - a fixture

pytestmark = pytest.mark.integration

PORTS = Ports(api=28780, s3=25080)
MONTHS = list(month_range(Month.parse("2015-03"), Month.parse("2016-02")))
MODELS = ("dfm1", "linear")
# A task for each step, and one more for each model but the first.
TASKS = len(MONTHS) * (7 + len(MODELS) - 1)
TIMES = 5
SEED = 8
# Those that suffer the same backfill.
BACKFILLS = (
    (DATABASE_RESTARTED, DATABASE_KILLED),
    (SCHEDULER_KILLED, API_SERVER_KILLED),
    (ENDPOINT_KILLED, TASK_KILLED, WORKER_KILLED),
)


@pytest.fixture(scope="module", autouse=True)
def _in_full(cases: Callable[[int, int], int]) -> None:
    if not cases(TIMES, 0):
        pytest.skip("an hour: only with DEEPFACTOR_FAULTS=full; some of each in tests/integration/test_backfill.py")


@pytest.fixture(scope="module")
def config(_in_full: None, stack: Stack) -> str:  # noqa: F811 - the fixture
    content = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    simulation = SimulationConfig(stocks=100)
    content["source"] |= {"folder": str(stack.layout.local / "market"), "simulate": asdict(simulation)}
    content |= {
        "universe": {"minimum_stocks": 40},
        "training": {"members": 2, "epochs": 2, "batch_size": 32, "learning_rate": 0.001},
        "models": list(MODELS),
        "signal_model": MODELS[0],
        "expectations": load_config().expectations,
    }
    land(stack.layout.local / "market", simulation)
    path = stack.layout.local / "test.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    # Its work would only take time from the months.
    stack.session.call("PATCH", f"/api/v2/dags/{EVALUATION_DAG}", json={"is_paused": True})
    return str(path)


@pytest.fixture(scope="module")
def expected(stack: Stack, config: str) -> dict[Month, bytes]:  # noqa: F811 - the fixture
    return undisturbed(stack, MONTHS, load_config(Path(config)))


@pytest.mark.parametrize("faults", BACKFILLS, ids=lambda faults: ", ".join(each.name for each in faults))
def test_a_backfill_outlives(
    faults: tuple[Fault, ...],
    stack: Stack,  # noqa: F811 - the fixture
    config: str,
    expected: dict[Month, bytes],
    tally: Callable[[str], Tally],
) -> None:
    announced = announcements(stack, MONTHS)
    _forget_months(stack, list(announced))
    counts = [(each, tally(each.name)) for each in faults]
    order = counts * TIMES
    Random(SEED).shuffle(order)
    backfill = FollowedBackfill(stack, MONTHS, "--config", config, "--max-active", "2")
    try:
        endure(backfill, order, TASKS, SEED, lambda: check_months(stack, MONTHS, expected, announced))
    finally:
        backfill.close()
    assert published_months(stack.endpoint.open()) == MONTHS


def _forget_months(stack: Stack, runs: list[str]) -> None:  # noqa: F811 - the fixture
    """Leave neither objects nor runs of earlier backfills."""
    store = stack.endpoint.open()
    for key in (key for prefix in ("manifests/", "runs/", "raw/") for key in store.list(prefix)):
        store._client.delete_object(Bucket=store.bucket, Key=store._full(key))
    for run in runs:
        stack.session.call("DELETE", f"/api/v2/dags/{DAG}/dagRuns/{quote(run)}")
