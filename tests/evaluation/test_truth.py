"""On simulated markets whose truth is known, the evaluation says what is true.

The markets are simulated, read, described, learned and judged by the product's own functions. They are smaller than
real ones, so premia are three times the product's where a network shall find more of them than a line does. A model is
used for a year and a half or more before it is trained anew, the same for all models. In full size, with the premia and
the training that the product has by default, ``benchmarks/truth.py`` and ``benchmarks/leaks.py`` do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, kstest

from benchmarks.leaks import leaks
from benchmarks.truth import NETWORKS, gain, rank_ics
from benchmarks.walk_forward import Market, Walk, described, walk_forward
from deepfactor.config import TrainingConfig, UniverseConfig
from deepfactor.evaluating.plausibility import EXPLAINED, RANK_IC, REGULARITY, plausibility
from deepfactor.evaluation.comparison import LossDifference, diebold_mariano
from deepfactor.evaluation.forecasts import FORECASTS
from deepfactor.evaluation.performance import monthly_performance
from deepfactor.evaluation.significance import Estimate, critical_t, mean_test
from deepfactor.evaluation.skill import skill
from deepfactor.portfolio import quintiles, ranks
from deepfactor.sources.premia import Form

F64 = NDArray[np.float64]

MODELS = (*NETWORKS, "linear")
SEEDS = (1, 2)
# As many updates as 2,000 stocks give, for 300.
WALK = Walk(
    months=36,
    retrained_every=18,
    models=MODELS,
    training=TrainingConfig(members=2, batch_size=64, learning_rate=0.0005),
    universe=UniverseConfig(minimum_stocks=20),
)


@lru_cache
def planted(form: Form) -> tuple[pl.DataFrame, ...]:
    """The performance in three markets with strong premia."""
    markets = [Market(form, seed, stocks=300, strength=3.0) for seed in SEEDS]
    return tuple(walk_forward(described(market, WALK), WALK) for market in markets)


def pooled(values: Callable[[pl.DataFrame], F64], form: Form) -> F64:
    """Return the months of all markets, one market after the other."""
    return np.concatenate([values(each) for each in planted(form)])


def rank_ic_gain(network: str, form: Form) -> Estimate:
    """Return by how much a network ranks better than the linear model, over all months of all markets."""
    found = mean_test(pooled(lambda each: gain(each, network), form))
    assert found is not None
    return found.mean


def squared_errors(network: str, form: Form) -> LossDifference:
    """Return Diebold and Mariano's test of a network against the linear model, over all months of all markets."""

    def losses(model: str) -> F64:
        return pooled(lambda each: each.filter(model=model).sort("month")["rmse"].to_numpy() ** 2, form)

    found = diebold_mariano(losses(network), losses("linear"))
    assert found is not None
    return found


@pytest.mark.parametrize("network", NETWORKS)
class TestPremia:
    def test_with_interactions_deep_models_beat_the_linear_one(self, network: str) -> None:
        for each in planted("interactions"):
            in_one_market = mean_test(gain(each, network))
            assert in_one_market is not None
            assert in_one_market.mean.value > 0
            assert in_one_market.mean.p_value < 0.05
        found = rank_ic_gain(network, "interactions")
        assert found.lower > 0.015
        assert found.p_value < 1e-4

    def test_their_squared_errors_too(self, network: str) -> None:
        found = squared_errors(network, "interactions")
        assert found.difference < 0
        assert found.p_value is not None
        assert found.p_value < 0.05

    def test_with_linear_premia_they_do_not(self, network: str) -> None:
        for each in planted("linear"):
            in_one_market = mean_test(gain(each, network))
            assert in_one_market is not None
            assert in_one_market.mean.value < 0 or in_one_market.mean.p_value > 0.05
        found = rank_ic_gain(network, "linear")
        # Not for want of months: a third of what interactions are worth would be seen.
        assert found.upper < rank_ic_gain(network, "interactions").lower / 3


@pytest.mark.parametrize("form", ["interactions", "linear"])
def test_all_models_find_planted_premia(form: Form) -> None:
    for model in MODELS:
        for each in planted(form):
            found = mean_test(rank_ics(each, model))
            assert found is not None
            assert found.mean.value > 0.1
            assert found.mean.p_value < 1e-4


# Where nothing is to be learned, a little training is as good as much.
BRIEF = Walk(
    months=30,
    training_months=24,
    retrained_every=30,
    models=MODELS,
    training=TrainingConfig(members=1, epochs=3, batch_size=64, learning_rate=0.001),
    universe=UniverseConfig(minimum_stocks=20),
)
MARKETS = 20


@lru_cache
def without_premia() -> tuple[pl.DataFrame, ...]:
    """The performance in twenty markets without any premium."""
    markets = [Market("none", seed, stocks=100, rolling_months=36) for seed in range(1, 1 + MARKETS)]
    return tuple(walk_forward(described(market, BRIEF), BRIEF) for market in markets)


