"""The simulated market as it is delivered: the same bytes twice, realistic, and true to what it says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.market_moments import moments, simulated_sample
from benchmarks.planted_premia import rank_correlations
from deepfactor.config import SimulationConfig, load_config
from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, last_session
from deepfactor.sources import open_source
from deepfactor.sources.simulated import Market, land, simulate

SMALL = SimulationConfig(stocks=40, first_month="2003-12", last_month="2010-03")
MARKET = SimulationConfig(stocks=200)
KEY = ["code", "date"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the market lies."""
    path = tmp_path_factory.mktemp("simulated") / "market"
    land(path, MARKET)
    return path


@pytest.fixture(scope="module")
def market() -> Market:
    return simulate(MARKET)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def _months(day: str) -> pl.Expr:
    return pl.col(day).dt.year().cast(pl.Int32) * 12 + pl.col(day).dt.month()


class TestRegression:
    def test_digest_of_a_small_market(self) -> None:
        """Of the values, not of Parquet's bytes, which change with the library that writes them."""
        market = simulate(SMALL)
        digest = hashlib.sha256()
        for frame in (market.prices, market.constituents, market.fundamentals, market.index, market.signal):
            digest.update(frame.write_csv(float_precision=6).encode())
        assert digest.hexdigest() == "fd4a20fec97d2fd9b01c576c83a6225ef93f4d817368ddd4af579bfdde3ac3f0"

    def test_moments(self, folder: Path) -> None:
        """Frozen with a tenth of leave; beside the real ones they stand in benchmarks/market_moments.py."""
        found = moments(simulated_sample(folder))
        assert {name: found[name] for name in MOMENTS} == pytest.approx(MOMENTS, rel=0.1)

    def test_twice_the_same_bytes(self, folder: Path, tmp_path: Path) -> None:
        land(tmp_path / "again", MARKET)
        assert _contents(tmp_path / "again") == _contents(folder)

    def test_the_truth_beside_it(self, folder: Path, market: Market) -> None:
        truth = json.loads((folder / "truth.json").read_text())
        assert truth["parameters"]["premia"] == truth["premia"]["form"] == "interactions"
        assert truth["premia"] == market.truth["premia"]
        coefficient = truth["information_coefficient"]
        assert 0.03 < coefficient["realised"] < 0.08
        assert coefficient["linear_realised"] < 0.8 * coefficient["realised"]
        signal = pl.read_parquet(folder / "truth_signal.parquet")
        assert signal.equals(market.signal)

    def test_the_default_mapping_reads_it(self, tmp_path: Path) -> None:
        config = replace(load_config().source, folder=str(tmp_path / "market"), simulate=SMALL)
        source = open_source(config)
        month = Month.parse("2010-03")
        assert source.ready(month)
        assert set(source.datasets()) == {"prices", "fundamentals", "market", "constituents"}
        prices = source.fetch("prices", month, month)
        assert prices.height > 35
        assert prices.drop("total_return").null_count().sum_horizontal().item() == 0
        assert source.fetch("market", month, month)["market_return"].null_count() == 0
        accounts = source.fetch("fundamentals", month + -12, month)
        assert accounts["net_assets"].null_count() == 0
        assert source.fetch("constituents", month, month).height > 35


MOMENTS: dict[str, float] = {
    "dispersion of returns (cross-section, median)": 0.0965,
    "kurtosis of returns (cross-section, median)": 15.71,
    "skewness of returns (cross-section, median)": 1.482,
    "volatility of a stock (monthly, median)": 0.1094,
    "autocorrelation of a stock's return": 0.01415,
    "autocorrelation of a stock's |return|": 0.08015,
    "average correlation between stocks": 0.2246,
    "volatility of the market (annual)": 0.1934,
    "worst month of the market": -0.176,
    "best month of the market": 0.3624,
    "autocorrelation of the market": 0.09456,
    "autocorrelation of the market's |return|": 0.1543,
    "kurtosis of the market": 8.376,
    "missing price-months": 0.0009704,
    "delistings a year": 0.02726,
    "dispersion of log market value": 1.867,
    "traded value / market value (median)": 0.04619,
    "dispersion of log turnover": 1.37,
    "book-to-price, 5 %": 0.1928,
    "book-to-price, median": 1.131,
    "book-to-price, 95 %": 2.656,
    "rank autocorrelation of book-to-price, 12 months": 0.8893,
    "earnings yield, 5 %": -0.1069,
    "earnings yield, median": 0.0528,
    "earnings yield, 95 %": 0.1851,
    "return on equity, 5 %": -0.1169,
    "return on equity, median": 0.0512,
    "return on equity, 95 %": 0.1998,
    "rank autocorrelation of return on equity, 12 months": 0.6274,
    "operating profit / assets, median": 0.03976,
    "liabilities / assets, 5 %": 0.1661,
    "liabilities / assets, median": 0.4915,
    "liabilities / assets, 95 %": 0.8496,
    "sales / assets, median": 0.9886,
    "missing operating profit": 0.03724,
}


