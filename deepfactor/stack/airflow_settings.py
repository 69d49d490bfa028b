"""Airflow's settings in the embedded stack, as environment variables."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from deepfactor.stack import object_store, ports, processes
from deepfactor.stack.credentials import USER
from deepfactor.stack.layout import BUCKET, Layout

CONNECTION = "deepfactor_store"
POOL = "training"
DAG = "deepfactor_monthly"
EVALUATION_DAG = "deepfactor_evaluation"

# The simulated market ends in 2016-03, and the paper's last as-of month is the one before.
_LAST_SCHEDULED = "2016-02"


def environment(layout: Layout, endpoint: object_store.Endpoint, database: str, port: int) -> dict[str, str]:
    """Return the environment of Airflow's processes."""
    credentials = endpoint.credentials
    address = f"http://{ports.LOOPBACK}:{port}"
    settings = {
        "core__executor": "LocalExecutor",
        # Two cores: more tasks at once only share them, and each holds its frames in memory.
        "core__parallelism": "3",
        "core__dags_folder": str(layout.checkout / "dags"),
        "core__plugins_folder": str(layout.checkout / "plugins"),
        "core__load_examples": "False",
        # The schedule ends with the data (below), so nothing starts by itself.
        "core__dags_are_paused_at_creation": "False",
        "core__fernet_key": credentials.fernet_key,
        "core__simple_auth_manager_users": f"{USER}:admin",
        "core__simple_auth_manager_passwords_file": str(layout.password),
        "core__execution_api_server_url": f"{address}/execution/",
        # The default asks the name service, which a laptop may not have.
        "core__hostname_callable": "socket.gethostname",
        "core__dagbag_import_timeout": "120",
        "database__sql_alchemy_conn": database,
        "api__host": ports.LOOPBACK,
        "api__port": str(port),
        "api__base_url": address,
        "api__secret_key": credentials.session_key,
        "api_auth__jwt_secret": credentials.token_key,
        "dag_processor__dag_file_processor_timeout": "150",
        "dag_processor__parsing_processes": "1",
        "dag_processor__refresh_interval": "30",
        # A task that trains on every core must not lose its run to a slow answer.
        "workers__execution_api_timeout": "60",
        # Nor to an API server that has died and is started again: two minutes rather than half a one.
        "workers__execution_api_retries": "20",
        "workers__execution_api_retry_wait_max": "15",
        "scheduler__task_instance_heartbeat_timeout": "120",
        # A scheduler that is started again within 30 seconds still takes its predecessor for alive; it must look again.
        "scheduler__orphaned_tasks_check_interval": "15",
        "scheduler__scheduler_idle_sleep_time": "0.5",
        "logging__base_log_folder": str(layout.logs / "airflow"),
        "logging__dag_processor_child_process_log_directory": str(layout.logs / "dag-processor"),
        "logging__colored_console_log": "False",
    }
    return {
        **_inherited(os.environ),
        **{f"AIRFLOW__{name.upper()}": value for name, value in settings.items()},
        "AIRFLOW_HOME": str(layout.airflow),
        f"AIRFLOW_CONN_{CONNECTION.upper()}": _connection(endpoint),
        "DEEPFACTOR_LAST_SCHEDULED": _LAST_SCHEDULED,
        "NO_PROXY": "*",
        processes.MARKER: str(layout.local),
    }


def digest(settings: Mapping[str, str]) -> str:
    """Return what changes when a process started with these settings has to be started again.

    Plugins belong to it: a process loads them once.
    """
    kept = {key: value for key, value in settings.items() if key.startswith(("AIRFLOW", "DEEPFACTOR"))}
    plugins = Path(settings["AIRFLOW__CORE__PLUGINS_FOLDER"])
    code = {str(each.relative_to(plugins)): each.read_text(encoding="utf-8") for each in plugins.rglob("*.py")}
    return hashlib.sha256(json.dumps([kept, code], sort_keys=True).encode()).hexdigest()


def _inherited(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's variables, without those that would configure Airflow or point to another store."""
    return {key: value for key, value in variables.items() if not key.startswith(("AIRFLOW", "AWS_", "DEEPFACTOR_"))}


def _connection(endpoint: object_store.Endpoint) -> str:
    return json.dumps(
        {
            "conn_type": "aws",
            "login": endpoint.credentials.access_key,
            "password": endpoint.credentials.secret_key,
            "extra": {
                "endpoint_url": endpoint.url,
                "region_name": object_store.REGION,
                "store": f"s3://{BUCKET}",
            },
        },
        sort_keys=True,
    )
