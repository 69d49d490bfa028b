from __future__ import annotations

from math import sqrt

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deepfactor.evaluation.averages import mean_with_error
from deepfactor.evaluation.naive import NAIVE, TRAILING_MEAN, TRAINING_MEAN, ZERO, with_naive
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T, PERFORMANCE, monthly_performance
from deepfactor.evaluation.significance import mean_test
from deepfactor.evaluation.table_4 import TABLE_4, table_4
from tests.evaluation.frames import forecasts, month, returns


def _performance(long_short: list[float | None], rank_ic: list[float | None], model: str = "m") -> pl.DataFrame:
    rows = [
        (month(number), model, 10, number, 0.1 * (number + 1), 0.2 * (number + 1), correlation, 0.5, value)
        for number, (value, correlation) in enumerate(zip(long_short, rank_ic, strict=True))
    ]
    return pl.DataFrame(rows, schema=dict(PERFORMANCE.columns), orient="row")


def test_by_hand() -> None:
    (row,) = table_4(_performance([0.01, 0.03, 0.02], [0.1, 0.0, -0.04])).to_dicts()
    assert row == {
        "place": 1,
        "model": "m",
        "months": 3,
        "months_of_portfolio": 3,
        "stocks": 30,
        "without_return": 3,
        "mae": pytest.approx(0.2),
        "mae_se": None,
        "rmse": pytest.approx(0.4),
        "rmse_se": None,
        "annual_return": pytest.approx(0.24),
        "annual_return_se": None,
        "annual_volatility": pytest.approx(0.01 * sqrt(12)),
        "annual_volatility_se": None,
        "sharpe_ratio": pytest.approx(0.24 / (0.01 * sqrt(12))),
        "sharpe_ratio_se": None,
        "rank_ic": pytest.approx(0.02),
        "rank_ic_se": None,
        "rank_ic_t": None,
    }


@settings(deadline=None)
@given(st.lists(st.floats(-0.5, 0.5), min_size=FEWEST_MONTHS_FOR_T, max_size=60))
def test_the_t_statistic_is_that_of_newey_and_west(rank_ic: list[float]) -> None:
    assume(np.std(rank_ic) > 1e-6)
    (row,) = table_4(_performance([0.0] * len(rank_ic), [*rank_ic])).to_dicts()
    test = mean_test(np.array(rank_ic))
    assert row["rank_ic_t"] == (None if test is None else test.mean.t)
    assert row["mae_se"] == mean_with_error("x", np.array([0.1 * (n + 1) for n in range(len(rank_ic))]))["x_se"]


def test_few_months_have_no_errors() -> None:
    values: list[float | None] = [0.01 * (number % 5) for number in range(FEWEST_MONTHS_FOR_T)]
    (row,) = table_4(_performance(values, values)).to_dicts()
    assert None not in row.values()
    (row,) = table_4(_performance(values[1:], values[1:])).to_dicts()
    assert {name for name, value in row.items() if value is None} == {
        name for name in row if name.endswith(("_se", "_t"))
    }


def test_what_cannot_be_computed_is_none() -> None:
    (one,) = table_4(_performance([0.02], [None])).to_dicts()
    assert one["annual_return"] == pytest.approx(0.24)
    assert (one["annual_volatility"], one["sharpe_ratio"], one["rank_ic"]) == (None, None, None)
    (none,) = table_4(_performance([None, None], [None, None])).to_dicts()
    assert (none["annual_return"], none["sharpe_ratio"]) == (None, None)
    assert (none["months"], none["months_of_portfolio"]) == (2, 0)
    (constant,) = table_4(_performance([0.0, 0.0], [0.0, 0.0])).to_dicts()
    assert (constant["annual_volatility"], constant["sharpe_ratio"]) == (0, None)
    assert table_4(PERFORMANCE.empty()).equals(TABLE_4.empty())


def test_the_papers_order_then_others_then_naive_forecasts() -> None:
    models = ["zero", "ours", "forest", "linear", "dfm2", "own trailing mean", "dfm1", "another", "training mean"]
    performance = pl.concat([_performance([0.01], [0.1], model) for model in models])
    assert table_4(performance)["model"].to_list() == [
        "dfm1", "dfm2", "linear", "forest", "another", "ours", ZERO, TRAINING_MEAN, TRAILING_MEAN
    ]  # fmt: skip
    assert table_4(performance, ["linear", "absent", "dfm1"])["model"].to_list()[:4] == [
        "linear", "dfm1", "another", "dfm2"
    ]  # fmt: skip
    assert table_4(performance)["place"].to_list() == list(range(1, 10))


def test_from_forecasts_to_the_table() -> None:
    """Two months of ten stocks, one of which is delisted, and one month that is not over."""
    stocks = {name: (0.01 * number, 0.02 * number) for number, name in enumerate("abcdefghij")}
    delisted = stocks | {"j": (0.09, None)}
    frame = pl.concat(
        [
            forecasts(0, "linear", stocks),
            forecasts(1, "linear", delisted),
            forecasts(2, "linear", {name: (value, None) for name, (value, _) in stocks.items()}),
        ]
    )
    history = [(n, name, -0.01 * number) for n in range(-59, 3) for number, name in enumerate("abcdefghij")]
    means = {month(number): 0.05 for number in range(3)}
    table = table_4(monthly_performance(with_naive(frame, means, returns(history))))
    assert table["model"].to_list() == ["linear", *NAIVE]
    assert table["months"].to_list() == [2] * 4
    assert table["stocks"].to_list() == [19] * 4
    assert table["without_return"].to_list() == [1] * 4
    # Errors of 0 to 9 %, and of 0 to 8 %.
    assert table["mae"].to_list()[0] == pytest.approx((0.045 + 0.04) / 2)
    assert table["mae"].to_list()[1] == pytest.approx((0.09 + 0.08) / 2)
    # Legs of 17 % and 1 %; then the top one's are 16 % and nothing. Trailing means have them the other way round.
    expected = ((0.17 - 0.01) + (0.08 - 0.01)) / 2 * 12
    assert table["annual_return"].to_list() == [pytest.approx(expected), None, None, pytest.approx(-expected)]
    assert table["rank_ic"].to_list() == [1.0, None, None, -1.0]
