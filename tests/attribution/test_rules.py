"""Rules by their names and parameters, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deepfactor.attribution.rules import (
    AlphaBeta,
    Epsilon,
    Gamma,
    Rule,
    Zero,
    check_rules,
    layer_rules,
    network_rules,
    parse_rule,
)
from deepfactor.config import DEFAULT_CONFIG, AttributionConfig, load_config
from deepfactor.errors import ConfigurationError

NAMED: dict[str, Rule] = {
    "zero": Zero(),
    "epsilon": Epsilon(1e-3),
    "epsilon:0.01": Epsilon(0.01),
    "epsilon:0": Epsilon(0.0),
    "gamma": Gamma(0.25),
    "gamma:2": Gamma(2.0),
    "gamma:1e-3": Gamma(0.001),
}


@pytest.mark.parametrize("text", NAMED)
def test_names(text: str) -> None:
    assert parse_rule(text) == NAMED[text]


def test_alpha_beta_warns_where_it_is_made() -> None:
    with pytest.warns(UserWarning, match="turns the signs of relevances around where a prediction is negative") as told:
        assert AlphaBeta(3.0).alpha == 3.0
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="LRP-αβ"):
        assert parse_rule("alpha-beta:3") == AlphaBeta(3.0)
    with pytest.warns(UserWarning, match="LRP-αβ"):
        network_rules(["zero", "zero", "alpha-beta"], 3)


def test_no_other_rule_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in NAMED:
            parse_rule(text)


REFUSED = {
    "lrp": "there is no rule 'lrp': write zero, epsilon:0.001, gamma:0.25 or alpha-beta:2",
    "": "there is no rule ''",
    "Zero": "there is no rule 'Zero'",
    "zero:1": "there is no rule 'zero:1'",
    "zero:": "there is no rule 'zero:'",
    "epsilon:": "'' is no number, in the rule 'epsilon:'",
    "epsilon:small": "'small' is no number, in the rule 'epsilon:small'",
    "epsilon:0,01": "'0,01' is no number, in the rule 'epsilon:0,01'",
    "gamma:1:2": "'1:2' is no number",
    "epsilon:-1": "the relative ε of LRP-ε must be a number of 0 or more, not -1.0",
    "epsilon:nan": "the relative ε of LRP-ε must be a number of 0 or more, not nan",
    "gamma:-0.1": "the γ of LRP-γ must be a number of 0 or more, not -0.1",
    "gamma:inf": "the γ of LRP-γ must be a number of 0 or more, not inf",
    "alpha-beta:0.5": "the α of LRP-αβ must be a number of 1 or more, not 0.5",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=REFUSED[text]):
        parse_rule(text)


@pytest.mark.parametrize("make", [lambda: Epsilon(-0.1), lambda: Gamma(float("nan")), lambda: AlphaBeta(0.0)])
def test_a_wrong_parameter_is_refused_in_python_too(make: Callable[[], Rule]) -> None:
    with pytest.raises(ConfigurationError, match="must be a number of"):
        make()


FIRST, HIDDEN, LAST = Gamma(0.25), Epsilon(0.01), Zero()
THREE = ("gamma:0.25", "epsilon:0.01", "zero")


@pytest.mark.parametrize(
    ("names", "depth", "rules"),
    [
        (("gamma",), 1, (FIRST,)),
        (("gamma",), 3, (FIRST, FIRST, FIRST)),
        (THREE, 1, (FIRST,)),
        (THREE, 2, (FIRST, LAST)),
        (THREE, 3, (FIRST, HIDDEN, LAST)),
        (THREE, 7, (FIRST, *[HIDDEN] * 5, LAST)),
    ],
)
def test_rules_of_a_network(names: tuple[str, ...], depth: int, rules: tuple[Rule, ...]) -> None:
    assert network_rules(names, depth) == rules


@pytest.mark.parametrize("names", [(), ("zero", "zero"), ("zero",) * 4])
def test_neither_one_rule_nor_three(names: tuple[str, ...]) -> None:
    message = f"{len(names)} rules are named: name one, or those of first, hidden and last layers"
    with pytest.raises(ConfigurationError, match=message):
        network_rules(names, 3)
    with pytest.raises(ConfigurationError, match=f"^somewhere: attribution.rules: {message}"):
        check_rules(names, "somewhere")


def test_rules_of_layers() -> None:
    assert layer_rules(Zero(), 2) == (Zero(), Zero())
    assert layer_rules([Zero(), FIRST], 2) == (Zero(), FIRST)
    with pytest.raises(ConfigurationError, match="1 rules are given for 2 layers"):
        layer_rules([Zero()], 2)


class TestConfiguration:
    def written(self, folder: Path, rules: object) -> Path:
        path = folder / "own.yaml"
        path.write_text(yaml.safe_dump({"base": str(DEFAULT_CONFIG), "attribution": {"rules": rules}}))
        return path

    def test_the_default_is_zero_for_all_layers(self) -> None:
        assert load_config().attribution == AttributionConfig(("zero",))
        assert network_rules(AttributionConfig().rules, 7) == (Zero(),) * 7

    def test_three_rules(self, tmp_path: Path) -> None:
        config = load_config(self.written(tmp_path, list(THREE)))
        assert config.attribution.rules == THREE
        assert config.digest() != load_config().digest()

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            (["lrp"], "attribution.rules: there is no rule 'lrp'"),
            (["zero", "gamma:-1", "zero"], "attribution.rules: the γ of LRP-γ must be a number of 0 or more, not -1.0"),
            (["zero", "zero"], "attribution.rules: 2 rules are named"),
            ([], "attribution.rules: .*at least 1 item"),
            (["zero"] * 4, "attribution.rules: .*at most 3 items"),
            ("zero", "attribution.rules: .*valid tuple"),
            ([0.25], r"attribution.rules.0: .*valid string"),
        ],
        ids=str,
    )
    def test_the_file_is_named(self, tmp_path: Path, rules: object, message: str) -> None:
        path = self.written(tmp_path, rules)
        with pytest.raises(ConfigurationError, match=f"^{path}: {message}"):
            load_config(path)
