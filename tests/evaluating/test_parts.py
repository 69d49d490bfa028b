"""Deciles, the stability of shares, comparisons and plausibility on made frames, with the holes that real ones have."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfactor.errors import ConfigurationError
from deepfactor.evaluating.comparisons import in_order, loss_comparisons, sharpe_comparisons, sharpe_ratios
from deepfactor.evaluating.deciles import deciles
from deepfactor.evaluating.explanations import figure_3, share_stability, table_5
from deepfactor.evaluating.notes import spans
from deepfactor.evaluating.parameters import Parameters
from deepfactor.evaluating.plausibility import CHECKS, REGULARITY, plausibility, sentences
from deepfactor.evaluating.tables import MONTHLY_CORRELATIONS, MONTHLY_SHARES
from deepfactor.evaluation.drawdown import SERIES
from deepfactor.evaluation.performance import PERFORMANCE, monthly_performance
from deepfactor.schemas import FACTORS
from tests.evaluation.frames import month, random_forecasts

SEEDS = st.integers(0, 10**6)


def performance(rank_ics: list[float], rmse: float = 0.09, model: str = "dfm2") -> pl.DataFrame:
    """Return the performance of a model and of zero, whose RMSE is .09."""
    rows = []
    for number, rank_ic in enumerate(rank_ics):
        row = {"month": month(number), "stocks": 100, "without_return": 0, "mae": 0.06, "hit_rate": 0.5}
        rows.append(row | {"model": model, "rmse": rmse, "rank_ic": rank_ic, "long_short": rank_ic / 10})
        rows.append(row | {"model": "zero", "rmse": 0.09, "rank_ic": None, "long_short": None})
    return pl.DataFrame(rows, schema=dict(PERFORMANCE.columns))


def shares(rows: list[tuple[int, list[float]]]) -> pl.DataFrame:
    """Return the shares of the top quintile, given number of the month and the five."""
    cells = [
        (month(number), "dfm2", "top quintile", factor, share, 0.02, share > 0.3)
        for number, each in rows
        for factor, share in zip(FACTORS, each, strict=True)
    ]
    return pl.DataFrame(cells, schema=dict(MONTHLY_SHARES.columns), orient="row")


class TestDeciles:
    @given(seed=SEEDS)
    @settings(max_examples=30, deadline=None)
    def test_they_are_those_of_a_loop(self, seed: int) -> None:
        forecasts = random_forecasts(seed, most_stocks=25)
        known = {row["month"] for row in forecasts.iter_rows(named=True) if row["realised"] is not None}
        months: dict[tuple[str, int], list[tuple[float, float, int]]] = {}
        for (day, model), each in sorted(forecasts.partition_by("month", "model", as_dict=True).items()):
            if day not in known:
                continue
            held: dict[int, list[tuple[float, float]]] = {}
            for row in each.sort("security_id").iter_rows(named=True):
                if row["realised"] is not None:
                    tenth = 10 - (row["rank"] - 1) * 10 // each.height
                    held.setdefault(tenth, []).append((row["prediction"], row["realised"]))
            for tenth, pairs in held.items():
                mean = np.mean(pairs, axis=0)
                months.setdefault((str(model), tenth), []).append((mean[0], mean[1], len(pairs)))
        table = deciles(forecasts)
        assert {(row[0], row[1]) for row in table.select("model", "decile").iter_rows()} == set(months)
        for row in table.iter_rows(named=True):
            prediction, realised, stocks = np.mean(months[row["model"], row["decile"]], axis=0)
            assert row["months"] == len(months[row["model"], row["decile"]])
            assert (row["prediction"], row["realised"]) == (
                pytest.approx(prediction, abs=1e-15), pytest.approx(realised, abs=1e-15)
            )  # fmt: skip
            assert row["stocks"] == pytest.approx(stocks)

    @given(seed=SEEDS)
    @settings(max_examples=15, deadline=None)
    def test_the_order_of_the_rows_does_not_matter(self, seed: int) -> None:
        forecasts = random_forecasts(seed)
        shuffled = forecasts.sample(fraction=1.0, shuffle=True, seed=1)
        assert deciles(forecasts).equals(deciles(shuffled))


class TestStability:
    def test_by_hand(self) -> None:
        table = shares(
            [
                (0, [0.4, 0.2, 0.2, 0.1, 0.1]),
                (1, [0.3, 0.3, 0.2, 0.1, 0.1]),  # a tenth has moved; a tie is not another largest
                (2, [0.1, 0.5, 0.2, 0.1, 0.1]),  # a fifth, and another is the largest
                (4, [1.0, 0.0, 0.0, 0.0, 0.0]),  # whose month before is missing
            ]
        )
        row = share_stability(table).row(0, named=True)
        assert row["pairs"] == 2
        assert row["moved"] == pytest.approx(0.15)
        assert row["same_largest"] == pytest.approx(0.5)
        assert row["moved_se"] is None
        figure = figure_3(table).filter(factor="Risk").row(0, named=True)
        assert figure["months"] == 4
        assert figure["share"] == pytest.approx(0.45)
        assert figure["share_sd"] == pytest.approx(np.std([0.4, 0.3, 0.1, 1.0], ddof=1))
        assert figure["disputed"] == pytest.approx(0.5)
        assert figure["dispersion"] == pytest.approx(0.02)

    @given(seed=SEEDS)
    @settings(max_examples=20, deadline=None)
    def test_moved_lies_between_nothing_and_everything(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        rows = [(number, random.dirichlet(np.full(5, 0.5)).tolist()) for number in range(6)]
        row = share_stability(shares(rows)).row(0, named=True)
        assert 0 <= row["moved"] <= 1
        still = share_stability(shares([(number, rows[0][1]) for number in range(6)])).row(0, named=True)
        assert (still["moved"], still["same_largest"]) == (0.0, 1.0)

    def test_a_correlation_that_is_null_is_left_out(self) -> None:
        rows = [
            (month(number), "linear", "Value", value, value, 0.2) for number, value in enumerate([0.1, None, 0.3, None])
        ]
        table = table_5(pl.DataFrame(rows, schema=dict(MONTHLY_CORRELATIONS.columns), orient="row"))
        row = table.row(0, named=True)
        assert (row["months"], row["spearman"], row["share"]) == (4, pytest.approx(0.2), pytest.approx(0.2))
        assert row["spearman_sd"] == pytest.approx(np.std([0.1, 0.3], ddof=1))
        nothing = table_5(pl.DataFrame(rows[1:2], schema=dict(MONTHLY_CORRELATIONS.columns), orient="row"))
        assert nothing.select("spearman", "spearman_sd", "share_sd").row(0) == (None, None, None)

    def test_nothing_gives_nothing(self) -> None:
        assert share_stability(MONTHLY_SHARES.empty()).is_empty()
        assert figure_3(MONTHLY_SHARES.empty()).is_empty()
        assert table_5(MONTHLY_CORRELATIONS.empty()).is_empty()


class TestComparisons:
    def test_models_stand_in_the_papers_order(self) -> None:
        assert in_order(["zero", "svr", "other", "training mean", "dfm2", "linear"]) == [
            "dfm2", "linear", "svr", "other", "zero", "training mean"
        ]  # fmt: skip

    @given(seed=SEEDS)
    @settings(max_examples=20, deadline=None)
    def test_only_common_months_are_compared(self, seed: int) -> None:
        table = monthly_performance(random_forecasts(seed, most_months=30, most_stocks=8))
        for comparisons, column in ((loss_comparisons(table), "mae"), (sharpe_comparisons(table), "long_short")):
            months = [set(table.filter(model=model).drop_nulls(column)["month"]) for model in ("one", "two")]
            for row in comparisons.iter_rows(named=True):
                assert (row["model"], row["other"]) == ("one", "two")
                assert row["months"] == len(months[0] & months[1])
                assert (row["difference"] is not None) <= (row["months"] >= 12)

    def test_what_is_the_same_has_no_t(self) -> None:
        one = performance([0.1] * 15)
        both = pl.concat([one, one.filter(model="dfm2").with_columns(model=pl.lit("linear"))])
        row = loss_comparisons(both).filter(model="dfm2", other="linear", loss="absolute error").row(0, named=True)
        assert (row["difference"], row["standard_error"]) == (0.0, 0.0)
        assert row["statistic"] is row["p_value"] is row["newey_west_t"] is None

    def test_one_portfolio_of_many_trials_does_not_say_how_they_vary(self) -> None:
        rows = [(month(number), "dfm2", "long-short", 0.01 * (number % 3 - 0.8)) for number in range(15)]
        series = pl.DataFrame(rows, schema=dict(SERIES.columns), orient="row")
        assert sharpe_ratios(series, Parameters())["threshold"].to_list() == [0.0]
        with pytest.raises(ConfigurationError, match="one Sharpe ratio of 20 trials"):
            sharpe_ratios(series, Parameters(trials=20))

    def test_a_model_of_a_single_month_is_no_trial(self) -> None:
        rows = [(month(number), "dfm2", "long-short", 0.01 * (number % 3 - 0.8)) for number in range(15)]
        rows.append((month(0), "linear", "long-short", 0.01))
        table = sharpe_ratios(pl.DataFrame(rows, schema=dict(SERIES.columns), orient="row"), Parameters())
        assert table["trials"].to_list() == [1, 1]
        assert table.filter(model="linear")["ratio"].to_list() == [None]


class TestPlausibility:
    VARYING = (0.01, -0.01) * 6

    @pytest.mark.parametrize(
        ("level", "rmse", "suspicious"),
        [
            (0.08, 0.09, {"rank IC over its variation"}),
            (0.19, 0.09, {"rank IC over its variation"}),
            (0.21, 0.09, {"rank IC over its variation", "mean rank IC"}),
            (0.008, 0.09, set()),
            (0.008, 0.0855, set()),
            (0.008, 0.0853, {"explained part of squared returns"}),
        ],
    )
    def test_both_sides_of_each_threshold(self, level: float, rmse: float, suspicious: set[str]) -> None:
        table = plausibility(performance([level + each for each in self.VARYING], rmse))
        assert set(table.filter("suspicious")["check"]) == suspicious
        assert len(sentences(table)) == len(suspicious)
        assert table["suspicious"].null_count() == 0

    def test_regularity_needs_a_t_as_well(self) -> None:
        # Well over its variation, in twelve months: luck does that.
        values = [0.06 + 0.03 * (number % 4 - 1.5) for number in range(12)]
        table = plausibility(performance(values)).filter(check="rank IC over its variation")
        assert table["value"].item() > REGULARITY.threshold
        assert table["suspicious"].to_list() == [False]

    def test_many_months_of_an_honest_signal_are_plausible(self) -> None:
        # Like the premia of a simulated market of 1,948 stocks: t grows with the months, regularity does not.
        values = [0.06 + 0.045 * (number % 4 - 1.5) for number in range(120)]
        table = plausibility(performance(values)).filter(check="rank IC over its variation")
        assert 1 < table["value"].item() < 1.3
        assert table["suspicious"].to_list() == [False]

    def test_too_few_months_tell_nothing(self) -> None:
        table = plausibility(performance([0.9] * 11))
        assert table["suspicious"].to_list() == [None] * len(CHECKS)
        assert sentences(table) == []

    def test_zero_is_not_judged(self) -> None:
        assert plausibility(performance([0.1] * 12))["model"].unique().to_list() == ["dfm2"]


class TestSpans:
    @pytest.mark.parametrize(
        ("numbers", "text"),
        [
            ([], ""),
            ([0], "2010-01"),
            ([2, 0, 1], "2010-01 … 2010-03"),
            ([0, 1, 11, 12], "2010-01 … 2010-02, 2010-12 … 2011-01"),
            ([2 * number for number in range(9)],
             "2010-01, 2010-03, 2010-05, 2010-07, 2010-09, 2010-11 and 3 more"),
        ],
    )  # fmt: skip
    def test_as_people_write_them(self, numbers: list[int], text: str) -> None:
        days: list[date] = [month(number) for number in numbers]
        assert spans(days) == text
