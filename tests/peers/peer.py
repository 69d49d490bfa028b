"""An S3 service that the store is held against, and who may come in."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from deepfactor.endpoint import connect
from deepfactor.stack import processes
from deepfactor.store import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "deepfactor"

_PATIENCE = 60.0


@dataclass(frozen=True)
class User:
    """Somebody with a key."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Peer:
    """A running S3 service with a bucket.

    Attributes
    ----------
    name
        What it is.
    url
        Where it listens.
    users
        By name; ``owner`` may do everything.
    checks_secrets
        Whether a wrong secret of a known key is refused.
    """

    name: str
    url: str
    users: Mapping[str, User]
    checks_secrets: bool = True

    def client(self, user: str = "owner") -> S3Client:
        """Return a client of one of the users."""
        who = self.users[user]
        return connect(self.url, who.access_key, who.secret_key)

    def open(self, user: str = "owner", url: str = f"s3://{BUCKET}") -> Store:
        """Open a store as one of the users."""
        who = self.users[user]
        return Store.open(url, self.url, who.access_key, who.secret_key)


class Daemons:
    """Processes of a service; they end with us, whatever becomes of us."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[tuple[str, psutil.Process]] = []

    def start(self, name: str, *command: str) -> None:
        """Start one, its output in a log named after it."""
        record = processes.launch(
            ["setpriv", "--pdeathsig", "KILL", *command],
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder)},
            self.folder,
            self.folder / f"{name}.log",
        )
        self._started.append((name, psutil.Process(record.pid)))

    def stop(self) -> None:
        """Stop all of them, and at once: what they hold is thrown away."""
        processes.stop([process for _, process in self._started], politely=signal.SIGKILL)

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait until something is so; fail with the logs if a process has ended or it takes too long."""
        deadline = time.monotonic() + _PATIENCE
        while not ready():
            ended = [name for name, each in self._started if not _alive(each)]
            if ended or time.monotonic() > deadline:
                logs = "\n".join(f"{name}:\n{processes.tail(self.folder / f'{name}.log')}" for name, _ in self._started)
                pytest.fail(f"{what} is not ready ({ended or 'too slow'})\n{logs}")
            time.sleep(0.1)


def run(*command: str, folder: Path) -> str:
    """Run a command of a service to its end, and return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def require(service: str, missing: Sequence[str], install: str) -> None:
    """Skip, or where peers are required fail, if a service is not installed."""
    if missing:
        message = f"{service} is not installed ({', '.join(missing)} not found): {install}"
        if os.environ.get("DEEPFACTOR_PEERS") == "required":
            pytest.fail(message)
        pytest.skip(message)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
