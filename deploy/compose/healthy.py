"""Ends with 0 if the Airflow process of this container works.

``airflow jobs check`` and ``celery inspect ping`` ask the same, and load all of Airflow, seconds of a core, each time.
"""

from __future__ import annotations

import os
import socket
import sys
from urllib.request import urlopen

# Each process sends a heartbeat every few seconds.
_PATIENCE = "60 seconds"
_TIMEOUT = 10


def api_answers() -> bool:
    """Tell whether the API server answers, and reaches its database."""
    with urlopen("http://127.0.0.1:8080/api/v2/monitor/health", timeout=_TIMEOUT) as answer:
        return b'"metadatabase":{"status":"healthy"}' in answer.read()


def heartbeat_is_recent(job_type: str) -> bool:
    """Tell whether the job of this container has sent a heartbeat."""
    import psycopg

    address = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    question = (
        "SELECT 1 FROM job WHERE job_type = %s AND hostname = %s AND state = 'running'"
        " AND latest_heartbeat > now() - %s::interval"
    )
    with psycopg.connect(address, connect_timeout=_TIMEOUT) as connection:
        return connection.execute(question, (job_type, socket.gethostname(), _PATIENCE)).fetchone() is not None


def worker_answers() -> bool:
    """Tell whether this container's Celery worker answers through the broker."""
    from celery import Celery

    application = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    return bool(application.control.ping(destination=[f"celery@{socket.gethostname()}"], timeout=_TIMEOUT))


CHECKS = {
    "api-server": api_answers,
    "scheduler": lambda: heartbeat_is_recent("SchedulerJob"),
    "dag-processor": lambda: heartbeat_is_recent("DagProcessorJob"),
    "triggerer": lambda: heartbeat_is_recent("TriggererJob"),
    "worker": worker_answers,
}

if __name__ == "__main__":
    sys.exit(0 if CHECKS[sys.argv[1]]() else 1)
