"""Where the embedded stack keeps everything, and what it is called there."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

BUCKET = "deepfactor"


@dataclass(frozen=True)
class Ports:
    """The ports to try first; another is taken where somebody else listens."""

    api: int = 8080
    s3: int = 4566


@dataclass(frozen=True)
class Layout:
    """The folders and files of one stack.

    Attributes
    ----------
    root
        The stack lives in ``.local`` below it.
    checkout
        Holds ``dags``, ``plugins`` and the S3 endpoint's environment ``.venv-store``.
    """

    root: Path
    checkout: Path = CHECKOUT

    @property
    def local(self) -> Path:
        """The folder below which everything is written."""
        return self.root.resolve() / ".local"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data."""
        return self.local / "postgres"

    @property
    def objects(self) -> Path:
        """The S3 endpoint's data."""
        return self.local / "s3"

    @property
    def airflow(self) -> Path:
        """Airflow's home, and the working directory of its processes."""
        return self.local / "airflow"

    @property
    def logs(self) -> Path:
        """One log a service; Airflow's task logs below ``airflow``."""
        return self.local / "logs"

    @property
    def reports(self) -> Path:
        """Copies of published reports."""
        return self.local / "reports"

    @property
    def state(self) -> Path:
        """What was started, and on which ports."""
        return self.local / "stack.json"

    @property
    def secrets(self) -> Path:
        """Keys that only the stack's own processes need."""
        return self.local / "secrets.json"

    @property
    def password(self) -> Path:
        """The login of Airflow's UI, in the form its SimpleAuthManager reads."""
        return self.local / "airflow-login.json"

    @property
    def store_python(self) -> Path:
        """The interpreter of the S3 endpoint's own environment."""
        return self.checkout / ".venv-store" / "bin" / "python"

    def create(self) -> None:
        """Make the folders."""
        for folder in (self.objects, self.airflow, self.logs, self.reports):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time start or stop services."""
        self.local.mkdir(parents=True, exist_ok=True)
        with (self.local / "stack.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