class TestPrices:
    def test_every_month_is_there_on_its_last_session(self, market: Market) -> None:
        days = market.prices["date"].unique().sort()
        assert len(days) == 304
        assert all(day == last_session(Month.containing(day)) for day in days)

    def test_the_average_number_of_stocks_is_the_one_asked_for(self, market: Market) -> None:
        assert market.prices.group_by("date").len()["len"].mean() == pytest.approx(200, rel=0.01)

    def test_total_return_is_price_change_and_dividend_after_splits(self, market: Market) -> None:
        consecutive = (
            market.prices.sort(KEY)
            .with_columns(
                apart=_months("date").diff().over("code"),
                grown=pl.col("adj_close") / pl.col("adj_close").shift(1).over("code"),
                before=pl.col("close").shift(1).over("code") * pl.col("adjustment_factor"),
            )
            .filter(pl.col("apart") == 1)
        )
        expected = (pl.col("close") + pl.col("dividend")) / pl.col("before")
        # Quotes are rounded to a hundredth.
        quoted = pl.min_horizontal("close", "before", pl.col("before") / pl.col("adjustment_factor"))
        tolerance = 0.012 / quoted * pl.max_horizontal(1, "grown") + 1e-5
        wrong = consecutive.filter((expected - pl.col("grown")).abs() > tolerance)
        assert wrong.is_empty()
        assert consecutive.filter(pl.col("dividend") > 0).height > 1_000

    def test_market_value_is_price_times_shares(self, market: Market) -> None:
        value = market.prices["close"] * market.prices["shares_outstanding"]
        assert ((market.prices["market_cap"] - value).abs() <= 0.51).all()

    def test_a_split_leaves_the_value_and_the_adjusted_price_alone(self, market: Market) -> None:
        splits = (
            market.prices.sort(KEY)
            .with_columns(
                shares=pl.col("shares_outstanding") / pl.col("shares_outstanding").shift(1).over("code"),
                value=pl.col("market_cap") / pl.col("market_cap").shift(1).over("code"),
                adjusted=pl.col("adj_close") / pl.col("adj_close").shift(1).over("code"),
            )
            .filter(pl.col("adjustment_factor") != 1)
        )
        factors = set(splits["adjustment_factor"].to_list())
        assert {0.1, 0.2, 0.5, 10.0} <= factors <= {0.1, 0.2, 0.333333, 0.5, 0.666667, 10.0}
        issued = splits["shares"] * splits["adjustment_factor"]
        plain = splits.filter((issued - 1).abs() < 1e-3)
        assert plain.height > 0.8 * splits.height
        # What is left is the dividend.
        assert (plain["adjusted"] - plain["value"]).is_between(-0.01, 0.04).all()

    def test_suspended_months_have_no_row_and_the_price_goes_on(self, market: Market) -> None:
        gaps = market.prices.sort(KEY).with_columns(
            apart=_months("date").diff().over("code"), ratio=pl.col("adj_close").log().diff().over("code").abs()
        )
        resumed = gaps.filter(pl.col("apart") > 1)
        assert resumed["apart"].max() <= 7
        assert 0.0005 < (resumed["apart"] - 1).sum() / market.prices.height < 0.004
        assert resumed["ratio"].max() < 2

    def test_stocks_come_and_go(self, market: Market) -> None:
        spans = market.prices.group_by("code").agg(first=pl.col("date").min(), last=pl.col("date").max())
        begun, ended = market.prices["date"].min(), market.prices["date"].max()
        assert spans.filter(pl.col("first") > begun).height > 60
        assert spans.filter(pl.col("last") < ended).height > 60
        assert market.truth["counts"]["merged"] > 30

    def test_trades_happen_between_two_closes(self, market: Market) -> None:
        average = market.prices["traded_value"] / market.prices["volume"]
        assert (market.prices["close"] / average).is_between(0.25, 4).all()
        assert (market.prices["volume"] > 0).all()


