from __future__ import annotations

from math import sqrt

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from deepfactor.evaluation.averages import mean_with_error
from deepfactor.evaluation.performance import PERFORMANCE
from deepfactor.evaluation.sharpe import sharpe_ratio
from deepfactor.evaluation.skill import SKILL, skill
from tests.evaluation.frames import month


def _performance(model: str, months: list[tuple[float | None, float | None, float | None]]) -> pl.DataFrame:
    """Return the performance, given rank correlation, hit rate and long-short return of each month."""
    rows = [(month(number), model, 10, 0, 0.1, 0.1, *each) for number, each in enumerate(months)]
    return pl.DataFrame(rows, schema=dict(PERFORMANCE.columns), orient="row")


def test_by_hand() -> None:
    (row,) = skill(
        _performance("m", [(0.1, 0.6, 0.02), (-0.02, 0.5, 0.0), (0.04, 0.4, 0.01), (0.0, 0.7, -0.01)])
    ).to_dicts()
    deviation = sqrt((0.07**2 + 0.05**2 + 0.01**2 + 0.03**2) / 3)
    assert (row["model"], row["months"]) == ("m", 4)
    assert row["rank_ic"] == pytest.approx(0.03)
    assert row["information_ratio"] == pytest.approx(0.03 / deviation)
    assert row["annual_information_ratio"] == pytest.approx(0.03 / deviation * sqrt(12))
    # Zero is not above zero.
    assert (row["positive_rank_ic"], row["positive_long_short"]) == (0.5, 0.5)
    assert row["stock_hit_rate"] == pytest.approx(0.55)
    few = [name for name in row if name.endswith(("_se", "_t", "_lower", "_upper"))]
    assert len(few) == 9
    assert {row[name] for name in few} == {None}


def test_errors() -> None:
    random = np.random.default_rng(0)
    columns = random.normal(0.03, 0.1, 40), random.uniform(0.4, 0.6, 40), random.normal(0.01, 0.05, 40)
    (row,) = skill(_performance("m", list(zip(*(each.tolist() for each in columns), strict=True)))).to_dicts()
    estimate = sharpe_ratio(columns[0])
    assert estimate is not None
    assert row["annual_information_ratio"] == pytest.approx(estimate.ratio)
    assert row["annual_information_ratio_se"] == pytest.approx(estimate.standard_error)
    assert row["information_ratio_se"] == pytest.approx(estimate.standard_error / sqrt(12))
    assert row["rank_ic_se"] == pytest.approx(mean_with_error("x", columns[0])["x_se"])
    assert row["rank_ic_t"] == pytest.approx(row["rank_ic"] / row["rank_ic_se"])
    assert row["stock_hit_rate_se"] == pytest.approx(mean_with_error("x", columns[1])["x_se"])
    interval = binomtest(int((columns[2] > 0).sum()), 40).proportion_ci(method="wilson")
    assert (row["positive_long_short_lower"], row["positive_long_short_upper"]) == pytest.approx(interval)


def test_forecasts_that_rank_nothing() -> None:
    frame = pl.concat([_performance("zero", [(None, None, None)] * 20), _performance("m", [(0.1, 0.5, 0.1)])])
    one, zero = skill(frame).to_dicts()
    assert (one["model"], one["months"], one["information_ratio"]) == ("m", 1, None)
    assert zero.pop("months") == 0
    assert zero.pop("model") == "zero"
    assert set(zero.values()) == {None}
    assert skill(PERFORMANCE.empty()).equals(SKILL.empty())
