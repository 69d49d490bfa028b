"""What is published of a model's predictions: each table against its definition, and all of them against each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from deepfactor.attribution.relevance import Relevance
from deepfactor.attribution.rules import Zero
from deepfactor.attribution.tables import (
    RELEVANCE,
    Explained,
    account_of_highest,
    attribution_table,
    ledger_table,
    portfolios_table,
    relevance_table,
    shares_table,
    signals_table,
)
from deepfactor.descriptors import FACTOR_OF
from deepfactor.features import FEATURE_FACTORS, FEATURES
from deepfactor.schemas import ATTRIBUTION, FACTORS, LEDGER, PORTFOLIOS, REMAINDERS, SHARES, SIGNALS
from tests.attribution.made import random_month
from tests.conftest import AS_OF

STOCKS = 43
QUINTILE_NAMES = ["top quintile", "quintile 4", "quintile 3", "quintile 2", "bottom quintile"]


@pytest.fixture(scope="module")
def month() -> Explained:
    """An ensemble of three, with a leak."""
    return random_month(STOCKS, 9)


@pytest.fixture(scope="module")
def signals(month: Explained) -> pl.DataFrame:
    return signals_table(AS_OF, "dfm1", month.samples.security_ids, month.account.member_prediction)


@pytest.mark.parametrize("stocks", [STOCKS, 5, 3, 1])
def test_tables_are_what_their_schemas_say(stocks: int) -> None:
    month = random_month(stocks, 2)
    builders = (
        (LEDGER, ledger_table),
        (RELEVANCE, relevance_table),
        (ATTRIBUTION, attribution_table),
        (PORTFOLIOS, portfolios_table),
        (SHARES, shares_table),
    )
    for schema, build in builders:
        frame = build(month)
        assert schema.check(frame, "").equals(frame)
        assert frame["month"].unique().to_list() == [AS_OF.first_day]
        assert frame["model"].unique().to_list() == ["dfm1"]
        assert frame.null_count().sum_horizontal().item() == 0


class TestSignals:
    def test_rank_the_predictions(self, signals: pl.DataFrame) -> None:
        ranked = signals.sort("rank")
        assert ranked["prediction"].is_sorted(descending=True)
        assert ranked["quintile"].to_list() == sorted(signals["quintile"], reverse=True)

    def test_are_the_members_mean_and_their_spread(self) -> None:
        predictions = np.array([[0.01, 0.03, -0.02], [0.03, 0.03, 0.04]])
        signals = signals_table(AS_OF, "svr", np.array(["a", "b", "c"]), predictions)
        assert signals["prediction"].to_list() == pytest.approx([0.02, 0.03, 0.01])
        assert signals["dispersion"].to_list() == pytest.approx([0.01, 0.0, 0.03])
        assert signals["rank"].to_list() == [2, 1, 3]
        assert SIGNALS.check(signals, "").equals(signals)

    def test_a_single_model_has_no_dispersion(self) -> None:
        signals = signals_table(AS_OF, "svr", np.array(["a", "b", "c"]), np.array([[0.1, 0.2, 0.3]]))
        assert signals["dispersion"].to_list() == [0.0] * 3


class TestStocks:
    def test_every_row_of_ledger_and_relevance_adds_up(self, month: Explained) -> None:
        for frame, names in ((ledger_table(month), FACTORS), (relevance_table(month), FEATURES)):
            booked = frame.select(pl.sum_horizontal(*names, *REMAINDERS)).to_series()
            np.testing.assert_allclose(booked, frame["prediction"], rtol=0, atol=1e-14)
            assert (frame["leak"].abs() > 0).all()
            np.testing.assert_array_equal(frame["level"], month.account.level)

    def test_ledger_and_relevance_have_the_same_remainders(self, month: Explained) -> None:
        same = ["security_id", *REMAINDERS, "prediction"]
        assert ledger_table(month).select(same).equals(relevance_table(month).select(same))

    def test_the_wide_table_is_the_tidy_one(self, month: Explained) -> None:
        tidy = attribution_table(month).with_columns(input_name=pl.format("{}@{}", "descriptor", "lag"))
        assert tidy.height == STOCKS * len(FEATURES)
        wide = tidy.pivot(on="input_name", index="security_id", values="relevance").sort("security_id")
        assert wide.select("security_id", *FEATURES).equals(relevance_table(month).select("security_id", *FEATURES))

    def test_the_ledger_is_the_attribution_summed_by_factor(self, month: Explained) -> None:
        ledger = ledger_table(month)
        summed = attribution_table(month).group_by("security_id", "factor").agg(pl.col("relevance").sum())
        wide = summed.pivot(on="factor", index="security_id", values="relevance").sort("security_id")
        for factor in FACTORS:
            np.testing.assert_allclose(wide[factor], ledger[factor], rtol=0, atol=1e-15)

    def test_a_row_of_the_attribution_is_an_input(self, month: Explained) -> None:
        tidy = attribution_table(month)
        for row, code in enumerate(month.samples.security_ids):
            for column in (0, 17, 25, 63, 79):
                descriptor, lag = FEATURES[column].split("@")
                found = tidy.row(
                    by_predicate=(pl.col("security_id") == code)
                    & (pl.col("descriptor") == descriptor)
                    & (pl.col("lag") == int(lag)),
                    named=True,
                )
                assert found["relevance"] == month.account.inputs[row, column]
                assert found["dispersion"] == month.account.dispersion[row, column]
                assert found["input"] == month.samples.inputs[row, column]
                assert found["known"] == month.samples.known[row, column]
                assert found["factor"] == FEATURE_FACTORS[column] == FACTOR_OF[descriptor]
        assert 0 < tidy["known"].mean() < 1  # type: ignore[operator]
        assert (tidy.filter(~pl.col("known"))["relevance"] == 0).all()

    def test_predictions_are_the_signals(self, month: Explained, signals: pl.DataFrame) -> None:
        assert ledger_table(month)["prediction"].equals(signals["prediction"])
        np.testing.assert_array_equal(signals.sort("security_id")["rank"], month.rank[order(month)])


def order(month: Explained) -> np.ndarray:
    return np.argsort(month.samples.security_ids)


def contribution(frame: pl.DataFrame, portfolio: str, account: str, name: str, column: str = "contribution") -> float:
    row = frame.filter(portfolio=portfolio, account=account, name=name)
    return float(row[column].item())


class TestPortfolios:
    def test_each_account_adds_up_to_the_prediction(self, month: Explained) -> None:
        table = portfolios_table(month)
        assert set(table["portfolio"]) == {*QUINTILE_NAMES, "long-short"}
        total = table.filter(account="remainder", name="prediction").select("portfolio", prediction="contribution")
        rest = table.filter(pl.col("account") == "remainder", pl.col("name") != "prediction")
        remainders = rest.group_by("portfolio").agg(rest=pl.col("contribution").sum())
        inputs = table.filter(pl.col("account") != "remainder")
        booked = inputs.group_by("portfolio", "account").agg(booked=pl.col("contribution").sum())
        joined = booked.join(remainders, on="portfolio").join(total, on="portfolio")
        assert joined.height == 6 * 3
        assert joined.select((pl.col("booked") + pl.col("rest") - pl.col("prediction")).abs().max()).item() < 1e-14
        assert sorted(rest["name"].unique()) == sorted(REMAINDERS)

    @pytest.mark.parametrize("number", range(5))
    def test_a_quintile_is_the_mean_of_its_stocks(self, month: Explained, signals: pl.DataFrame, number: int) -> None:
        table, name = portfolios_table(month), QUINTILE_NAMES[number]
        of_stocks = ledger_table(month).join(
            signals.filter(quintile=5 - number).select("security_id"), on="security_id"
        )
        for account, names in (("factor", FACTORS), ("remainder", (*REMAINDERS, "prediction"))):
            for each in names:
                found = contribution(table, name, account, each)
                assert found == pytest.approx(float(of_stocks[each].to_numpy().mean()), abs=1e-15)

    def test_descriptors_and_lags_are_those_of_the_attribution(self, month: Explained, signals: pl.DataFrame) -> None:
        table = portfolios_table(month)
        top = signals.filter(quintile=5).select("security_id")
        tidy = attribution_table(month).join(top, on="security_id")
        for column, account in (("descriptor", "descriptor"), ("lag", "lag")):
            sums = tidy.group_by(column).agg(pl.col("relevance").sum() / top.height)
            for key, value in sums.iter_rows():
                assert contribution(table, "top quintile", account, str(key)) == pytest.approx(value, abs=1e-15)

    def test_long_short_is_the_difference_and_has_no_level(self, month: Explained) -> None:
        table = portfolios_table(month)
        for account, names in (
            ("factor", FACTORS),
            ("lag", ("0", "12")),
            ("remainder", ("bias", "leak", "prediction")),
        ):
            for name in names:
                top, bottom, both = (
                    contribution(table, each, account, name)
                    for each in ("top quintile", "bottom quintile", "long-short")
                )
                assert both == pytest.approx(top - bottom, abs=1e-15)
        assert contribution(table, "top quintile", "remainder", "level") == pytest.approx(0.02)
        assert contribution(table, "long-short", "remainder", "level") == pytest.approx(0, abs=1e-17)

    def test_dispersion_is_that_of_the_members_portfolios(self, month: Explained) -> None:
        table = portfolios_table(month)
        top = month.rank <= 9
        columns = [factor == "Value" for factor in FEATURE_FACTORS]
        members = [each[top].mean(axis=0)[columns].sum() for each in month.account.member_inputs]
        found = contribution(table, "top quintile", "factor", "Value", "dispersion")
        assert found == pytest.approx(np.std(members), rel=1e-10)
        predictions = month.account.member_prediction[:, top].mean(axis=1)
        found = contribution(table, "top quintile", "remainder", "prediction", "dispersion")
        assert found == pytest.approx(np.std(predictions), rel=1e-10)
        level = table.filter(account="remainder", name="level")
        assert (level["dispersion"] == 0).all()


class TestShares:
    def test_groups_and_parts_of_one(self, month: Explained) -> None:
        shares = shares_table(month)
        groups = {"highest prediction", "top quintile", "bottom quintile", "long-short"}
        assert set(shares["group"]) == groups
        np.testing.assert_allclose(shares.group_by("group").agg(pl.col("share").sum())["share"], 1.0, rtol=1e-14)

    def test_are_those_of_the_attribution(self, month: Explained, signals: pl.DataFrame) -> None:
        """Of a portfolio, what its stocks' relevances of an input add up to."""
        ranked = signals.select("security_id", "rank", "quintile")
        tidy = attribution_table(month).join(ranked, on="security_id")
        shares = shares_table(month)
        weights = {
            "highest prediction": pl.col("rank") == 1,
            "top quintile": (pl.col("quintile") == 5) / pl.lit(9),
            "bottom quintile": (pl.col("quintile") == 1) / pl.lit(8),
            "long-short": (pl.col("quintile") == 5) / pl.lit(9) - (pl.col("quintile") == 1) / pl.lit(8),
        }
        for group, weight in weights.items():
            held = (weight.cast(pl.Float64) * pl.col("relevance")).sum()
            by_input = tidy.group_by("descriptor", "lag", "factor").agg(size=held.abs())
            total = by_input["size"].sum()
            for factor, size in by_input.group_by("factor").agg(pl.col("size").sum()).iter_rows():
                found = shares.filter(group=group, factor=factor)["share"].item()
                assert found == pytest.approx(size / total, abs=1e-13)

    def test_a_share_is_disputed_where_the_members_contributions_differ_in_sign(self, month: Explained) -> None:
        shares, members = shares_table(month), month.account.member_inputs
        top, bottom = (members[:, held].mean(axis=1) for held in (month.rank <= 9, month.rank > STOCKS - 8))
        groups = {
            "highest prediction": members[:, int(np.argmax(month.account.prediction))],
            "top quintile": top,
            "bottom quintile": bottom,
            "long-short": top - bottom,
        }
        for group, inputs in groups.items():
            for factor in FACTORS:
                signs = np.sign(inputs[:, [name == factor for name in FEATURE_FACTORS]].sum(axis=1))
                assert shares.filter(group=group, factor=factor)["disputed"].item() == (len(set(signs)) > 1)
        assert 0 < shares["disputed"].sum() < shares.height

    def test_the_highest_prediction_is_the_stocks_own(self, month: Explained) -> None:
        best = int(np.argmax(month.account.prediction))
        highest = account_of_highest(month)
        np.testing.assert_array_equal(highest.inputs[0], month.account.inputs[best])
        assert highest.prediction.tolist() == [month.account.prediction[best]]


