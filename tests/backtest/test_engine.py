"""Backtests of the small market on a real endpoint, held against the months' own runs."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from deepfactor.address import StoreAddress
from deepfactor.backtest.engine import Backtest, Progress, run_backtest
from deepfactor.backtest.plan import narrowed
from deepfactor.backtest.results import Results, store_results
from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, StoreError
from deepfactor.evaluation.performance import FORECASTS, PERFORMANCE
from deepfactor.monthly import run_month
from deepfactor.months import Month, Window, month_range
from deepfactor.pipeline import ingest
from deepfactor.sources import open_source
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.conftest import AS_OF

MONTHS = tuple(month_range(AS_OF + -2, AS_OF))
ROOT = Path(__file__).resolve().parents[2]


def _address(endpoint: Endpoint, prefix: str = "") -> StoreAddress:
    url = f"s3://deepfactor/{prefix or secrets.token_hex(6)}"
    return StoreAddress(url, endpoint.url, endpoint.credentials.access_key, endpoint.credentials.secret_key)


PUBLISHED = {"report.html", "signals.csv", "manifest.json"}
"""What a publication adds to a month."""


def _bodies(store: Store, *prefixes: str) -> dict[str, bytes]:
    """Return what is decided by the inputs: not how long a training took, nor what a publication adds."""
    others = ("measured.json", *PUBLISHED)
    return {key: store.get(key) for prefix in prefixes for key in store.list(prefix) if not key.endswith(others)}


def _silent(_progress: Progress) -> None:
    """Show nothing."""


def _run(months: tuple[Month, ...], address: StoreAddress, config: Config) -> Backtest:
    return run_backtest(months, address, config, workers=2, memory=8, report=_silent)


@pytest.fixture(scope="module")
def config(small_config: Config) -> Config:
    return narrowed(small_config, models=["linear", "dfm1"])


@pytest.fixture(scope="module")
def address(endpoint: Endpoint) -> StoreAddress:
    return _address(endpoint)


@pytest.fixture(scope="module")
def progress() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def backtest(config: Config, address: StoreAddress, progress: list[Progress]) -> Backtest:
    return run_backtest(MONTHS, address, config, workers=2, memory=8, report=progress.append)


@pytest.fixture(scope="module")
def results(backtest: Backtest, address: StoreAddress, config: Config) -> Results:
    return store_results(backtest, address.open(), config)


class TestWhole:
    def test_all_months_are_done(self, backtest: Backtest) -> None:
        assert tuple(sorted(backtest.runs)) == MONTHS
        assert sorted(backtest.described) == [*MONTHS, AS_OF + 1]
        assert backtest.failures == backtest.without_returns == {}
        assert backtest.seconds.keys() == {
            "ingest", "validate", "describe", "train-dfm1", "train-linear", "attribute", "bless"
        }  # fmt: skip

    def test_progress_is_told(self, backtest: Backtest, progress: list[Progress]) -> None:
        assert backtest
        # A task of four each month, and the description of the month after the last.
        assert len(progress) == 4 * 3 + 1
        # What ends last may be a month or the description of the month after.
        assert replace(progress[-1], ended=None) == Progress(3, 3, 0, 6, 6, 0.0, None)
        assert sorted(each.ended[0] for each in progress if each.ended is not None) == list(MONTHS)
        done = [each.trainings_done for each in progress]
        assert done == sorted(done)
        assert progress[0].seconds_left is None

    def test_the_bytes_are_those_of_the_months_own_runs(
        self, backtest: Backtest, address: StoreAddress, config: Config, store: Store
    ) -> None:
        """Made by another process, with other threads, from a delivery that was read once."""
        for month in MONTHS[::2]:
            manifest = run_month(month, store, config, after=lambda _step, _seconds: None)
            assert manifest.run_id == backtest.runs[month].run_id
            prefix = f"runs/{month}/"
            ours, theirs = _bodies(address.open(), prefix), _bodies(store, prefix)
            assert ours.keys() == theirs.keys()
            assert [key for key in ours if ours[key] != theirs[key]] == []
        assert store.etags("raw/").items() <= address.open().etags("raw/").items()

    def test_a_later_run_of_the_month_finds_its_steps_done(
        self, backtest: Backtest, address: StoreAddress, config: Config
    ) -> None:
        store = address.open()
        before = store.etags(f"runs/{AS_OF}/")
        manifest = run_month(AS_OF, store, config, after=lambda _step, _seconds: None)
        assert manifest.run_id == backtest.runs[AS_OF].run_id
        after = store.etags(f"runs/{AS_OF}/")
        assert before.items() <= after.items()
        assert {key.rsplit("/", 1)[1] for key in after.keys() - before.keys()} == PUBLISHED

    def test_again_nothing_is_done(
        self, backtest: Backtest, address: StoreAddress, config: Config, results: Results
    ) -> None:
        store = address.open()
        before = store.etags("")
        told: list[Progress] = []
        again = run_backtest(MONTHS, address, config, workers=1, memory=0.1, report=told.append)
        assert (again.runs, again.described) == (backtest.runs, backtest.described)
        assert again.seconds.keys() == {"ingest"}
        # What was done before says nothing of the time that is left.
        assert {each.seconds_left for each in told} <= {None, 0.0}
        assert store_results(again, store, config) == results
        assert store.etags("") == before

    def test_a_damaged_object_is_mended(self, backtest: Backtest, address: StoreAddress, config: Config) -> None:
        store = address.open()
        key = backtest.runs[MONTHS[0]].key("models/linear/weights.safetensors")
        body = store.get(key)
        store.put(key, body[:-1])
        _run(MONTHS[:1], address, config)
        assert store.get(key) == body


class TestResults:
    def test_forecasts_with_the_returns_that_came(
        self, results: Results, backtest: Backtest, address: StoreAddress, small_config: Config
    ) -> None:
        store = address.open()
        forecasts = pl.read_parquet(store.get(f"{results.prefix}/signals.parquet"))
        assert FORECASTS.check(forecasts, "").equals(forecasts)
        signals = pl.concat([pl.read_parquet(store.get(run.key("signals.parquet"))) for run in backtest.runs.values()])
        assert forecasts.drop("realised").equals(signals.sort("month", "model", "security_id"))
        # The vendor's own prices of the month after the last, which no forecast has seen.
        source = open_source(small_config.source)
        prices = source.fetch("prices", AS_OF, AS_OF + 1).pivot(
            on="month", index="security_id", values="total_return_price"
        )
        realised = prices.select(
            "security_id", expected=pl.col(str((AS_OF + 1).first_day)) / pl.col(str(AS_OF.first_day)) - 1
        )
        newest = forecasts.filter(month=AS_OF.first_day, model="linear").join(realised, on="security_id", how="left")
        known = newest.drop_nulls(["realised", "expected"])
        assert known.height > 60
        assert known["realised"].to_numpy() == pytest.approx(known["expected"].to_numpy(), abs=1e-9)

    def test_the_summary_follows_from_the_forecasts(self, results: Results, address: StoreAddress) -> None:
        store = address.open()
        assert {key.removeprefix(f"{results.prefix}/") for key in store.list("backtests/")} == {
            "inputs.json", "performance.parquet", "signals.parquet", "summary.json"
        }  # fmt: skip
        performance = pl.read_parquet(store.get(f"{results.prefix}/performance.parquet"))
        assert PERFORMANCE.check(performance, "").equals(performance)
        forecasts = pl.read_parquet(store.get(f"{results.prefix}/signals.parquet")).drop_nulls("realised")
        assert [row["model"] for row in results.summary] == ["dfm1", "linear", "zero", "training mean"]
        dfm1 = results.summary[0]
        error = (pl.col("prediction") - pl.col("realised")).abs().mean()
        by_month = forecasts.filter(model="dfm1").group_by("month").agg(error)
        assert dfm1["mae"] == pytest.approx(by_month["prediction"].mean())
        assert dfm1["months"] == 3
        assert results.without_returns == ()

    def test_the_mean_of_the_training_window_is_no_later_month(
        self, results: Results, address: StoreAddress, backtest: Backtest
    ) -> None:
        store = address.open()
        performance = pl.read_parquet(store.get(f"{results.prefix}/performance.parquet"))
        forecasts = pl.read_parquet(store.get(f"{results.prefix}/signals.parquet")).drop_nulls("realised")
        window = Window(AS_OF)
        described = pl.read_parquet(store.get(backtest.described[AS_OF].key("descriptors.parquet")))
        labels = described.filter(pl.col("month").is_between((window.first_training + 1).first_day, AS_OF.first_day))[
            "total_return"
        ]
        realised = forecasts.filter(month=AS_OF.first_day, model="linear")["realised"].to_numpy()
        expected = float(np.abs(realised - labels.mean()).mean())
        found = performance.filter(month=AS_OF.first_day, model="training mean")["mae"].item()
        # All labels against those of the samples, which leave out a few stocks.
        assert found == pytest.approx(expected, abs=1e-3)


class TestFailures:
    @pytest.fixture
    def delivery(self, small_config: Config, market_folder: Path, tmp_path: Path) -> Config:
        """A delivery whose 2016-02 is broken, and which ends with 2016-03."""
        folder = shutil.copytree(market_folder, tmp_path / "delivery")
        file = folder / "prices" / "2016.parquet"
        prices = pl.read_parquet(file)
        codes = prices["code"].unique().sort()
        gone = (pl.col("date").dt.month() == 2) & pl.col("code").is_in(codes.head(len(codes) // 2).implode())
        prices.filter(~gone).write_parquet(file)
        return replace(small_config, source=replace(small_config.source, folder=str(folder), simulate=None))

    @pytest.mark.usefixtures("raw_tables")  # lands the market
    def test_a_month_that_fails_does_not_stop_the_others(
        self, endpoint: Endpoint, delivery: Config, small_config: Config
    ) -> None:
        """Nor does it help a month that it was good in an earlier delivery."""
        config = narrowed(delivery, models=["linear"])
        address = _address(endpoint)
        earlier = ingest(AS_OF, address.open(), narrowed(small_config, models=["linear"]))
        months = (AS_OF + -1, AS_OF, AS_OF + 2)
        told: list[Progress] = []
        backtest = run_backtest(months, address, config, workers=2, memory=8, report=told.append)
        assert sorted(backtest.runs) == [AS_OF + -1]
        assert sorted(backtest.failures) == [AS_OF, AS_OF + 2]
        assert "ValidationFailed: 2016-02 did not pass validation" in backtest.failures[AS_OF].reason
        assert "has no prices for 2016-04" in backtest.failures[AS_OF + 2].reason
        assert {each.traceback for each in backtest.failures.values()} == {None}
        assert {each.ended[0] for each in told if each.ended is not None} == set(months)
        assert (told[-1].months_done, told[-1].months_failed) == (1, 2)
        # The month after the last is not delivered, nobody would expect it to be.
        assert sorted(backtest.without_returns) == []
        runs = {key.split("/")[2] for key in address.open().list(f"runs/{AS_OF}/")}
        assert len(runs - {earlier.run_id}) == 1
        # A return that is not known is nothing to hold a forecast against.
        results = store_results(backtest, address.open(), config)
        assert results.without_returns == (AS_OF + -1,)
        assert results.summary == []

    def test_a_source_that_cannot_be_used_at_all(self, endpoint: Endpoint, small_config: Config) -> None:
        config = replace(small_config, source=replace(small_config.source, folder="/no/such", simulate=None))
        with pytest.raises(ConfigurationError, match="/no/such does not exist"):
            _run(MONTHS, _address(endpoint), config)

    def test_a_store_that_cannot_be_used_at_all(self, endpoint: Endpoint, small_config: Config) -> None:
        address = replace(_address(endpoint), url="s3://no-such-bucket/here")
        with pytest.raises(StoreError, match="the bucket does not exist"):
            _run(MONTHS, address, small_config)


_PROGRAM = """
import pickle, sys
from deepfactor.backtest.engine import run_backtest

