"""How many months may run at once, and how many models may train."""

from __future__ import annotations

# A month of 2,000 stocks with its largest step.
MONTH_BYTES = 3e9

# The rest is for Airflow, for the system, and for what else runs.
_SHARE_OF_MEMORY = 0.8


def months_at_once(memory: float, cores: int) -> int:
    """Return how many months fit into a machine, and keep it busy.

    One more than cores: a month waits for its start-ups, for the store and for the database now and then.

    Parameters
    ----------
    memory
        What is available, in bytes.
    cores
        Cores to work on.
    """
    return max(1, min(cores + 1, _fitting(memory)))


def models_at_once(memory: float, cores: int) -> int:
    """Return how many models may train at once on a machine, of one month or of several.

    Training uses every core, but not all the time: compiling a network takes half of it, and one core.

    Parameters
    ----------
    memory
        What is available, in bytes.
    cores
        Cores to work on.
    """
    return max(1, min(cores, _fitting(memory)))


def _fitting(memory: float) -> int:
    return int(_SHARE_OF_MEMORY * memory / MONTH_BYTES)
