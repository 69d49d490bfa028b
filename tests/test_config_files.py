"""Configurations that change another: what is merged, what is replaced, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.config import DEFAULT_CONFIG, load_config
from deepfactor.config_files import ConfigFiles, read_config_files
from deepfactor.errors import ConfigurationError

KEYS = st.sampled_from("abc")
VALUES = st.one_of(st.none(), st.integers(0, 2), st.lists(st.integers(0, 2), max_size=2))
MAPPINGS = st.dictionaries(KEYS, st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=3)))


def leaves(content: Any, keys: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every value by its nested keys; a mapping without keys is a value."""
    if not isinstance(content, dict) or not content:
        return {keys: content}
    return {where: value for key, inner in content.items() for where, value in leaves(inner, (*keys, key)).items()}


def write(folder: Path, **files: object) -> Path:
    """Write YAML files; return the path of the first."""
    paths = [folder / f"{name}.yaml" for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_text(yaml.safe_dump(content))
    return paths[0]


class TestMerged:
    def test_frozen(self, tmp_path: Path) -> None:
        first = write(
            tmp_path,
            first={"base": "second.yaml", "a": {"x": {"new": 1}, "y": None}, "list": [3]},
            second={"base": "third.yaml", "a": {"x": {"old": 2}}, "list": [1, 2], "number": 5},
            third={"a": {"x": {"old": 1, "kept": 0}, "y": {"z": 1}}, "number": {"was": "a mapping"}},
        )
        assert read_config_files(first).merged() == {
            "a": {"x": {"new": 1, "old": 2, "kept": 0}, "y": None},
            "list": [3],
            "number": 5,
        }

    @given(MAPPINGS, MAPPINGS)
    def test_every_value_comes_from_the_change_or_else_from_the_base(
        self, changes: dict[str, Any], base: dict[str, Any]
    ) -> None:
        merged = ConfigFiles({Path("changes"): changes, Path("base"): base}).merged()
        found, new, old = (leaves(each) for each in (merged, changes, base))
        for keys, value in new.items():
            # A mapping without keys changes nothing of a mapping.
            assert keys not in found or found[keys] == value or value == {}
            assert keys in found or value == {}
        for keys, value in found.items():
            assert value == new[keys] if keys in new else value == old[keys]

    @given(MAPPINGS, MAPPINGS)
    def test_the_holder_of_a_value_is_where_it_stands(self, changes: dict[str, Any], base: dict[str, Any]) -> None:
        files = ConfigFiles({Path("changes"): changes, Path("base"): base})
        for keys in leaves(files.merged()):
            assert files.holder(keys) == Path("changes" if keys in leaves(changes) else "base") or not keys

    def test_nothing_is_changed_in_place(self, tmp_path: Path) -> None:
        files = read_config_files(write(tmp_path, a={"base": "b.yaml", "x": {"y": 1}}, b={"x": {"z": 2}}))
        assert files.merged() == files.merged() == {"x": {"y": 1, "z": 2}}

    def test_a_base_lies_relative_to_the_file_that_names_it(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        write(tmp_path, first={"base": "second.yaml", "a": 1}, second={"b": 2})
        mine = write(tmp_path / "mine", mine={"base": "../first.yaml", "c": 3})
        assert read_config_files(mine).merged() == {"a": 1, "b": 2, "c": 3}


class TestConfiguration:
    def test_a_file_that_changes_nothing_is_its_base(self, tmp_path: Path) -> None:
        """The base's suites too, where the file has none beside it."""
        path = write(tmp_path, mine={"base": str(DEFAULT_CONFIG)})
        assert load_config(path) == load_config()
        assert load_config(path).digest() == load_config().digest()

    def test_suites_of_its_own_are_used(self, tmp_path: Path) -> None:
        (tmp_path / "config").mkdir()
        (tmp_path / "expectations").mkdir()
        (tmp_path / "expectations" / "market.json").write_text(json.dumps({"notes": "mine"}))
        path = write(tmp_path / "config", mine={"base": str(DEFAULT_CONFIG)})
        assert load_config(path).expectations == {"market": {"notes": "mine"}}

    def test_one_key_deep_inside(self, tmp_path: Path) -> None:
        path = write(tmp_path, mine={"base": str(DEFAULT_CONFIG), "source": {"simulate": {"stocks": 99}}})
        default, changed = load_config(), load_config(path)
        assert default.source.simulate is not None
        assert changed.source.simulate is not None
        assert changed.source.simulate.stocks == 99
        assert changed.source.simulate.premia == default.source.simulate.premia
        assert changed.source.datasets == default.source.datasets


class TestValidation:
    def test_a_mistake_names_the_file_it_stands_in(self, tmp_path: Path) -> None:
        path = write(
            tmp_path,
            mine={"base": "other.yaml", "training": {"epoch": 3}},
            other={
                "base": str(DEFAULT_CONFIG),
                "training": {"epochs": "many"},
                "univers": {},
                "source": {"datasets": {"market": {"missing": [-9]}}},
            },
        )
        with pytest.raises(ConfigurationError) as caught:
            load_config(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "training.epoch: Unexpected keyword" in str(caught.value)
        for keys in ("training.epochs", "univers", "source.datasets.market.missing.0"):
            assert f"{keys} (in its base {tmp_path / 'other.yaml'}): " in str(caught.value)

    def test_a_key_that_no_file_has(self, tmp_path: Path) -> None:
        path = write(tmp_path, mine={"base": "other.yaml"}, other={"source": {}})
        with pytest.raises(ConfigurationError, match=r"mine\.yaml: gates: .*required"):
            load_config(path)

    @pytest.mark.parametrize(
        ("files", "chain"),
        [
            ({"a": {"base": "a.yaml"}}, "a.yaml → {}/a.yaml;"),
            ({"a": {"base": "b.yaml"}, "b": {"base": "../{}/a.yaml"}}, "a.yaml → {}/b.yaml → .*a.yaml;"),
        ],
    )
    def test_a_cycle(self, tmp_path: Path, files: dict[str, dict[str, str]], chain: str) -> None:
        named = {name: {"base": content["base"].format(tmp_path.name)} for name, content in files.items()}
        with pytest.raises(ConfigurationError, match="a.yaml: base leads back .*" + chain.format(tmp_path)):
            load_config(write(tmp_path, **named))

    def test_a_base_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"a\.yaml: base: .*nowhere\.yaml: cannot be read .*existing YAML"):
            load_config(write(tmp_path, a={"base": "nowhere.yaml"}))

    @pytest.mark.parametrize("base", [3, ["default.yaml"], {"name": "default.yaml"}])
    def test_a_base_that_is_no_name(self, tmp_path: Path, base: object) -> None:
        with pytest.raises(ConfigurationError, match=r"a\.yaml: base: expected the name of a YAML file, found"):
            load_config(write(tmp_path, a={"base": base}))

    def test_a_base_without_keys(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"a\.yaml: base: .*b\.yaml: expected keys and values, found list"):
            load_config(write(tmp_path, a={"base": "b.yaml"}, b=[1]))

    def test_a_configuration_that_nobody_has_written(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_bytes(b"a: 1\n" * 200_001)
        with pytest.raises(ConfigurationError, match=r"a\.yaml: has more than 1 MB, which is no YAML written by hand"):
            load_config(path)
        for name in ("/dev/zero", "a\0b"):
            with pytest.raises(ConfigurationError, match=r"has more than 1 MB|'.*a\\x00b' is no file's name"):
                load_config(write(tmp_path, a={"base": name}))

    def test_a_suite_that_nobody_has_written(self, tmp_path: Path) -> None:
        for folder in ("config", "expectations"):
            (tmp_path / folder).mkdir()
        (tmp_path / "expectations" / "market.json").write_bytes(b" " * 1_000_001)
        path = write(tmp_path / "config", mine={"base": str(DEFAULT_CONFIG)})
        with pytest.raises(ConfigurationError, match=r"market\.json: has more than 1 MB, which is no JSON"):
            load_config(path)

    @pytest.mark.parametrize("key", [3, None, True])
    def test_a_key_that_is_no_text(self, tmp_path: Path, key: object) -> None:
        path = tmp_path / "a.yaml"
        path.write_text(yaml.safe_dump({key: 1}))
        with pytest.raises(ConfigurationError, match=rf"a\.yaml: the key {key!r} is no text; remove it, or write"):
            load_config(path)

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_a_threshold_that_passes_everything(self, tmp_path: Path, number: float) -> None:
        path = write(tmp_path, mine={"base": str(DEFAULT_CONFIG), "gates": {"minimum_coverage": number}})
        with pytest.raises(ConfigurationError, match=r"gates\.minimum_coverage: Input should be a finite number"):
            load_config(path)

    def test_the_bound_of_a_delivery_changes_no_run(self, tmp_path: Path) -> None:
        path = write(tmp_path, mine={"base": str(DEFAULT_CONFIG), "source": {"maximum_gigabytes": 9}})
        assert load_config(path).digest() == load_config().digest()
        path = write(tmp_path, mine={"base": str(DEFAULT_CONFIG), "source": {"maximum_gigabytes": 0}})
        with pytest.raises(ConfigurationError, match=r"source\.maximum_gigabytes: Input should be greater than 0"):
            load_config(path)
