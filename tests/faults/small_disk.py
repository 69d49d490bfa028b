"""A disk of its own, small enough to be filled, and an embedded S3 endpoint whose objects lie on it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from deepfactor.stack import emulator, object_store, ports
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.layout import Layout
from deepfactor.stack.object_store import Endpoint

_PATIENCE = 30.0
_FILLER = "filler"


class NoDisk(Exception):
    """This machine lets nobody mount anything, not even in a name space of their own."""


def fill(path: Path, room: int) -> None:
    """Fill a disk, but for so many bytes."""
    state = os.statvfs(path)
    with (path / _FILLER).open("wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, max(state.f_bavail * state.f_frsize - room, 1))


class SmallDisk:
    """A file system in memory, mounted where only its own processes see it, so that nothing is left behind.

    Attributes
    ----------
    folder
        Where they find it.
    path
        Where everybody else finds it.
    """

    def __init__(self, folder: Path, megabytes: int) -> None:
        script = f'mount -t tmpfs -o size={megabytes}m none "$0" && echo mounted && exec sleep infinity'
        self.folder = folder
        self._rights: list[str] = []
        for rights in ([], ["--user", "--map-root-user"]):
            self._holder = subprocess.Popen(
                ["unshare", *rights, "--mount", "sh", "-c", script, str(folder)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert self._holder.stdout is not None
            if self._holder.stdout.readline() == "mounted\n":
                self._rights = rights
                break
            why = self._holder.communicate()[1].strip()
        else:
            raise NoDisk(f"no small disk can be mounted here, as root or in a name space of one's own: {why}")
        self.path = Path(f"/proc/{self._holder.pid}/root{folder}")

    def command(self, command: list[str]) -> list[str]:
        """Return what runs a command where the disk is mounted."""
        user = ["--user", "--preserve-credentials"] if self._rights else []
        return ["nsenter", "--target", str(self._holder.pid), *user, "--mount", *command]

    def used(self) -> int:
        """Return how many bytes are taken."""
        state = os.statvfs(self.path)
        return (state.f_blocks - state.f_bfree) * state.f_frsize

    def leave(self, room: int) -> None:
        """Fill it, but for so many bytes."""
        self.free()
        fill(self.path, room)

    def free(self) -> None:
        """Make room again."""
        (self.path / _FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        """Give it up, with all that lies on it."""
        self._holder.kill()
        self._holder.wait()


class DiskEndpoint:
    """An embedded endpoint on a small disk, which can be killed and started again."""

    def __init__(self, disk: SmallDisk, layout: Layout, port: int) -> None:
        self._disk = disk
        self._layout = layout
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = Endpoint(f"http://{ports.LOOPBACK}:{port}", ensure_credentials(layout))

    def start(self) -> None:
        """Start it."""
        environment = object_store._environment(self._layout, self.endpoint.credentials, self._port)
        command = [str(self._layout.store_python), "-P", emulator.__file__]
        with (self._layout.logs / "s3.log").open("ab") as log:
            self._process = subprocess.Popen(self._disk.command(command), env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while not object_store._answers(self.endpoint.url):
            assert self._process.poll() is None, (self._layout.logs / "s3.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        object_store._ensure_bucket(self.endpoint)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
