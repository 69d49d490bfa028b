from __future__ import annotations

import math
from io import StringIO

from rich.console import Console

from deepfactor.models.progress import TrainingProgress, log_progress
from deepfactor.months import Month
from deepfactor.terminal import shown_training

TOLD = TrainingProgress(Month.parse("2016-02"), "dfm2", 1, 3, 8, 0.0825, math.nan, 12.4)


def test_training_is_a_bar_in_a_terminal() -> None:
    screen = StringIO()
    with shown_training(Console(file=screen, force_terminal=True, width=100)) as progress:
        progress(TOLD)
    assert "train dfm2" in screen.getvalue()
    assert "epoch 3 of 8, loss 0.082500, 12 s left" in screen.getvalue()


def test_without_a_terminal_there_are_log_lines_only() -> None:
    screen = StringIO()
    with shown_training(Console(file=screen)) as progress:
        assert progress is log_progress
    assert screen.getvalue() == ""
