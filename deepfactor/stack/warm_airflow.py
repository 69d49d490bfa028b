"""Airflow's command line with heavy libraries loaded, for the scheduler: ``python -m deepfactor.stack.warm_airflow``.

LocalExecutor forks its workers from the scheduler, and a worker forks every task. What the scheduler has imported no
task imports again: TensorFlow and Great Expectations take a processor three to four seconds each, twice a month.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy

# Loading them starts no thread but those of OpenBLAS and jemalloc, which begin anew in a forked process. Polars starts
# one of its own, and takes a tenth of a second: it stays out, and so does what imports it.
LIBRARIES = (
    "deepfactor.models.backend",
    "great_expectations",
    "great_expectations.render.renderer",
    "great_expectations.render.view",
    "exchange_calendars",
    "scipy.stats",
    "boto3",
)


def load_libraries() -> None:
    """Import what takes the steps of a month longest to import."""
    # Great Expectations reads it when it is imported; nothing is to be sent anywhere.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    for name in LIBRARIES:
        importlib.import_module(name)


if __name__ == "__main__":
    # Where processes are spawned, as on macOS, they inherit nothing.
    if multiprocessing.get_start_method() == "fork":
        load_libraries()
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)
