"""The values for Airflow's Helm chart: keys and types, settings that Airflow has, no secret, and tasks' pods.

The chart itself comes from no package index, so its keys are written down in ``chart.yaml``; a key that is not there
fails, where the chart would take a typing error in silence. Kubernetes' own types are checked against its client.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from jsonschema import Draft202012Validator
from kubernetes.client import models as k8s

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "helm" / "values.yaml").read_text(encoding="utf-8")
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
CHART: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "chart.yaml").read_text(encoding="utf-8"))

SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def schema_of_type(name: str) -> dict[str, Any]:
    """Return the JSON schema of a type, as Kubernetes' client names it."""
    if name in SIMPLE:
        return {"type": SIMPLE[name]}
    if listed := re.fullmatch(r"list\[(.+)\]", name):
        return {"type": "array", "items": schema_of_type(listed[1])}
    if mapped := re.fullmatch(r"dict\(str, (.+)\)", name):
        return {"type": "object", "additionalProperties": schema_of_type(mapped[1])}
    if not hasattr(k8s, name):
        return {}
    model = getattr(k8s, name)
    properties = {model.attribute_map[key]: schema_of_type(kind) for key, kind in model.openapi_types.items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def schema_of(keys: Any) -> dict[str, Any]:
    """Return the JSON schema of a part of ``chart.yaml``."""
    if isinstance(keys, dict):
        return {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: schema_of(value) for key, value in keys.items()},
        }
    if isinstance(keys, list):
        return {"type": "array", "items": schema_of(keys[0])}
    return schema_of_type(keys) if keys.startswith("V1") else {"type": keys}


SCHEMA = Draft202012Validator(schema_of(CHART))


def faults(values: dict[str, Any]) -> list[str]:
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in SCHEMA.iter_errors(values)]


def test_every_key_is_one_of_the_charts() -> None:
    assert faults(VALUES) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schduler",), {}),
        (("scheduler", "replica"), 2),
        (("scheduler", "replicas"), "2"),
        (("workers", "kubernetes", "resources", "request"), {}),
        (("securityContexts", "container"), {}),
        (("securityContexts", "pod", "runAsNonroot"), True),
        (("apiServer", "networkPolicy", "ingress", "from"), [{"podSelectr": {}}]),
    ],
)
def test_a_typing_error_would_be_noticed(path: tuple[str, ...], value: object) -> None:
    values = copy.deepcopy(VALUES)
    place = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert len(faults(values)) == 1


def test_airflow_has_every_setting() -> None:
    known = conf.configuration_description
    missing = [
        f"[{section}] {option}"
        for section, options in VALUES["config"].items()
        for option in options
        if option not in known.get(section, {}).get("options", {})
    ]
    assert missing == []


def test_versions_are_those_of_the_lock() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(rf"^apache-airflow==({re.escape(VALUES['airflowVersion'])}) \\$", lock, re.MULTILINE)
    assert re.search(r"^apache-airflow-providers-cncf-kubernetes==", lock, re.MULTILINE)


