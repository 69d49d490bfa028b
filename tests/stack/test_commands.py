from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepfactor.stack.commands import stack_app
from deepfactor.stack.layout import CHECKOUT

RUNNER = CliRunner()


def test_down_where_nothing_runs(tmp_path: Path) -> None:
    result = RUNNER.invoke(stack_app, ["down", "--root", str(tmp_path)])
    assert result.exit_code == 0
    assert "Nothing was running." in result.output


def test_status_says_by_its_exit_code_whether_all_runs(tmp_path: Path) -> None:
    result = RUNNER.invoke(stack_app, ["status", "--root", str(tmp_path)])
    assert result.exit_code == 1
    for name in ("postgres", "s3", "api-server", "scheduler", "dag-processor"):
        assert name in result.output


def test_an_airflow_command_needs_a_stack(tmp_path: Path) -> None:
    result = RUNNER.invoke(stack_app, ["airflow", "--root", str(tmp_path), "version"])
    assert result.exit_code == 1
    assert "the stack is not up" in result.output


def test_the_commands_load_nothing_that_starts_servers() -> None:
    script = "import deepfactor.stack.commands, sys; print({'psutil', 'httpx', 'airflow', 'boto3'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("target", ["setup", "demo", "test"])
def test_make_says_which_python_it_needs(tmp_path: Path, target: str) -> None:
    for name in ("Makefile", "requirements-build.txt"):
        (tmp_path / name).write_bytes((CHECKOUT / name).read_bytes())
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\ntest \"$1\" = --version && echo 'Python 3.9.18' && exit 0\nexit 1\n")
    old.chmod(0o755)
    run = subprocess.run(["make", f"PYTHON={old}", target], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13; found: Python 3.9.18." in run.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_down_without_an_installation(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((CHECKOUT / "Makefile").read_bytes())
    run = subprocess.run(["make", "down"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "nothing runs" in run.stdout
    assert not (tmp_path / ".venv").exists()
