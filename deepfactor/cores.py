"""How many cores there are to work on."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Return the number of cores that this process may use; where the system does not say, of all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