class TestConstituents:
    def test_they_are_the_stocks_that_have_a_price_and_stay(self, market: Market) -> None:
        last = market.prices.group_by("code").agg(date=pl.col("date").max()).filter(date=market.prices["date"].max())
        gone = market.prices.group_by("code").agg(date=pl.col("date").max()).join(last, on="code", how="anti")
        absent = market.prices.join(market.constituents, on=KEY, how="anti")
        assert absent.select(KEY).sort(KEY).equals(gone.select(KEY).sort(KEY))
        assert market.constituents.join(market.prices, on=KEY, how="anti").is_empty()


class TestAccounts:
    def test_announced_30_to_60_days_after_and_corrected_later(self, market: Market) -> None:
        accounts = market.fundamentals.with_columns(delay=(pl.col("announced") - pl.col("period_end")).dt.total_days())
        first = accounts.filter(~pl.col("restated"))
        assert (first["delay"].min(), first["delay"].max()) == (30, 60)
        assert first.group_by("code").agg(pl.col("delay").n_unique())["delay"].median() > 8
        again = accounts.filter("restated").join(first, on=["code", "period_end"], suffix="_first")
        assert again.height == accounts["restated"].sum()
        assert (again["announced"] > again["announced_first"]).all()
        assert (again["net_income"] != again["net_income_first"]).all()
        much = (again["net_income_first"] - again["net_income"]) / again["net_assets_first"] > 0.07
        assert 0.1 < much.mean() < 0.3

    def test_nothing_is_announced_after_the_end(self, market: Market) -> None:
        last = market.prices.group_by("code").agg(last=pl.col("date").max().dt.month_end())
        assert market.fundamentals.join(last, on="code").filter(pl.col("announced") > pl.col("last")).is_empty()
        assert market.fundamentals["announced"].max() <= market.prices["date"].max()

    def test_years_end_mostly_in_march_and_quarters_come_later(self, market: Market) -> None:
        early = market.fundamentals.filter(pl.col("period_end").dt.year() < 2003)
        late = market.fundamentals.filter(pl.col("period_end").dt.year() == 2010, ~pl.col("restated"))
        assert 0.6 < (early["period_end"].dt.month() == 3).mean() < 0.85
        assert (
            early.filter(~pl.col("restated")).group_by("code", pl.col("period_end").dt.year()).len()["len"].max() == 1
        )
        assert late.group_by("code").len()["len"].median() == 4

    def test_flows_of_a_quarter_are_those_of_twelve_months(self, market: Market) -> None:
        """Sales of two reports a quarter apart share three quarters of a year."""
        reports = market.fundamentals.filter(~pl.col("restated"), pl.col("period_end").dt.year() >= 2006).sort(
            "code", "period_end"
        )
        moves = reports.with_columns(
            apart=_months("period_end").diff().over("code"), move=pl.col("sales").log().diff().over("code").abs()
        ).drop_nulls("move")
        turnover = pl.col("sales") / pl.col("total_assets")
        assert 0.7 < reports.select(turnover.median()).item() < 1.3
        assert moves.filter(pl.col("apart") == 3)["move"].median() < 0.05

    def test_fields_that_are_missing(self, market: Market) -> None:
        accounts = market.fundamentals
        assert 0.01 < accounts["operating_profit"].is_null().mean() < 0.08
        assert 0.001 < accounts["net_assets"].is_null().mean() < 0.05
        assert 0.003 < accounts["cfo"].is_null().mean() < 0.03
        assert accounts["ordinary_profit"].null_count() == accounts["shareholders_equity"].null_count() == 0

    def test_the_balance_sheet_adds_up(self, market: Market) -> None:
        accounts = market.fundamentals.drop_nulls("net_assets")
        assert (accounts["total_assets"] == accounts["net_assets"] + accounts["total_liabilities"]).all()

    def test_no_firm_drifts_away_from_its_book(self, folder: Path) -> None:
        ratios = simulated_sample(folder).stocks["book_to_price"].drop_nulls()
        assert ratios.quantile(0.001) > 0.02
        assert ratios.quantile(0.999) < 12