def test_no_secret_is_a_value_and_the_charts_own_password_is_not_used() -> None:
    assert not re.search(r"^\s*(pass|password|connection|fernetKey|jwtSecret|apiSecretKey):\s*\S", TEXT, re.MULTILINE)
    assert "defaultUser" not in VALUES["createUserJob"]
    secrets = [each["secretName"] for each in VALUES["secret"]]
    named = [VALUES["data"]["metadataSecretName"], *(VALUES[key] for key in VALUES if key.endswith("SecretName"))]
    for name in (*secrets, *named, VALUES["jwtSecretName"], "deepfactor-admin"):
        assert f"create secret generic {name} " in (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")


def test_nobody_is_root() -> None:
    contexts = [(VALUES["securityContexts"]["pod"], VALUES["securityContexts"]["containers"])]
    contexts.append((VALUES["statsd"]["securityContexts"]["pod"], VALUES["statsd"]["securityContexts"]["container"]))
    for pod, container in contexts:
        assert pod["runAsNonRoot"]
        assert pod["runAsUser"] > 0
        assert not container["allowPrivilegeEscalation"]
        assert container["capabilities"] == {"drop": ["ALL"]}
    assert re.search(rf"^USER {VALUES['securityContexts']['pod']['runAsUser']}\b", dockerfile(), re.MULTILINE)


def test_tasks_reach_the_api_server() -> None:
    assert VALUES["networkPolicies"]["enabled"]
    peers = VALUES["apiServer"]["networkPolicy"]["ingress"]["from"]
    # The chart's template gives every pod of a task this label.
    assert {"podSelector": {"matchLabels": {"tier": "airflow"}}} in peers


def test_helm_takes_nothing_for_a_template() -> None:
    assert "{{" not in TEXT


def pod_of(task: str, dag: str = "deepfactor_monthly") -> k8s.V1Container:
    """Return the main container of a task's pod, built by Airflow and given to the hook, as the executor does."""
    base = k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="placeholder-name", labels={"tier": "airflow"}),
        spec=k8s.V1PodSpec(
            containers=[
                k8s.V1Container(name="base", resources=VALUES["workers"]["kubernetes"]["resources"]),
                k8s.V1Container(name="sidecar"),
            ]
        ),
    )
    pod = PodGenerator.construct_pod(
        dag_id=dag,
        task_id=task,
        pod_id="pod",
        try_number=1,
        kube_image="deepfactor:0.1.0",
        date=None,
        args=["airflow", "tasks", "run"],
        pod_override_object=None,
        base_worker_pod=base,
        namespace="airflow",
        scheduler_job_id="1",
        run_id="scheduled__2016-02-29",
        map_index=0,
    )
    local_settings()["pod_mutation_hook"](pod)
    container, sidecar = pod.spec.containers
    assert sidecar.resources is None
    return container


def local_settings() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(VALUES["airflowLocalSettings"], "airflow_local_settings.py", "exec"), names)  # noqa: S102
    return names


def sizes() -> dict[str, tuple[int, int]]:
    return local_settings()["SIZES"]


@pytest.mark.parametrize("task", sizes())
def test_a_task_gets_its_memory_and_cores(task: str) -> None:
    memory, cores = sizes()[task]
    dag = "deepfactor_evaluation" if task == "evaluate" else "deepfactor_monthly"
    container = pod_of(task, dag)
    assert container.resources.requests == {"memory": f"{memory}Gi", "cpu": str(cores)}
    assert container.resources.limits == {"memory": f"{memory}Gi"}
    variables = {each.name: each.value for each in container.env}
    assert variables["OMP_NUM_THREADS"] == variables["POLARS_MAX_THREADS"] == str(cores)
    assert variables["AIRFLOW_IS_K8S_EXECUTOR_POD"] == "True"


def test_the_page_on_sizing_has_the_memory_of_every_task() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    table = page.split("| GiB for a task |")[1].split("\n\n")[0]
    column = [cell.strip() for cell in table.splitlines()[0].split("|")].index("5,000")
    rows = [[cell.strip() for cell in line.split("|")[1:]] for line in table.splitlines()[2:]]
    written = {row[0].strip("`"): int(row[column + 1]) for row in rows}
    assert written == {task: memory for task, (memory, _) in sizes().items() if task != "evaluate"}


def test_the_sizes_are_of_tasks_that_there_are() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "dags").glob("*.py"))
    assert [task for task in sizes() if not re.search(rf"\bdef {task}\(|\bstep\(\"{task}\"\)", sources)] == []


@pytest.mark.parametrize(("task", "dag"), [("wait_for_months", "deepfactor_evaluation"), ("train", "another_dag")])
def test_other_tasks_get_what_all_get(task: str, dag: str) -> None:
    assert pod_of(task, dag).resources == VALUES["workers"]["kubernetes"]["resources"]


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")
