from __future__ import annotations

from pathlib import Path

from deepfactor.stack.airflow_settings import digest


def test_processes_are_started_again_after_a_change_of_settings_or_plugins(tmp_path: Path) -> None:
    settings = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path), "AIRFLOW__CORE__PARALLELISM": "3"}
    plugin = tmp_path / "pages" / "plugin.py"
    plugin.parent.mkdir()
    plugin.write_text("name = 1", encoding="utf-8")
    before = digest(settings)
    assert digest(settings | {"PATH": "/elsewhere"}) == before
    assert digest(settings | {"AIRFLOW__CORE__PARALLELISM": "4"}) != before
    plugin.write_text("name = 2", encoding="utf-8")
    assert digest(settings) != before
