"""A month run in a process of its own, which can be killed at a chosen moment.

The processes are forked from one that has imported what a month needs and has run nothing, so each is ready at once.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from deepfactor.address import StoreAddress
from deepfactor.config import Config
from deepfactor.errors import DeepfactorError
from deepfactor.months import Month
from tests.faults.small_disk import fill

_HEAVY = (
    "great_expectations.render.renderer",
    "great_expectations.render.view",
    "tensorflow",
    "deepfactor.attribution.checks",
    "deepfactor.attribution.placebo",
    "deepfactor.gates",
    "deepfactor.models.registry",
    "deepfactor.monthly",
    "deepfactor.reports.month",
    "deepfactor.reports.spreadsheet",
    "deepfactor.sources",
    "deepfactor.validation.files",
    "deepfactor.validation.results",
    "tests.faults.month_process",
)
_PATIENCE = 300.0

When = Literal["before a call", "after a call", "while it works"]


@dataclass(frozen=True)
class Moment:
    """When a process is killed.

    Attributes
    ----------
    step
        Of the month.
    when
        Before the request of a call leaves, after its answer has come, or at a time.
    call
        Number of the call to the store within the step, from 1.
    seconds
        After the step began, if it is at a time.
    """

    step: str
    when: When
    call: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Call:
    """A call to the store: in which step, what, of which object."""

    step: str
    method: str
    key: str


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes
    ----------
    killed
        Whether by SIGKILL.
    error
        The name and text of what it raised, empty if nothing.
    calls
        All calls to the store in order, if it was not killed.
    seconds
        What each step took, if it was not killed.
    """

    killed: bool
    error: str
    calls: tuple[Call, ...] = ()
    seconds: dict[str, float] | None = None


def steps(config: Config) -> tuple[str, ...]:
    """Return the steps of a month in order, as ``run_month`` calls them."""
    training = (f"train {model}" for model in config.models)
    return ("ingest", "validate", "describe", *training, "attribute", "bless", "publish")


class Runner:
    """Starts processes that run the month."""

    def __init__(self, address: StoreAddress, month: Month, folder: Path, scratch: Path | None = None) -> None:
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_HEAVY))
        self._address = address
        self._month = month
        self._folder = folder
        self._scratch = scratch or folder
        self._number = 0

    def run(self, config: Config, moment: Moment | None = None, full: str | None = None) -> Ending:
        """Run the month to its end, or until it is killed; with its scratch full from a step on, if one is named."""
        return self.run_together([config], moment, full)[0]

    def run_together(
        self, configs: list[Config], moment: Moment | None = None, full: str | None = None
    ) -> list[Ending]:
        """Run the month once for each configuration, at the same time."""
        running = []
        for config in configs:
            self._number += 1
            told = self._folder / f"{self._number}.json"
            process = self._context.Process(
                target=_run, args=(self._address, self._month, config, told, self._scratch, moment, full)
            )
            process.start()
            running.append((process, told))
        endings = []
        for process, told in running:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                raise TimeoutError(f"a month took more than {_PATIENCE:.0f} s")
            endings.append(_ending(process.exitcode, told))
        return endings


def _ending(code: int | None, told: Path) -> Ending:
    if code == -signal.SIGKILL:
        return Ending(killed=True, error="")
    if code != 0:
        raise ChildProcessError(f"a month's process ended with {code}")
    content = json.loads(told.read_text())
    calls = tuple(Call(*each) for each in content["calls"])
    return Ending(False, content["error"], calls, content["seconds"])


class _Watch:
    """Follows the calls to the store, and does to the process what was planned when the moment has come."""

    def __init__(
        self, order: Sequence[str], prefix: str, moment: Moment | None, at_step: Callable[[str], None]
    ) -> None:
        self._steps = iter(order)
        self._prefix = f"/{prefix}/"
        self._moment = moment
        self._at_step = at_step
        self._lock = threading.Lock()
        self._in_step = {"before a call": 0, "after a call": 0}
        self.calls: list[tuple[str, str, str]] = []
        self.seconds: dict[str, float] = {}
        self._step = ""
        self.begin()

    def begin(self) -> None:
        with self._lock:
            self._step = next(self._steps, "")
            self._in_step = dict.fromkeys(self._in_step, 0)
        self._at_step(self._step)
        if self._moment is not None and self._moment.when == "while it works" and self._moment.step == self._step:
            timer = threading.Timer(self._moment.seconds, _kill)
            timer.daemon = True
            timer.start()

    def after(self, step: str, seconds: float) -> None:
        self.seconds[step] = seconds
        self.begin()

    def sending(self, request: Any, **_: Any) -> None:
        self._count("before a call")
        key = unquote(urlsplit(request.url).path).removeprefix(self._prefix)
        self.calls.append((self._step, request.method, key))

    def answered(self, **_: Any) -> None:
        self._count("after a call")

    def _count(self, when: When) -> None:
        with self._lock:
            self._in_step[when] += 1
            number, step = self._in_step[when], self._step
        moment = self._moment
        if moment is not None and (moment.step, moment.when, moment.call) == (step, when, number):
            _kill()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _run(
    address: StoreAddress,
    month: Month,
    config: Config,
    told: Path,
    scratch: Path,
    moment: Moment | None,
    full: str | None,
) -> None:
    from deepfactor.monthly import run_month

    tempfile.tempdir = os.environ["TMPDIR"] = str(scratch)
    if address.endpoint and address.access_key and address.secret_key:
        os.environ["AWS_ENDPOINT_URL_S3"] = address.endpoint
        os.environ["AWS_ACCESS_KEY_ID"] = address.access_key
        os.environ["AWS_SECRET_ACCESS_KEY"] = address.secret_key
    store = address.open()

    def at_step(step: str) -> None:
        if step == full:
            fill(scratch, room=0)

    watch = _Watch(steps(config), address.url.removeprefix("s3://"), moment, at_step)
    events = store._client.meta.events
    events.register("before-send.s3", watch.sending)
    events.register("after-call.s3", watch.answered)
    error = ""
    try:
        run_month(month, store, config, after=watch.after)
    except DeepfactorError as failure:
        error = f"{type(failure).__name__}: {failure}"
    told.write_text(json.dumps({"error": error, "calls": watch.calls, "seconds": watch.seconds}))
