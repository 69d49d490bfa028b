"""How many months may run at once."""

from __future__ import annotations

# A month of 2,000 stocks with its largest step.
MONTH_BYTES = 3e9

# The rest is for Airflow, for the system, and for what else runs.
_SHARE_OF_MEMORY = 0.8


def months_at_once(memory: float, cores: int) -> int:
    """Return how many months fit into a machine.

    More months than cores gain nothing: every step uses one core at least.

    Parameters
    ----------
    memory
        What is available, in bytes.
    cores
        Cores to work on.
    """
    return max(1, min(cores, int(_SHARE_OF_MEMORY * memory / MONTH_BYTES)))
