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
    (package / "reports").mkdir()
    (package / "reports" / "month.py").write_text("e = 1\n")
    monkeypatch.setattr(provenance, "_PACKAGE", package)

    def version() -> str:
        provenance.code_version.cache_clear()
        return provenance.code_version()

    first = version()
    assert first == version()
    (package / "cli.py").write_text("b = 2\n")
    (package / "stack" / "ports.py").write_text("c = 2\n")
    (package / "terminal.py").write_text("d = 2\n")
    (package / "reports" / "explanation.py").write_text("f = 2\n")
    (package / "reports" / "evaluation").mkdir()
    (package / "reports" / "evaluation" / "page.py").write_text("g = 2\n")
    assert version() == first
    (package / "reports" / "month.py").write_text("e = 2\n")
    second = version()
    assert second != first
    (package / "panel.py").write_text("a = 2\n")
    assert version() not in (first, second)
    monkeypatch.undo()
    provenance.code_version.cache_clear()


def test_what_is_made_on_demand_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "month.css").write_text("a")
    monkeypatch.setattr(provenance, "INCLUDE", tmp_path)
    names = set(provenance._files())
    assert "deepfactor/attribution/relevance.py" in names
    assert not {"deepfactor/attribution/change.py", "deepfactor/explaining/explain.py"} & names
    assert not [name for name in names if name.startswith("deepfactor/reports/evaluation")]
    (templates / "explanation.html.j2").write_text("b")
    (templates / "evaluation.css").write_text("b")
    assert set(provenance._files()) == names
    (templates / "month.html.j2").write_text("c")
    assert set(provenance._files()) == names | {"templates/month.html.j2"}
