from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console
from rich.logging import RichHandler

from deepfactor.backtest.engine import Backtest, Progress
from deepfactor.backtest.results import Results
from deepfactor.backtest.terminal import failures_text, shown_progress, summary_table
from deepfactor.backtest.workers import Failure
from deepfactor.months import Month

JANUARY = Month.parse("2010-01")
COURSE = (
    Progress(3, 0, 0, 6, 1, None, None),
    Progress(3, 1, 0, 6, 2, 75.4, (JANUARY, None)),
    Progress(3, 1, 1, 4, 2, 30.0, (JANUARY + 1, Failure("it is [bold]wrong[/bold]"))),
    Progress(3, 2, 1, 4, 4, 0.0, (JANUARY + 2, None)),
)


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def console(request: pytest.FixtureRequest) -> Iterator[Console]:
    """Where the log goes, and with it the progress."""
    console = Console(file=StringIO(), force_terminal=request.param, width=140, color_system=None)
    handler = RichHandler(console=console, show_path=False, show_time=False)
    logging.getLogger().addHandler(handler)
    yield console
    logging.getLogger().removeHandler(handler)


def _shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    # Without the signs that move the cursor.
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", console.file.getvalue())


def test_progress(console: Console) -> None:
    with shown_progress() as report:
        for progress in COURSE:
            report(progress)
        logging.getLogger("deepfactor").warning("something odd")
    shown = _shown(console)
    assert "something odd" in shown
    assert "2 of 3 months, 1 failed, 4 of 4 models" in shown
    assert "2010-02 failed: it is [bold]wrong[/bold]" in shown
    if not console.is_terminal:
        assert shown.splitlines()[:3] == [
            "2010-01 done; 1 of 3 months, 2 of 6 models, 0:01:15 left",
            "2010-02 failed: it is [bold]wrong[/bold]; 1 of 3 months, 1 failed, 2 of 4 models, 0:00:30 left",
            "2010-03 done; 2 of 3 months, 1 failed, 4 of 4 models",
        ]


def test_results() -> None:
    row = {"months": 3, "mae": 0.0654, "rmse": 0.091, "annual_return": 0.086, "annual_volatility": 0.052}
    rows = [
        {"model": "linear", **row, "sharpe_ratio": 1.65, "rank_ic": 0.024, "rank_ic_t": None},
        {"model": "training mean", **dict.fromkeys(row, None), "months": 3, "sharpe_ratio": None, "rank_ic": None}
        | {"rank_ic_t": None},
    ]
    console = Console(file=StringIO(), width=80)
    console.print(summary_table(Results("backtests/x", rows, (JANUARY, JANUARY + 1))))
    lines = [line.split() for line in _shown(console).splitlines()]
    assert ["linear", "3", "0.06540", "0.09100", "+8.60%", "5.20%", "1.65", "+0.0240", "–"] in lines
    assert ["training", "mean", "3", *["–"] * 7] in lines
    assert ["No", "return", "yet", "of", "the", "month", "after", "2010-01,", "2010-02."] in lines


def test_failures_by_month() -> None:
    backtest = Backtest(
        failures={JANUARY + 1: Failure("second"), JANUARY: Failure("[red]first")},
        without_returns={JANUARY + 2: Failure("third")},
    )
    assert str(failures_text(backtest)).splitlines() == [
        "2010-01 failed: [red]first",
        "2010-02 failed: second",
        "2010-03, of which only the returns are wanted: third",
    ]