class TestPremia:
    def test_nothing_foresees_a_return_where_nothing_is_planted(self, tmp_path: Path) -> None:
        found = _correlations(tmp_path, "none")
        assert found.height == 16
        assert found["t"].abs().max() < 3.3

    def test_what_is_planted_is_found_in_what_is_delivered(self, tmp_path: Path) -> None:
        found = dict(_correlations(tmp_path, "linear").select("descriptor", "t").iter_rows())
        assert all(found[name] > 4 for name in ("PBR", "PER", "ROE"))
        assert all(found[name] < -2 for name in ("60VOL", "CAP"))


def _correlations(folder: Path, form: str) -> pl.DataFrame:
    simulation = SimulationConfig(stocks=150, premia=form)  # type: ignore[arg-type]
    return rank_correlations(replace(load_config().source, folder=str(folder / form)), simulation)


class TestAnyMarket:
    @settings(max_examples=10, deadline=None)
    @given(
        st.builds(
            SimulationConfig,
            stocks=st.integers(10, 25),
            seed=st.integers(0, 2**40),
            first_month=st.sampled_from(["1990-12", "1999-03", "2004-02", "2008-07"]),
            last_month=st.sampled_from(["2008-08", "2009-06", "2012-01"]),
            premia=st.sampled_from(["linear", "interactions", "none"]),
            quarterly_from=st.sampled_from([None, "1980-01", "2003-04", "2020-01"]),
        )
    )
    def test_is_whole(self, config: SimulationConfig) -> None:
        market = simulate(config)
        months = Month.parse(config.last_month) - Month.parse(config.first_month) + 1
        assert market.index.height == market.prices["date"].n_unique() == months
        assert not market.prices.select(KEY).is_duplicated().any()
        assert not market.fundamentals.select("code", "period_end", "announced").is_duplicated().any()
        for frame in (market.prices, market.constituents, market.signal):
            assert frame.null_count().sum_horizontal().item() == 0
            assert all(each.is_finite().all() for each in frame.select(pl.selectors.float()))
        assert (market.prices.select("close", "adj_close", "market_cap", "volume") > 0).to_numpy().all()
        means = market.signal.group_by("date").agg(pl.col("expected_excess").mean().abs())
        assert means["expected_excess"].max() < 1e-7
        first = market.prices.group_by("code").agg(pl.col("date").min())
        known = market.fundamentals.group_by("code").agg(pl.col("announced").min())
        late = first.join(known, on="code", how="left").filter(
            (pl.col("announced") > pl.col("date").dt.month_end()) | pl.col("announced").is_null()
        )
        assert late.height <= 1


class TestValidation:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"stocks": 3}, "source.simulate.stocks: 3 must lie between 10 and 4000"),
            ({"stocks": 4_001}, "must lie between"),
            ({"last_month": "2003-12"}, "last_month 2003-12 must come after first_month 2003-12"),
            ({"first_month": "2003-13"}, "'2003-13' is not a month"),
            ({"quarterly_from": "soon"}, "'soon' is not a month"),
            ({"last_month": "2150-01"}, "the calendar XTKS knows sessions up to"),
        ],
    )
    def test_parameters_that_make_no_sense(self, changes: dict[str, object], expected: str) -> None:
        with pytest.raises(ConfigurationError, match=expected):
            simulate(replace(SMALL, **changes))

    def test_a_form_of_premia_that_does_not_exist(self) -> None:
        with pytest.raises(ValueError, match="premia"):
            SimulationConfig(premia="cubic")  # type: ignore[arg-type]

    def test_a_changed_market_is_not_read(self, tmp_path: Path) -> None:
        land(tmp_path / "market", SMALL)
        (tmp_path / "market" / "index.csv").write_text("changed")
        config = replace(load_config().source, folder=str(tmp_path / "market"), simulate=SMALL)
        with pytest.raises(ConfigurationError, match="index.csv was changed. Remove the folder to land it again"):
            open_source(config)