@pytest.mark.parametrize("model", MODELS)
class TestWithoutPremia:
    def test_a_twentieth_of_the_markets_has_a_significant_rank_ic(self, model: str) -> None:
        tests = [mean_test(rank_ics(each, model)) for each in without_premia()]
        p_values = np.array([test.mean.p_value for test in tests if test is not None])
        # By chance more are in one of 400 cases; that they could be too few, twenty markets cannot say.
        assert (p_values < 0.05).sum() <= binom.ppf(0.9975, MARKETS, 0.05)
        assert kstest(p_values, "uniform").pvalue > 0.01

    def test_nor_have_all_of_them_together(self, model: str) -> None:
        found = mean_test(np.concatenate([rank_ics(each, model) for each in without_premia()]))
        assert found is not None
        assert found.mean.p_value > 0.05
        assert found.mean.upper < 0.02

    def test_nothing_is_too_good_to_be_true(self, model: str) -> None:
        for each in without_premia():
            assert not plausibility(each).filter(model=model)["suspicious"].any()


@lru_cache
def chance(signals: int = 800, stocks: int = 40) -> pl.DataFrame:
    """The performance of signals that persist and say nothing, on the returns of a simulated market."""
    returns = described(Market("none", 0, stocks=100, rolling_months=36), BRIEF)
    months = [month.first_day for month in BRIEF.as_of]
    following = returns.select(pl.col("month").dt.offset_by("-1mo"), "security_id", realised="total_return")
    wide = following.filter(pl.col("month").is_in(months)).pivot(on="month", index="security_id", values="realised")
    there = wide.drop_nulls().head(stocks)
    names = there["security_id"].to_numpy().astype(str)
    random = np.random.default_rng(0)
    score = random.standard_normal((signals, stocks))
    parts = []
    for month in months:
        score = 0.9 * score + np.sqrt(1 - 0.9**2) * random.standard_normal((signals, stocks))
        rank = np.stack([ranks(each, names) for each in score])
        columns = {
            "month": month,
            "model": np.repeat([f"{number:03}" for number in range(signals)], stocks),
            "security_id": np.tile(names, signals),
            "prediction": score.ravel(),
            "dispersion": 0.0,
            "rank": rank.ravel(),
            "quintile": np.stack([quintiles(each) for each in rank]).ravel(),
            "realised": np.tile(there[str(month)].to_numpy(), signals),
        }
        parts.append(pl.DataFrame(columns, schema=dict(FORECASTS.columns)))
    return monthly_performance(pl.concat(parts))


def test_a_twentieth_of_800_signals_without_meaning_is_significant() -> None:
    t = skill(chance())["rank_ic_t"].to_numpy()
    share = float((np.abs(t) > critical_t(BRIEF.months)).mean())
    assert share == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / len(t)))


# The product's own premia: the honest market is one that could be real.
LEAKY = replace(WALK, months=24, retrained_every=24)


def caught(form: Form, leak: str, walk: Walk = LEAKY) -> dict[str, set[str]]:
    """Return by model which checks say that it is too good to be true."""
    planted = leaks(seed=1)[leak]
    frame = described(Market(form, 1, stocks=300), walk, planted.tables, planted.descriptors)
    checked = plausibility(walk_forward(frame, walk))
    return {model: set(checked.filter("suspicious", model=model)["check"]) for model in walk.models}


@pytest.mark.parametrize("form", ["interactions", "linear", "none"])
class TestLeaks:
    def test_an_honest_market_is_plausible(self, form: Form) -> None:
        assert not any(caught(form, "none").values())

    def test_next_month_among_the_inputs_is_too_good_to_be_true(self, form: Form) -> None:
        for checks in caught(form, "next month's return, noise × 2").values():
            assert {RANK_IC.name, REGULARITY.name} <= checks

    def test_without_noise_by_all_checks(self, form: Form) -> None:
        every = {"linear": {RANK_IC.name, REGULARITY.name, EXPLAINED.name}}
        assert caught(form, "next month's return, noise × 0", replace(LEAKY, models=("linear",))) == every


@pytest.mark.parametrize(
    ("leak", "seen"),
    [
        ("next month's return, noise × 4", True),
        ("next month's return, noise × 16", False),
        ("60MOM a month early", True),
        ("CAP a month early", True),
        ("60VOL a month early", False),
        ("accounts a month early", False),
        ("only survivors", False),
    ],
)
def test_how_small_a_leak_may_be(leak: str, seen: bool) -> None:
    """What is worth a rank IC below .15 or so is not told from a good signal; benchmarks/leaks.py has more of them."""
    assert bool(caught("interactions", leak, replace(LEAKY, models=("linear",), months=36))["linear"]) == seen
