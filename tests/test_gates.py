from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any, get_args

import polars as pl
import pytest

from deepfactor.config import load_config
from deepfactor.gate_config import AdvisoryGate
from deepfactor.gates import Gate, at_least, at_most, judge, warn_of
from tests.conftest import AS_OF

GATES = load_config().gates
EXPLANATION = {"randomisation": 0.0, "removal": 1.0, "placebo": 0.9, "members": 0.8, "last month": 0.8}


def _checks(**changes: float | None) -> dict[str, dict[str, Any]]:
    values = EXPLANATION | {name.replace("_", " "): value for name, value in changes.items()}
    return {name: {"value": value} for name, value in values.items()}


def _signals(*predictions: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"model": ["dfm1"] * len(predictions), "prediction": list(predictions)},
        schema_overrides={"prediction": pl.Float64},
    )


def _judged(
    signals: pl.DataFrame,
    *,
    passed: bool = True,
    results: bool = True,
    imbalance: float = 1e-15,
    universe: int = 4,
    **changes: float | None,
) -> dict[str, Gate]:
    checks = {"dfm1": _checks(**changes)}
    verdicts = judge(passed, results, universe, signals, {"dfm1": imbalance}, checks, ["dfm1"], GATES)
    return {each.gate: each for each in verdicts}


def test_a_good_month_passes_and_leaves_its_numbers() -> None:
    verdicts = _judged(_signals(0.01, 0.02, -0.01))
    assert all(each.passed for each in verdicts.values())
    assert verdicts["coverage"].value == 0.75
    assert verdicts["credible size"].value == 0.02


@pytest.mark.parametrize(
    ("gate", "signals", "changes"),
    [
        ("validation", _signals(0.01, 0.02, 0.03), {"passed": False}),
        ("results", _signals(0.01, 0.02, 0.03), {"results": False}),
        ("ledger", _signals(0.01, 0.02, 0.03), {"imbalance": 1e-8}),
        ("ledger", _signals(0.01, 0.02, 0.03), {"imbalance": math.nan}),
        ("coverage", _signals(0.01, 0.02), {}),
        ("coverage", _signals(0.01, 0.02), {"universe": 0}),
        ("credible size", _signals(0.01, 0.02, 1.5), {}),
        ("credible size", _signals(0.01, 0.02, math.nan), {}),
        ("spread", _signals(0.01, 0.01, 0.01), {}),
        ("spread", _signals(0.01, 0.02, math.inf), {}),
        ("randomisation", _signals(0.01, 0.02, 0.03), {"randomisation": 1.0}),
        ("randomisation", _signals(0.01, 0.02, 0.03), {"randomisation": None}),
        ("removal", _signals(0.01, 0.02, 0.03), {"removal": 0.5}),
        ("removal", _signals(0.01, 0.02, 0.03), {"removal": None}),
        ("placebo", _signals(0.01, 0.02, 0.03), {"placebo": 5.0}),
        ("placebo", _signals(0.01, 0.02, 0.03), {"placebo": None}),
        ("members", _signals(0.01, 0.02, 0.03), {"members": 0.1}),
        ("last month", _signals(0.01, 0.02, 0.03), {"last_month": 0.1}),
    ],
)
def test_each_gate_refuses(gate: str, signals: pl.DataFrame, changes: dict[str, object]) -> None:
    assert not _judged(signals, **changes)[gate].passed  # type: ignore[arg-type]


def test_a_model_without_predictions_fails_all_its_gates() -> None:
    verdicts = judge(True, True, 4, _signals(), {}, {}, ["dfm1"], GATES)
    assert [each.gate for each in verdicts if each.passed] == ["validation", "results"]
    assert len(verdicts) == 10
    assert all(each.value is None or math.isfinite(each.value) for each in verdicts)


def test_only_a_model_that_can_be_explained_has_a_ledger_to_judge() -> None:
    signals = pl.concat([_signals(0.01, 0.02, 0.03).with_columns(model=pl.lit(name)) for name in ("svr", "linear")])
    verdicts = judge(True, True, 4, signals, {"linear": 0.0}, {"linear": _checks()}, ["svr", "linear"], GATES)
    assert [each.model for each in verdicts if each.gate == "ledger"] == ["linear"]
    assert [each.gate for each in verdicts if each.model == "svr"] == ["coverage", "credible size", "spread"]
    assert all(each.passed for each in verdicts)


def test_a_network_without_a_ledger_is_refused() -> None:
    verdicts = judge(True, True, 4, _signals(0.01, 0.02, 0.03), {}, {"dfm1": _checks()}, ["dfm1"], GATES)
    assert [each.gate for each in verdicts if each.refuses] == ["ledger"]


def test_an_explanation_that_was_not_checked_is_refused() -> None:
    verdicts = judge(True, True, 4, _signals(0.01, 0.02, 0.03), {"dfm1": 0.0}, {}, ["dfm1"], GATES)
    assert [each.gate for each in verdicts if each.refuses] == ["randomisation", "removal", "placebo"]
    assert [each.gate for each in verdicts if not each.passed and not each.hard] == ["last month"]


def test_a_single_model_has_no_members_to_agree() -> None:
    checks = _checks()
    del checks["members"]
    verdicts = judge(True, True, 4, _signals(0.01, 0.02, 0.03), {"dfm1": 0.0}, {"dfm1": checks}, ["dfm1"], GATES)
    assert "members" not in [each.gate for each in verdicts]
    assert all(each.passed for each in verdicts)


def test_the_configuration_says_which_gates_only_warn() -> None:
    verdicts = _judged(_signals(0.01, 0.02, 0.03), members=0.0, last_month=None)
    assert not verdicts["members"].passed and not verdicts["last month"].passed
    assert [each.gate for each in verdicts.values() if not each.hard] == ["members", "last month"]
    assert not any(each.refuses for each in verdicts.values())
    strict = replace(GATES, advisory=())
    judged = judge(True, True, 4, _signals(0.01, 0.02), {"dfm1": 0.0}, {"dfm1": _checks(members=0.0)}, ["dfm1"], strict)
    assert [each.gate for each in judged if each.refuses] == ["coverage", "members"]


def test_every_gate_may_be_advisory_but_those_of_the_data_and_the_ledger() -> None:
    names = [each.gate for each in _judged(_signals(0.01, 0.02, 0.03)).values()]
    assert {"validation", "results", "ledger", *get_args(AdvisoryGate)} == set(names)


def test_what_only_warns_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of(AS_OF, _judged(_signals(0.01, 0.02, 0.03), members=0.123456, last_month=None, removal=0.5).values())
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "2016-02: members of dfm1 is 0.123 against 0.7",
        "2016-02: last month of dfm1 is not known against 0.5",
    ]


def test_thresholds_themselves_pass() -> None:
    assert at_most("g", None, 1.0, 1.0, "").passed
    assert at_least("g", None, 1.0, 1.0, "").passed
    assert not at_most("g", None, math.nan, 1.0, "").passed


def test_thresholds_come_from_the_configuration() -> None:
    strict = replace(GATES, minimum_coverage=0.9)
    verdicts = judge(True, True, 4, _signals(0.01, 0.02, 0.03), {"dfm1": 0.0}, {"dfm1": _checks()}, ["dfm1"], strict)
    assert [each.threshold for each in verdicts if each.gate == "coverage"] == [0.9]
