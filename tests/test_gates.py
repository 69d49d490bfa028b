from __future__ import annotations

import math
from dataclasses import replace

import polars as pl
import pytest

from deepfactor.config import load_config
from deepfactor.gates import Gate, at_least, at_most, judge

GATES = load_config().gates


def _signals(*predictions: float) -> pl.DataFrame:
    return pl.DataFrame(
        {"model": ["dfm1"] * len(predictions), "prediction": list(predictions)},
        schema_overrides={"prediction": pl.Float64},
    )


def _judged(
    signals: pl.DataFrame, *, passed: bool = True, results: bool = True, imbalance: float = 1e-15, universe: int = 4
) -> dict[str, Gate]:
    verdicts = judge(passed, results, universe, signals, {"dfm1": imbalance}, ["dfm1"], GATES)
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
    ],
)
def test_each_gate_refuses(gate: str, signals: pl.DataFrame, changes: dict[str, object]) -> None:
    assert not _judged(signals, **changes)[gate].passed  # type: ignore[arg-type]


def test_a_model_without_predictions_fails_all_its_gates() -> None:
    verdicts = judge(True, True, 4, _signals(), {}, ["dfm1"], GATES)
    assert [each.passed for each in verdicts] == [True, True, False, False, False, False]
    assert all(each.value is None or math.isfinite(each.value) for each in verdicts)


def test_only_a_model_that_can_be_explained_has_a_ledger_to_judge() -> None:
    signals = pl.concat([_signals(0.01, 0.02, 0.03).with_columns(model=pl.lit(name)) for name in ("svr", "linear")])
    verdicts = judge(True, True, 4, signals, {"linear": 0.0}, ["svr", "linear"], GATES)
    assert [each.model for each in verdicts if each.gate == "ledger"] == ["linear"]
    assert [each.gate for each in verdicts if each.model == "svr"] == ["coverage", "credible size", "spread"]
    assert all(each.passed for each in verdicts)


def test_a_network_without_a_ledger_is_refused() -> None:
    verdicts = judge(True, True, 4, _signals(0.01, 0.02, 0.03), {}, ["dfm1"], GATES)
    assert [each.gate for each in verdicts if not each.passed] == ["ledger"]


def test_thresholds_themselves_pass() -> None:
    assert at_most("g", None, 1.0, 1.0, "").passed
    assert at_least("g", None, 1.0, 1.0, "").passed
    assert not at_most("g", None, math.nan, 1.0, "").passed


def test_thresholds_come_from_the_configuration() -> None:
    strict = replace(GATES, minimum_coverage=0.9)
    verdicts = judge(True, True, 4, _signals(0.01, 0.02, 0.03), {"dfm1": 0.0}, ["dfm1"], strict)
    assert [each.threshold for each in verdicts if each.gate == "coverage"] == [0.9]
