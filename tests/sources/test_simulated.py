"""The simulated market: the same bytes twice, landed wholly or not at all, and realistic enough to learn from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from deepfactor.config import SimulationConfig, load_config
from deepfactor.errors import ConfigurationError
from deepfactor.months import Month, last_session
from deepfactor.sources import open_source, simulated
from deepfactor.sources.simulated import Market, land, simulate

SMALL = SimulationConfig(stocks=40, first_month="2003-12", last_month="2010-03")
MARKET = SimulationConfig(stocks=300)


@pytest.fixture(scope="module")
def market() -> Market:
    return simulate(MARKET)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


class TestLanding:
    def test_twice_the_same_bytes(self, tmp_path: Path) -> None:
        land(tmp_path / "one", SMALL)
        land(tmp_path / "two", SMALL)
        assert _contents(tmp_path / "one") == _contents(tmp_path / "two")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]

    def test_another_seed_is_another_market(self, tmp_path: Path) -> None:
        land(tmp_path / "one", SMALL)
        land(tmp_path / "two", replace(SMALL, seed=1))
        digests = [json.loads((tmp_path / each / "truth.json").read_text())["digest"] for each in ("one", "two")]
        assert digests[0] != digests[1]

    def test_a_second_landing_does_nothing(self, tmp_path: Path) -> None:
        land(tmp_path / "market", SMALL)
        marker = tmp_path / "market" / "index.csv"
        marker.write_text("changed")
        land(tmp_path / "market", SMALL)
        assert marker.read_text() == "changed"

    def test_other_parameters_are_refused(self, tmp_path: Path) -> None:
        land(tmp_path / "market", SMALL)
        with pytest.raises(ConfigurationError, match=r"'stocks': 40.*'stocks': 50.*name another folder, or remove"):
            land(tmp_path / "market", replace(SMALL, stocks=50))

    def test_a_folder_of_something_else_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "precious.txt").write_text("data")
        with pytest.raises(ConfigurationError, match="is not a simulated market, so none is landed there"):
            land(tmp_path, SMALL)
        assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]

    def test_a_crash_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(simulated, "_prices", lambda *_: simulate_nothing())
        monkeypatch.setattr(pl.DataFrame, "write_csv", full)
        with pytest.raises(OSError, match="No space left"):
            land(tmp_path / "market", SMALL)
        assert not any(tmp_path.iterdir())

    def test_another_process_that_lands_first_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = simulated._write

        def overtaken(folder: Path, market: Market, config: SimulationConfig) -> None:
            original(folder, market, config)
            monkeypatch.setattr(simulated, "_write", original)
            land(tmp_path / "market", config)

        monkeypatch.setattr(simulated, "_write", overtaken)
        land(tmp_path / "market", SMALL)
        assert [path.name for path in tmp_path.iterdir()] == ["market"]

    def test_the_default_mapping_reads_it(self, tmp_path: Path) -> None:
        config = replace(load_config(source=tmp_path / "market").source, simulate=SMALL)
        source = open_source(config)
        month = Month.parse("2010-03")
        assert source.ready(month)
        assert set(source.datasets()) == {"prices", "fundamentals", "market"}
        assert source.fetch("prices", month, month).height > 35
        assert source.fetch("market", month, month)["market_return"].null_count() == 0
        assert source.fetch("fundamentals", month + -12, month)["operating_profit"].null_count() == 0

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [({"stocks": 3}, "must lie between"), ({"last_month": "2003-12"}, "must come after first_month 2003-12")],
    )
    def test_parameters_that_make_no_sense(self, changes: dict[str, object], expected: str) -> None:
        with pytest.raises(ConfigurationError, match=expected):
            simulate(replace(SMALL, **changes))


class TestMarket:
    def test_every_month_is_there_on_its_last_session(self, market: Market) -> None:
        days = market.prices["date"].unique().sort()
        assert len(days) == 304
        assert all(day == last_session(Month.containing(day)) for day in days)

    def test_the_average_number_of_stocks_is_the_one_asked_for(self, market: Market) -> None:
        assert market.prices.group_by("date").len()["len"].mean() == pytest.approx(300, rel=0.01)

    def test_keys_are_unique(self, market: Market) -> None:
        assert not market.prices.select("date", "code").is_duplicated().any()
        assert not market.fundamentals.select("code", "fiscal_year_end").is_duplicated().any()

    def test_announced_45_days_after_mostly_march(self, market: Market) -> None:
        accounts = market.fundamentals
        assert (accounts["announced"] - accounts["fiscal_year_end"]).unique().dt.total_days().to_list() == [45]
        assert (accounts["fiscal_year_end"].dt.month() == 3).mean() > 0.6
        assert accounts["announced"].max() <= market.prices["date"].max()

    def test_banks_have_no_operating_profit(self, market: Market) -> None:
        assert 0.01 < market.fundamentals["operating_profit"].null_count() / market.fundamentals.height < 0.1
        assert market.fundamentals["ordinary_profit"].null_count() == 0

    def test_a_split_moves_the_quote_and_the_shares_not_the_adjusted_price(self, market: Market) -> None:
        ordered = market.prices.sort("code", "date")
        shares = pl.col("shares_outstanding").log().diff().over("code")
        moves = ordered.select(
            shares=shares,
            close=pl.col("close").log().diff().over("code"),
            adjusted=pl.col("adj_close").log().diff().over("code"),
        ).drop_nulls()
        split = moves.filter(pl.col("shares").abs() > 0.5)
        assert split.height > 20
        assert ((split["close"] + split["shares"] - split["adjusted"]).abs() < 0.05).all()
        # Without a split the two differ by the dividend only.
        kept = moves.filter(pl.col("shares").abs() < 1e-3)
        assert (kept["adjusted"] - kept["close"]).is_between(-0.02, 0.15).all()

    def test_levels_are_those_of_a_stock_market(self, market: Market) -> None:
        ordered = market.prices.sort("code", "date")
        returns = ordered.select("code", r=pl.col("adj_close").pct_change().over("code")).drop_nulls()
        volatility = returns.group_by("code").agg(pl.col("r").std())["r"].median()
        assert 0.07 < volatility < 0.13
        assert 0.035 < market.index["index_return"].std() < 0.065
        assert market.index["index_return"].min() < -0.12
        assert (returns["r"] - returns["r"].mean()).pow(4).mean() / returns["r"].var() ** 2 > 4

    def test_stocks_come_and_go(self, market: Market) -> None:
        months = market.prices.group_by("code").agg(first=pl.col("date").min(), last=pl.col("date").max())
        begun, ended = market.prices["date"].min(), market.prices["date"].max()
        assert months.filter(pl.col("first") > begun).height > 100
        assert months.filter(pl.col("last") < ended).height > 100

    def test_the_planted_signal_is_there(self, market: Market) -> None:
        assert 0.04 < market.information_coefficient < 0.08
        assert "value_x_quality" in market.premia


def simulate_nothing() -> pl.DataFrame:
    return pl.DataFrame({"date": []}, schema={"date": pl.Date})
