"""Choosing a port, and saying who holds one that is taken."""

from __future__ import annotations

import logging
import socket

import psutil

from deepfactor.stack.errors import StackError

LOGGER = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

# How far above the preferred port to look: near it is easier to find for a person.
_NEIGHBOURS = 50


def is_free(port: int) -> bool:
    """Tell whether a server can listen on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this too; without it a port would seem taken for a minute after its server stopped.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> psutil.Process | None:
    """Return the process that listens on a port, none if the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for each in connections:
        if each.pid is not None and each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port:
            try:
                return psutil.Process(each.pid)
            except psutil.NoSuchProcess:
                continue
    return None


def describe(process: psutil.Process | None) -> str:
    """Say for a person which process this is."""
    if process is None:
        return "a process that the system does not name (perhaps another user's)"
    try:
        command = " ".join(process.cmdline())[:120] or process.name()
        return f"process {process.pid} ({command})"
    except psutil.Error:
        return f"process {process.pid}"


def choose(service: str, preferred: int) -> int:
    """Return the preferred port, or a free one near it, and say why.

    Raises
    ------
    StackError
        If no port near it is free.
    """
    if is_free(preferred):
        return preferred
    for port in range(preferred + 1, min(preferred + _NEIGHBOURS, 65535)):
        if is_free(port):
            LOGGER.warning(
                "port %d for %s is taken by %s: using %d instead", preferred, service, describe(holder(preferred)), port
            )
            return port
    raise StackError(
        f"port {preferred} for {service} is taken by {describe(holder(preferred))}, and so are the {_NEIGHBOURS} "
        "above it: stop that process, or name another port"
    )
