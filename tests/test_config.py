from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deepfactor.config import DEFAULT_CONFIG, INCLUDE, load_config
from deepfactor.errors import ConfigurationError


@pytest.mark.parametrize("path", sorted((INCLUDE / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_load_with_their_suites(path: Path) -> None:
    config = load_config(path)
    assert {"prices", "fundamentals", "market"} <= set(config.expectations)


def test_the_digest_says_what_is_computed_not_where_the_data_lies(tmp_path: Path) -> None:
    config = load_config()
    assert load_config(source=tmp_path).digest() == config.digest()
    assert replace(config, training=replace(config.training, epochs=3)).digest() != config.digest()
    assert replace(config, expectations={}).digest() != config.digest()


def _written(folder: Path, **changes: object) -> Path:
    content = yaml.safe_load(DEFAULT_CONFIG.read_text()) | {"expectations": {}} | changes
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"univers": {}}, "univers"),
        ({"training": {"epochs": "many"}}, r"training\.epochs"),
        ({"gates": {"ledger_tolerance": 1e-9}}, r"gates\.minimum_coverage"),
        ({"signal_model": "svm"}, "'svm' is not among models"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"changed\.yaml.*{message}"):
        load_config(_written(tmp_path, **changes))


def test_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: [1,")
    with pytest.raises(ConfigurationError, match=r"broken\.yaml: is not YAML"):
        load_config(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name an existing YAML file"):
        load_config(tmp_path / "absent.yaml")
