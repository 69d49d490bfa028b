"""Accounts of predictions: which models must have one, and what becomes of a month without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from deepfactor.config import Config
from deepfactor.models.names import MODELS
from deepfactor.months import Window
from deepfactor.portfolio import quintiles, ranks
from deepfactor.schemas import FACTORS, LEDGER, SIGNALS
from deepfactor.validation import Validation
from deepfactor.validation.results import row_facts, validate_results
from tests.conftest import AS_OF


@pytest.fixture(scope="module")
def all_models(small_config: Config) -> Config:
    return replace(small_config, models=MODELS)


@pytest.fixture(scope="module")
def signals(described: pl.DataFrame) -> pl.DataFrame:
    """Signals of all five models."""
    chosen = described.filter(pl.col("month") == AS_OF.first_day, pl.col("in_universe")).sort("security_id")
    codes = chosen["security_id"].to_numpy().astype(str)
    random = np.random.default_rng(7)
    frames = []
    for model in MODELS:
        prediction = np.linspace(-0.02, 0.03, len(codes)) + random.normal(0, 0.002, len(codes))
        rank = ranks(prediction, codes)
        key = {"month": AS_OF.first_day, "model": model, "security_id": codes}
        frames.append(
            pl.DataFrame(
                {**key, "prediction": prediction, "dispersion": 0.0, "rank": rank, "quintile": quintiles(rank)}
            )
        )
    return SIGNALS.check(pl.concat(frames), "")


def booked(signals: pl.DataFrame, *models: str) -> pl.DataFrame:
    """Return a ledger of some models."""
    chosen = signals.filter(pl.col("model").is_in(models))
    accounts = dict.fromkeys(FACTORS, 0.0) | {"level": 0.0, "leak": 0.0}
    parts = [pl.lit(value).alias(name) for name, value in accounts.items()]
    return chosen.select(
        "month", "model", "security_id", "prediction", pl.col("prediction").alias("bias"), *parts
    ).select(*LEDGER.columns)


def unmet(outcome: Validation) -> set[str]:
    return {each["name"] for each in outcome.verdict["expectations"] if not each["success"]}


def test_a_model_that_cannot_be_explained_needs_no_account(
    described: pl.DataFrame, signals: pl.DataFrame, all_models: Config
) -> None:
    ledger = booked(signals, "dfm1", "dfm2", "linear")
    outcome = validate_results(described, signals, ledger, AS_OF, all_models)
    assert outcome.passed, outcome.verdict["faults"]


@pytest.mark.parametrize("model", ["dfm1", "dfm2", "linear"])
def test_a_network_without_a_ledger_stops_the_month(
    model: str, described: pl.DataFrame, signals: pl.DataFrame, all_models: Config
) -> None:
    ledger = booked(signals, *({"dfm1", "dfm2", "linear"} - {model}))
    outcome = validate_results(described, signals, ledger, AS_OF, all_models)
    assert not outcome.passed
    assert "prediction is accounted for" in unmet(outcome)
    assert any("has no account in the ledger" in fault for fault in outcome.verdict["faults"])


def test_one_stock_without_an_account_stops_the_month(
    described: pl.DataFrame, signals: pl.DataFrame, all_models: Config
) -> None:
    ledger = booked(signals, "dfm1", "dfm2", "linear")
    outcome = validate_results(described, signals, ledger[1:], AS_OF, all_models)
    assert not outcome.passed
    assert unmet(outcome) & {"prediction is accounted for", "prediction is the ledger's"} == {
        "prediction is accounted for"
    }


def test_an_account_that_is_there_must_be_the_predictions(signals: pl.DataFrame, described: pl.DataFrame) -> None:
    """Of a model that needs none too."""
    ledger = booked(signals, *MODELS).with_columns(pl.col("prediction") + 0.5)
    tables = {"descriptors": described, "signals": signals}
    facts = row_facts(tables, Window(AS_OF), ledger)["signals"]
    assert facts["accounted_for"].all()
    assert facts["ledger_gap"].to_list() == pytest.approx([0.5] * signals.height)
