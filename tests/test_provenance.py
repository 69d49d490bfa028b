from __future__ import annotations

from pathlib import Path

import pytest

from deepfactor import provenance


def test_the_version_follows_the_sources_that_decide_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "deepfactor"
    (package / "stack").mkdir(parents=True)
    (package / "panel.py").write_text("a = 1\n")
    (package / "cli.py").write_text("b = 1\n")
    (package / "stack" / "ports.py").write_text("c = 1\n")
    monkeypatch.setattr(provenance, "_PACKAGE", package)

    def version() -> str:
        provenance.code_version.cache_clear()
        return provenance.code_version()

    first = version()
    assert first == version()
    (package / "cli.py").write_text("b = 2\n")
    (package / "stack" / "ports.py").write_text("c = 2\n")
    (package / "terminal.py").write_text("d = 2\n")
    assert version() == first
    (package / "panel.py").write_text("a = 2\n")
    assert version() != first
    monkeypatch.undo()
    provenance.code_version.cache_clear()
