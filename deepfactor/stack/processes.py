"""Starting processes that outlive us, finding them again, and stopping exactly those."""

from __future__ import annotations

import logging
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from deepfactor.stack.layout import Layout
from deepfactor.stack.state import ProcessRecord

LOGGER = logging.getLogger(__name__)

MARKER = "DEEPFACTOR_STACK"
"""Environment variable by which a process of a stack is known; it holds the stack's folder."""

# Start times come from clock ticks and the boot time, which the clock's corrections move a little.
_SAME_START = 1.0


def launch(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, user: str | None = None
) -> ProcessRecord:
    """Start a process as the leader of its own session, its output appended to a log.

    Parameters
    ----------
    command, environment, folder
        What to run, with which variables, and where.
    log
        File for its output.
    user
        Whom to run it as, if we are root; none: us.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - the commands are ours
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
        )
    finally:
        os.close(descriptor)
    return ProcessRecord(process.pid, psutil.Process(process.pid).create_time())


def find(record: ProcessRecord | None) -> psutil.Process | None:
    """Return the recorded process if it still runs, and is not another with the same id."""
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(process.create_time() - record.created) < _SAME_START else None
    except psutil.NoSuchProcess:
        return None


def session_of(record: ProcessRecord) -> list[psutil.Process]:
    """Return the processes that descend from a recorded one, even after it has ended.

    A process id is not given away again while a session is named by it.
    """
    if psutil.pid_exists(record.pid) and find(record) is None and not _is_zombie(record.pid):
        return []
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == record.pid and process.create_time() >= record.created - _SAME_START:
                members.append(process)
        except (OSError, psutil.Error):
            continue
    return members


def leftovers(layout: Layout) -> list[psutil.Process]:
    """Return processes of this stack, whether or not the state file knows them.

    A process that renames itself overwrites its environment, so Airflow's are also known by their working directory.
    """
    found = []
    ourselves = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    for process in psutil.process_iter():
        try:
            if process.pid not in ourselves and _belongs(process, layout):
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def stop(
    leaders: Sequence[psutil.Process],
    members: Sequence[psutil.Process] = (),
    patience: float = 20,
    politely: signal.Signals = signal.SIGTERM,
) -> None:
    """Ask processes to end, wait, and kill what is left of them and their members."""
    family = {each.pid: each for each in members}
    for leader in leaders:
        family[leader.pid] = leader
        try:
            family.update({child.pid: child for child in leader.children(recursive=True)})
            leader.send_signal(politely)
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(list(family.values()), timeout=patience)
    for process in alive:
        LOGGER.info("process %d did not stop in %.0f s: killing it", process.pid, patience)
    kill(alive)


def kill(members: Sequence[psutil.Process]) -> None:
    """End processes at once."""
    for process in members:
        # psutil compares the start time first, so this cannot hit another process.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(members, timeout=5)


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _belongs(process: psutil.Process, layout: Layout) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE or process.uids().real != os.getuid():
        return False
    if process.environ().get(MARKER) == str(layout.local):
        return True
    return Path(process.cwd()) == layout.airflow and "airflow" in " ".join(process.cmdline())
