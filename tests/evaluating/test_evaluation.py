"""The tables of twenty published months, against loops over what was published and what came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy.stats import spearmanr

from deepfactor.evaluating.evaluation import TABLES, Evaluation, evaluated
from deepfactor.evaluating.materials import read_materials
from deepfactor.evaluation.naive import NAIVE, TRAILING_MEAN, TRAINING_MEAN
from deepfactor.months import Month, month_range
from deepfactor.publication import find_manifest
from deepfactor.schemas import FACTORS
from deepfactor.store import Store
from tests.evaluating.made_span import DELISTED, FIRST, GONE_FROM, LAST, STOCKS, made_market, made_returns, read_table

SPAN = tuple(month_range(FIRST, LAST))
RETURNS = made_returns()
MODELS = ("dfm1", "linear")


@pytest.fixture(scope="module")
def signals(span_store: Store) -> dict[tuple[Month, str], list[dict[str, Any]]]:
    """What was published, by month and model."""
    found: dict[tuple[Month, str], list[dict[str, Any]]] = {}
    for month in SPAN:
        for row in read_table(span_store, month, "signals").iter_rows(named=True):
            found.setdefault((month, row["model"]), []).append(row)
    return found


def _months(frame: pl.DataFrame) -> Iterator[tuple[Month, dict[str, Any]]]:
    for row in frame.iter_rows(named=True):
        yield Month.containing(row["month"]), row


def test_every_table_is_a_field_and_is_what_its_schema_says(evaluation: Evaluation) -> None:
    assert {each.name for each in fields(evaluation)} == {*TABLES, "inputs", "notes"}
    for name, frame in evaluation.frames().items():
        assert TABLES[name].check(frame, name).equals(frame), name
        assert frame.height, name


def test_performance_is_that_of_the_published_signals(evaluation: Evaluation, signals: Any) -> None:
    table = evaluation.performance.filter(pl.col("model").is_in(MODELS))
    assert table.height == len(SPAN) * len(MODELS)
    for month, row in _months(table):
        stocks = signals[month, row["model"]]
        held = [each for each in stocks if (month + 1, each["security_id"]) in RETURNS]
        predicted = np.array([each["prediction"] for each in held])
        realised = np.array([RETURNS[month + 1, each["security_id"]] for each in held])
        assert (row["stocks"], row["without_return"]) == (len(held), len(stocks) - len(held))
        assert row["mae"] == pytest.approx(np.abs(predicted - realised).mean(), rel=1e-12)
        assert row["rmse"] == pytest.approx(sqrt(((predicted - realised) ** 2).mean()), rel=1e-12)
        assert row["rank_ic"] == pytest.approx(spearmanr(predicted, realised).statistic, rel=1e-9)
        # A stock without a return earns nothing, and stays in its portfolio.
        leg = {
            quintile: np.mean(
                [RETURNS.get((month + 1, each["security_id"]), 0.0) for each in stocks if each["quintile"] == quintile]
            )
            for quintile in (1, 5)
        }
        assert row["long_short"] == pytest.approx(leg[5] - leg[1], abs=1e-14)


def test_table_4_has_the_means_over_months(evaluation: Evaluation) -> None:
    assert evaluation.table_4["model"].to_list() == [*MODELS, *NAIVE]
    for row in evaluation.table_4.iter_rows(named=True):
        of = evaluation.performance.filter(model=row["model"])
        assert row["months"] == len(SPAN)
        assert row["mae"] == pytest.approx(of["mae"].mean(), rel=1e-12)
        if row["model"] in MODELS:
            monthly = of["long_short"].to_numpy()
            assert row["sharpe_ratio"] == pytest.approx(monthly.mean() / monthly.std(ddof=1) * sqrt(12), rel=1e-12)
            assert row["rank_ic_se"] > 0


def test_naive_forecasts_know_what_was_known(evaluation: Evaluation, span_store: Store) -> None:
    own = evaluation.forecasts.filter(model=TRAILING_MEAN, security_id=STOCKS[0])
    returns = {
        (Month.containing(row["month"])): row["total_return"]
        for row in read_table(span_store, LAST, "descriptors").filter(security_id=STOCKS[0]).iter_rows(named=True)
    }
    for month, row in _months(own.filter(pl.col("month") > FIRST.first_day)):
        window = [returns[each] for each in month_range(month + -59, month) if each in returns]
        if month + -59 >= min(returns):
            assert len(window) == 60
            assert row["prediction"] == pytest.approx(np.mean(window), rel=1e-12)
    manifest = find_manifest(span_store, LAST)
    assert manifest is not None
    card = span_store.read_json(manifest.named_objects["models/linear/card.json"])
    mean = evaluation.forecasts.filter(model=TRAINING_MEAN, month=LAST.first_day)["prediction"].unique()
    assert mean.to_list() == [card["mean_return"]]


def test_a_return_that_is_missing_is_counted_and_told(evaluation: Evaluation) -> None:
    table = evaluation.missing_returns.filter(pl.col("without_return") > 0, model="linear")
    assert table.select("month", "without_return").rows() == [((GONE_FROM + -1).first_day, 1)]
    lost = evaluation.forecasts.filter(pl.col("realised").is_null(), model="linear")
    assert lost["security_id"].to_list() == [DELISTED]
    stocks = evaluation.forecasts.filter(model="zero").height
    assert any(f"1 of {stocks} forecast stocks have no return in the month after" in note for note in evaluation.notes)


def test_factor_returns_are_those_of_the_stocks_inputs(evaluation: Evaluation, span_store: Store) -> None:
    signs = {"LEVERAGE": -1, "ILLIQ": -1}
    for month in SPAN[::7]:
        attribution = read_table(span_store, month, "attribution").filter(lag=0, model="linear")
        for factor in FACTORS:
            score: dict[str, list[float]] = {}
            for row in attribution.filter(factor=factor).iter_rows(named=True):
                score.setdefault(row["security_id"], []).append(row["input"] * signs.get(row["descriptor"], 1))
            order = sorted(score, key=lambda stock: (-np.mean(score[stock]), stock))
            size = len(order)
            places = {stock: 5 - place * 5 // size for place, stock in enumerate(order)}
            earned = {
                fifth: np.mean([RETURNS.get((month + 1, stock), 0.0) for stock in order if places[stock] == fifth])
                for fifth in (1, 5)
            }
            found = evaluation.factor_returns.filter(month=month.first_day)[factor].item()
            assert found == pytest.approx(earned[5] - earned[1], abs=1e-12)


def test_exposures_are_those_of_a_regression_with_errors_of_newey_and_west(evaluation: Evaluation) -> None:
    market = {month: value - rate for month, value, rate in made_market(LAST + 1).iter_rows()}
    columns = [[market[(month + 1).first_day] for month in SPAN]]
    columns += [evaluation.factor_returns[factor].to_list() for factor in FACTORS]
    design = sm.add_constant(np.array(columns).T)
    for model in MODELS:
        returns = evaluation.performance.filter(model=model)["long_short"].to_numpy()
        lags = int(4 * (len(SPAN) / 100) ** (2 / 9))
        fitted = sm.OLS(returns, design).fit(
            cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
        )
        rows = {row["term"]: row for row in evaluation.exposures.filter(model=model).iter_rows(named=True)}
        assert set(rows) == {"alpha", "market", *FACTORS}
        for place, term in enumerate(("alpha", "market", *FACTORS)):
            scale = 12 if term == "alpha" else 1
            assert rows[term]["value"] == pytest.approx(fitted.params[place] * scale, rel=1e-9)
            assert rows[term]["standard_error"] == pytest.approx(fitted.bse[place] * scale, rel=1e-9)
            assert rows[term]["t"] == pytest.approx(fitted.tvalues[place], rel=1e-9)
            assert (rows[term]["months"], rows[term]["lags"]) == (len(SPAN), lags)
            assert rows[term]["r_squared"] == pytest.approx(fitted.rsquared, rel=1e-9)


def test_every_pair_is_compared_once(evaluation: Evaluation) -> None:
    table = evaluation.loss_comparisons
    pairs = {frozenset(row) for row in table.select("model", "other").iter_rows()}
    assert len(pairs) == 10
    assert table.height == 20
    row = table.row(by_predicate=(pl.col("loss") == "squared error") & (pl.col("model") == "dfm1")
                    & (pl.col("other") == "zero"), named=True)  # fmt: skip
    one, other = (evaluation.performance.filter(model=model)["rmse"].to_numpy() ** 2 for model in ("dfm1", "zero"))
    assert row["difference"] == pytest.approx((one - other).mean(), rel=1e-12)
    error = (one - other).std(ddof=1) / sqrt(len(SPAN))
    assert row["statistic"] == pytest.approx((one - other).mean() / error, rel=1e-9)
    assert evaluation.sharpe_comparisons.select("model", "other").rows() == [
        ("dfm1", "linear"), ("dfm1", TRAILING_MEAN), ("linear", TRAILING_MEAN)
    ]  # fmt: skip


def test_sharpe_ratios_are_deflated_by_the_models_alone(evaluation: Evaluation) -> None:
    table = evaluation.sharpe_ratios.filter(portfolio="long-short")
    trials = {row["model"]: row["trials"] for row in table.iter_rows(named=True)}
    assert trials == {"dfm1": 2, "linear": 2, TRAILING_MEAN: None}
    assert table.filter(model=TRAILING_MEAN)["deflated_probability"].to_list() == [None]
    for row in table.filter(pl.col("model").is_in(MODELS)).iter_rows(named=True):
        assert row["threshold"] > 0
        assert row["deflated_probability"] < row["probability"]


def test_table_5_and_figure_3_are_means_over_months(evaluation: Evaluation, span_store: Store) -> None:
    correlations, monthly = (
        [read_table(span_store, month, name) for month in SPAN] for name in ("correlations", "shares")
    )
    for row in evaluation.table_5.iter_rows(named=True):
        cells = [each.filter(model=row["model"], factor=row["factor"]).row(0, named=True) for each in correlations]
        for name in ("spearman", "kendall", "share"):
            values = [cell[name] for cell in cells]
            assert row[name] == pytest.approx(np.mean(values), rel=1e-12)
            assert row[f"{name}_sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    for row in evaluation.figure_3.filter(pl.col("factor") == "Value").iter_rows(named=True):
        at = {name: row[name] for name in ("model", "group", "factor")}
        shares = [each.filter(**at)["share"].item() for each in monthly]
        assert row["share"] == pytest.approx(np.mean(shares), rel=1e-12)
        assert row["share_sd"] == pytest.approx(np.std(shares, ddof=1), rel=1e-12)


def test_shares_move_by_half_the_sum_of_their_changes(evaluation: Evaluation, span_store: Store) -> None:
    at = {"model": "dfm1", "group": "top quintile"}
    frames = [read_table(span_store, month, "shares").filter(**at) for month in SPAN]
    pairs = list(pairwise([dict(each.select("factor", "share").iter_rows()) for each in frames]))
    moved = [sum(abs(after[name] - before[name]) for name in FACTORS) / 2 for before, after in pairs]
    same = [max(before, key=before.__getitem__) == max(after, key=after.__getitem__) for before, after in pairs]
    row = evaluation.share_stability.filter(**at).row(0, named=True)
    assert row["pairs"] == len(SPAN) - 1
    assert row["moved"] == pytest.approx(np.mean(moved), rel=1e-12)
    assert row["same_largest"] == pytest.approx(np.mean(same), rel=1e-12)


def test_deciles_hold_every_stock_once(evaluation: Evaluation, signals: Any) -> None:
    table = evaluation.deciles.filter(model="linear").sort("decile")
    assert table["decile"].to_list() == list(range(1, 11))
    assert (table["prediction"].diff().drop_nulls() > 0).all()
    tops = []
    for month in SPAN:
        stocks = signals[month, "linear"]
        top = [each["security_id"] for each in stocks if 10 - (each["rank"] - 1) * 10 // len(stocks) == 10]
        tops.append(np.mean([RETURNS[month + 1, stock] for stock in top if (month + 1, stock) in RETURNS]))
    assert table["realised"][-1] == pytest.approx(np.mean(tops), rel=1e-12)


def test_coverage_says_what_the_runs_say(evaluation: Evaluation) -> None:
    assert evaluation.coverage["month"].to_list() == [month.first_day for month in SPAN]
    for month, row in _months(evaluation.coverage):
        scored = len(STOCKS) - (month >= GONE_FROM)
        assert (row["state"], row["run_id"], row["signal_model"]) == ("scored", f"made-{month}", "linear")
        assert (row["universe"], row["scored"], row["rows_quarantined"]) == (len(STOCKS), scored, month.ordinal % 5)
        assert row["coverage"] == pytest.approx(scored / len(STOCKS))
        assert row["training_rows"] is None


def test_wealth_has_every_portfolio_and_starts_at_one(evaluation: Evaluation) -> None:
    first = evaluation.cumulated.filter(model="linear").group_by("portfolio").agg(pl.all().sort_by("close").first())
    assert set(first["portfolio"]) == {
        "top quintile", "quintile 4", "quintile 3", "quintile 2", "bottom quintile", "long-short",
        "long-short after costs",
    }  # fmt: skip
    assert first["wealth"].unique().to_list() == [1.0]
    starts = dict(first.select("portfolio", "close").iter_rows())
    assert starts["long-short"] == FIRST.first_day
    assert starts["long-short after costs"] == (FIRST + 1).first_day


def test_the_same_months_give_the_same_tables(evaluation: Evaluation, span_store: Store) -> None:
    again = evaluated(read_materials(span_store, FIRST, LAST))
    assert again.id == evaluation.id
    for name, frame in again.frames().items():
        assert frame.equals(getattr(evaluation, name)), name


def test_results_after_the_span_are_not_forecasts(evaluation: Evaluation) -> None:
    newest: date = evaluation.forecasts["month"].max()  # type: ignore[assignment]
    assert newest == LAST.first_day
    assert evaluation.inputs["returns"].keys() == {str(month + 1) for month in SPAN}
    assert {each["as_of"] for each in evaluation.inputs["returns"].values()} == {str(LAST + 1)}
