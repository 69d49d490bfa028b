"""What can be said of the deployment without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepfactor.stack.compose_env import generate

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE = CHECKOUT / "docker-compose.yaml"
TEXT = COMPOSE.read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ONCE = {"airflow-init", "seaweedfs-volume"}
SECRET = re.compile(r"PASSWORD|SECRET|_KEY\b")

each_service = pytest.mark.parametrize("name", SERVICES)


def test_the_services_are_there() -> None:
    airflow = {"apiserver", "scheduler", "dag-processor", "triggerer", "worker", "init"}
    assert set(SERVICES) == {"postgres", "redis", "seaweedfs", *ONCE, *(f"airflow-{each}" for each in airflow)}


def test_what_is_asked_is_what_is_generated() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", TEXT))
    assert asked == set(generate())


def test_no_secret_has_a_default_or_may_be_empty() -> None:
    for name, rest in re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", TEXT):
        if name == "JQUANTS_API_KEY":  # nobody else's, and most have none
            assert rest == ":-"
        elif SECRET.search(name):
            assert rest.startswith(":?"), name


@each_service
def test_secrets_in_the_environment_come_from_outside(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(key):
            assert re.fullmatch(r"\$\{\w+:[?-][^}]*\}", str(value)), key


@each_service
def test_the_image_is_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert re.match(r"\d+\.\d+|\$\{DEEPFACTOR_VERSION:-\d+\.\d+\.\d+\}$", tag)


def test_the_image_of_ours_has_the_version_of_the_package() -> None:
    from deepfactor import __version__

    assert SERVICES["airflow-worker"]["image"].endswith(f":-{__version__}}}")


@each_service
def test_it_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    # One service only gives a volume to whom it belongs, without a network, and ends.
    root = name == "seaweedfs-volume"
    assert service["user"].startswith("0:") == root
    assert service.get("cap_add", []) == (["CHOWN"] if root else [])
    assert service.get("network_mode") == ("none" if root else None)


@each_service
def test_it_is_watched_and_started_again_or_runs_once(name: str) -> None:
    service = SERVICES[name]
    if name in ONCE:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@each_service
def test_ports_are_on_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_databases_cannot_be_reached_from_outside() -> None:
    assert yaml.safe_load(TEXT)["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_there_can_be_several_workers() -> None:
    assert {"container_name", "ports", "hostname"}.isdisjoint(SERVICES["airflow-worker"])


@each_service
def test_what_is_written_lies_in_named_volumes(name: str) -> None:
    named = yaml.safe_load(TEXT)["volumes"]
    for volume in SERVICES[name].get("volumes", []):
        assert volume.partition(":")[0] in named


def test_the_store_is_new_enough() -> None:
    """Up to 4.16 two conditional writes at the same time both succeed."""
    tag = SERVICES["seaweedfs"]["image"].partition(":")[2]
    assert tuple(int(part) for part in tag.split(".")) >= (4, 44)


def test_the_context_holds_only_what_is_named() -> None:
    lines = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    named = [line[1:] for line in lines if line.startswith("!")]
    assert all((CHECKOUT / each).exists() for each in named)
    assert not any(each.startswith(".") or "env" in each for each in named)


def test_the_secrets_are_not_in_the_repository() -> None:
    assert ".env" in (CHECKOUT / ".gitignore").read_text().splitlines()


def test_the_image_uses_the_lock_and_no_root() -> None:
    text = (CHECKOUT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert "--requirement requirements.txt" in text
    assert "apt-get" not in text
    last = text.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["50000:0"]


def _compose(*arguments: str, environment: Path) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", "--env-file", str(environment), "--file", str(COMPOSE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def compose() -> None:
    """Only where there is a Docker client with compose; it needs no engine for this."""
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("there is no docker compose")


@pytest.mark.usefixtures("compose")
@pytest.mark.parametrize("missing", generate())
def test_compose_refuses_to_start_without_each_secret(tmp_path: Path, missing: str) -> None:
    environment = tmp_path / "env"
    environment.write_text("".join(f"{key}={'' if key == missing else value}\n" for key, value in generate().items()))
    refused = _compose("config", "--quiet", environment=environment)
    assert refused.returncode != 0
    assert f"{missing} is missing a value: run make compose-env" in refused.stderr


@pytest.mark.usefixtures("compose")
def test_compose_accepts_the_file_with_generated_secrets(tmp_path: Path) -> None:
    environment = tmp_path / "env"
    environment.write_text("".join(f"{key}={value}\n" for key, value in generate().items()))
    accepted = _compose("config", "--quiet", environment=environment)
    assert accepted.returncode == 0, accepted.stderr
