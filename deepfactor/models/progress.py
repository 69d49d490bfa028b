"""How training tells where it is."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from deepfactor.months import Month

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingProgress:
    """Where the training of a model is after an epoch.

    Attributes
    ----------
    month, model
        What is trained.
    attempt
        1, unless members went wrong and are trained anew.
    epoch, epochs
        The one that is done, from 1, and how many there will be at most.
    loss, validation_loss
        Mean over the members, in squared units of the target; the latter NaN where nothing is kept for validation.
    seconds_left
        At the pace so far.
    """

    month: Month
    model: str
    attempt: int
    epoch: int
    epochs: int
    loss: float
    validation_loss: float
    seconds_left: float

    def __str__(self) -> str:
        anew = f", attempt {self.attempt}" if self.attempt > 1 else ""
        return f"{self.month} {self.model}{anew}: {self.figures()}"

    def figures(self) -> str:
        """Return epoch, losses and seconds left."""
        validation = "" if math.isnan(self.validation_loss) else f", validation loss {self.validation_loss:.6f}"
        return f"epoch {self.epoch} of {self.epochs}, loss {self.loss:.6f}{validation}, {self.seconds_left:.0f} s left"


Progress = Callable[[TrainingProgress], None]


def log_progress(progress: TrainingProgress) -> None:
    """Log a line, for people who read it later."""
    LOGGER.info("%s", progress)
