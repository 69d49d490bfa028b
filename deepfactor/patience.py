"""How long a service is waited for, and how often it is asked again: every wait has a limit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TypeVar

from deepfactor.errors import ConfigurationError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Patience:
    """How long a service is waited for.

    Attributes
    ----------
    connect
        Seconds for a connection.
    silence
        Seconds without a byte.
    attempt
        Seconds for one attempt in all, however steadily bytes drip in; a gigabyte needs 1.7 MB a second for that.
    attempts
        How often at most.
    pause
        Seconds before the second attempt; twice that before the third, and so on.
    """

    connect: float = 5.0
    silence: float = 30.0
    attempt: float = 600.0
    attempts: int = 4
    pause: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what would wait for ever, or never ask.

        Raises
        ------
        ConfigurationError
            If a limit is not a positive number.
        """
        limits = (self.connect, self.silence, self.attempt, self.attempts)
        if not all(0 < limit < float("inf") for limit in limits) or not 0 <= self.pause < float("inf"):
            raise ConfigurationError(f"{self}: limits must be positive and finite, a pause not negative")

    def rounds(self) -> Iterator[int]:
        """Count the attempts, and pause before each but the first."""
        for number in range(self.attempts):
            if number:
                # Many workers that failed at the same moment do not come back at the same moment.
                time.sleep(self.pause * 2 ** (number - 1) * random.uniform(0.5, 1.0))
            yield number

    def within(self, action: Callable[[], _T]) -> _T:
        """Return what an action returns, or stop waiting for it after the time of one attempt.

        A socket's timeout only bounds the silence between two bytes. What is given up goes on in a thread of its own,
        which does not keep the process alive, so the action must do no harm when it ends late.

        Raises
        ------
        TimeoutError
            If the action takes longer.
        """
        result: Future[_T] = Future()

        def act() -> None:
            try:
                result.set_result(action())
            except BaseException as error:  # raised again by the one who waits
                result.set_exception(error)

        Thread(target=act, name="attempt", daemon=True).start()
        try:
            return result.result(self.attempt)
        except TimeoutError:
            raise TimeoutError(f"no whole answer in {self.attempt:g} s") from None


DEFAULT = Patience()