class TestSmallMarkets:
    def test_a_single_stock_in_each_quintile(self) -> None:
        month = random_month(5, 4)
        table, ledger = portfolios_table(month), ledger_table(month)
        codes = month.samples.security_ids[np.argsort(month.rank)]
        for name, code in zip(QUINTILE_NAMES, codes, strict=True):
            own = ledger.row(by_predicate=pl.col("security_id") == code, named=True)
            for factor in FACTORS:
                assert contribution(table, name, "factor", factor) == own[factor]

    @pytest.mark.parametrize(
        ("stocks", "portfolios"),
        [
            (1, ["top quintile"]),
            (2, ["top quintile", "quintile 3"]),
            (3, ["top quintile", "quintile 4", "quintile 2"]),
            (4, ["top quintile", "quintile 4", "quintile 3", "quintile 2"]),
        ],
    )
    def test_an_empty_quintile_is_no_portfolio(self, stocks: int, portfolios: list[str]) -> None:
        month = random_month(stocks, 4)
        assert set(portfolios_table(month)["portfolio"]) == set(portfolios)
        assert set(shares_table(month)["group"]) == {"highest prediction", "top quintile"}

    def test_one_member_agrees_with_itself(self) -> None:
        month = random_month(12, 4, members=1, rule=Zero())
        for frame in (portfolios_table(month), shares_table(month), attribution_table(month)):
            assert (frame["dispersion"] == 0).all()
        assert not shares_table(month)["disputed"].any()

    def test_a_dead_ensemble_has_shares_of_nothing(self) -> None:
        month = random_month(12, 4)
        nothing = replace(month.account, member_inputs=np.zeros_like(month.account.member_inputs))
        shares = shares_table(replace(month, account=nothing))
        assert (shares["share"] == 0).all()
        assert not shares["disputed"].any()


def test_the_order_of_the_stocks_is_no_matter(month: Explained) -> None:
    shuffled = np.random.default_rng(1).permutation(STOCKS)
    samples, account = month.samples, month.account
    other = Explained(
        AS_OF,
        "dfm1",
        replace(
            samples,
            security_ids=samples.security_ids[shuffled],
            inputs=samples.inputs[shuffled],
            known=samples.known[shuffled],
        ),
        Relevance(
            account.member_inputs[:, shuffled],
            account.member_bias[:, shuffled],
            account.member_leak[:, shuffled],
            account.member_prediction[:, shuffled],
            account.level[shuffled],
        ),
    )
    for build in (ledger_table, relevance_table, attribution_table):
        assert build(other).equals(build(month))
    first, second = shares_table(month), shares_table(other)
    np.testing.assert_allclose(first["share"], second["share"], rtol=1e-12)