if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        months, address, config = pickle.load(file)
    run_backtest(months, address, config, workers=2, memory=8, report=lambda each: print(each.ended, flush=True))
"""


@pytest.fixture
def command(config: Config, endpoint: Endpoint, tmp_path: Path) -> tuple[list[str], StoreAddress]:
    """A program that does the backtest of the module, into a store of its own."""
    import pickle

    address = _address(endpoint)
    (tmp_path / "program.py").write_text(_PROGRAM)
    (tmp_path / "arguments").write_bytes(pickle.dumps((MONTHS, address, config)))
    return [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "arguments")], address


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def test_after_a_kill_at_any_moment_the_results_are_the_same(
    command: tuple[list[str], StoreAddress], backtest: Backtest, address: StoreAddress, config: Config, results: Results
) -> None:
    program, killed = command
    seconds = random.uniform(2, 20)
    process = _start(program)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    resumed = _run(MONTHS, killed, config)
    assert (resumed.runs, resumed.described) == (backtest.runs, backtest.described)
    assert store_results(resumed, killed.open(), config) == results
    prefixes = ("raw/", "backtests/", *(f"runs/{month}/" for month in (*MONTHS, AS_OF + 1)))
    ours, theirs = _bodies(killed.open(), *prefixes), _bodies(address.open(), *prefixes)
    differing = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
    assert differing == [], f"killed after {seconds:.2f} s"
