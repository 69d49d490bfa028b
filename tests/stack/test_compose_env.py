from __future__ import annotations

import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from deepfactor.stack.compose_env import generate, write_environment
from deepfactor.stack.errors import StackError

CHECKOUT = Path(__file__).resolve().parents[2]


def test_every_secret_is_another_one_each_time() -> None:
    first, second = generate(), generate()
    assert first.keys() == second.keys()
    assert len({*first.values(), *second.values()}) == 2 * len(first)


def test_values_mean_nothing_to_compose_or_in_an_address() -> None:
    for name, value in generate().items():
        assert re.fullmatch(r"[A-Za-z0-9_-]{20,}=?", value), name


def test_the_fernet_key_has_32_bytes() -> None:
    assert len(urlsafe_b64decode(generate()["DEEPFACTOR_FERNET_KEY"])) == 32


def test_the_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    write_environment(path)
    assert path.stat().st_mode & 0o777 == 0o600
    written = path.read_text()
    assert [line.split("=", 1)[0] for line in written.splitlines()] == list(generate())
    with pytest.raises(StackError, match=r"\.env is there already.*nothing was written"):
        write_environment(path)
    assert path.read_text() == written


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    # -S: without site-packages, as on a machine that only runs containers.
    command = [sys.executable, "-S", "-m", "deepfactor.stack.compose_env", str(tmp_path / ".env")]
    subprocess.run(command, cwd=CHECKOUT, check=True)
    again = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert again.stderr.startswith("error: ")
