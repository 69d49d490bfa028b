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


def test_the_papers_configuration() -> None:
    paper = load_config(INCLUDE / "config" / "paper.yaml")
    assert paper.models == ("dfm1", "dfm2", "linear", "svr", "forest")
    training = paper.training
    assert (training.target, training.members, training.weight_decay) == ("return", 1, 0.0)
    assert (training.epochs, training.batch_size, training.learning_rate) == (10, 512, 0.001)
    assert training.validation_months == 0
    default = load_config()
    assert (paper.source, paper.universe) == (default.source, default.universe)
    # Single networks trained on returns explain badly, and are published with a warning.
    assert replace(paper.gates, advisory=default.gates.advisory) == default.gates
    assert set(paper.gates.advisory) - set(default.gates.advisory) == {"removal", "placebo"}


OPTIONS: list[dict[str, object]] = [
    {"encoding": "cp932"},
    {"separator": ";"},
    {"date_format": "%Y/%m/%d"},
    {"decimal": ","},
    {"thousands": ","},
    {"missing": ["-"]},
    {"types": {"close": "number"}},
    {"code": {"pattern": "^([0-9A-Z]{4})0?$"}},
    {"code": {"zero_pad": 4}},
    {"available_after": {"months": 3}},
    {"available_after": {"days": 45}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_of_a_mapping_changes_the_digest(tmp_path: Path, options: dict[str, object]) -> None:
    source = yaml.safe_load(DEFAULT_CONFIG.read_text())["source"]
    plain = load_config(_written(tmp_path, source=source)).digest()
    source["datasets"]["fundamentals"] |= options
    changed = load_config(_written(tmp_path, source=source))
    assert changed.digest() != plain
    assert load_config(_written(tmp_path, source=source), tmp_path).digest() == changed.digest()


def test_a_folder_lies_in_the_project_and_a_prefix_stays(tmp_path: Path) -> None:
    source = yaml.safe_load(DEFAULT_CONFIG.read_text())["source"]
    assert load_config(_written(tmp_path, source=source)).source.folder == str(INCLUDE.parent / ".local" / "market")
    source |= {"folder": "s3://bucket/prefix", "simulate": None}
    assert load_config(_written(tmp_path, source=source)).source.folder == "s3://bucket/prefix"


def test_a_delivery_that_is_named_is_read_and_not_simulated(tmp_path: Path) -> None:
    assert load_config().source.simulate is not None
    for folder in (tmp_path, str(tmp_path), "s3://bucket/prefix/"):
        source = load_config(source=folder).source
        assert (source.folder, source.simulate) == (str(folder), None)


def _written(folder: Path, **changes: object) -> Path:
    content = yaml.safe_load(DEFAULT_CONFIG.read_text()) | {"expectations": {}} | changes
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _mapped(**options: object) -> dict[str, object]:
    return {"source": {"datasets": {"market": {"files": "a.csv", "columns": {"month": "month"}, **options}}}}


def _gates(**changes: object) -> dict[str, object]:
    return {"gates": yaml.safe_load(DEFAULT_CONFIG.read_text())["gates"] | changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"univers": {}}, "univers"),
        ({"training": {"epochs": "many"}}, r"training\.epochs"),
        ({"gates": {"ledger_tolerance": 1e-9}}, r"gates\.minimum_coverage"),
        (
            _gates(advisory=["membrs"]),
            r"gates\.advisory\.0: Input should be 'coverage', 'credible size', .*'last month'",
        ),
        (_gates(advisory=["ledger"]), r"gates\.advisory\.0"),
        (_gates(minimum_removal_share="most"), r"gates\.minimum_removal_share"),
        ({"signal_model": "svm"}, "'svm' is not among models"),
        ({"models": ["svm", "dfm2"]}, "models: there is no svm; choose from dfm1"),
        ({"models": ["svr", "dfm2"], "signal_model": "svr"}, "signal_model 'svr' has no explanation"),
        (_mapped(encodin="cp932"), r"source\.datasets\.market\.encodin"),
        (_mapped(separator="||"), r"source\.datasets\.market\.separator"),
        (_mapped(separator='"'), r"source\.datasets\.market\.separator"),
        (_mapped(decimal=";"), r"source\.datasets\.market\.decimal"),
        (_mapped(missing=[-999]), r"source\.datasets\.market\.missing\.0: Input should be a valid string"),
        (_mapped(types={"unit": "string"}), r"source\.datasets\.market\.types\.unit"),
        (_mapped(code={"zero_pad": -1}), r"source\.datasets\.market\.code\.zero_pad"),
        (_mapped(available_after={"months": 3, "days": 1}), r"market\.available_after: .*say months or days"),
        (_mapped(available_after={}), r"market\.available_after: .*say months or days"),
        (_mapped(available_after={"days": -1}), r"market\.available_after\.days"),
        ({"source": {"datasets": {}, "folder": "s3://b/p", "simulate": {}}}, r"source\.simulate .*not in s3://b/p"),
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


def test_a_delivery_for_a_source_that_reads_none(tmp_path: Path) -> None:
    path = _written(tmp_path, source={"kind": "jquants"})
    with pytest.raises(
        ConfigurationError, match=r"changed\.yaml: source\.kind is jquants, so there is nothing to read in"
    ):
        load_config(path, tmp_path)
