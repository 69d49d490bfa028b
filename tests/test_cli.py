"""The command line against a real endpoint, as a person at a terminal uses it."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import polars as pl
import psutil
import pytest
import yaml
from typer.testing import CliRunner, Result

from deepfactor.cli import app
from deepfactor.config import DEFAULT_CONFIG, Config
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store


@pytest.fixture
def environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the store as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", f"s3://deepfactor/{secrets.token_hex(6)}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)


@pytest.fixture
def config_file(small_config: Config, tmp_path: Path) -> Path:
    """The small market's configuration with the fastest model only, as a file."""
    content = yaml.safe_load(DEFAULT_CONFIG.read_text())
    content["source"]["simulate"] = asdict(small_config.source)["simulate"]
    content |= {"models": ["linear"], "signal_model": "linear", "universe": {"minimum_stocks": 20}}
    path = tmp_path / "include" / "config" / "small.yaml"
    path.parent.mkdir(parents=True)
    (tmp_path / "include" / "expectations").symlink_to(DEFAULT_CONFIG.parents[1] / "expectations")
    path.write_text(yaml.safe_dump(content))
    return path


def _call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.usefixtures("environment")
class TestMonth:
    @pytest.mark.usefixtures("raw_tables")  # lands the market that is named below
    def test_run_verify_show(self, config_file: Path, market_folder: Path) -> None:
        run = _call("run", "--month", "2016-02", "--source", str(market_folder), "--config", str(config_file))
        assert run.exit_code == 0, run.stderr
        for text in ("Predicted total returns of 2016-03", "Highest predictions", "signals.parquet", "verified as run"):
            assert text in run.stdout
        verified = _call("verify", "--month", "2016-02")
        assert verified.exit_code == 0
        assert "all are whole" in verified.stdout
        assert "Highest predictions" in _call("show", "--month", "2016-02").stdout

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("s3://deepfactor/nothing/here", "no file matches prices/*.parquet in s3://deepfactor/nothing/here"),
            ("s3://no-such-bucket/here", "the bucket does not exist"),
            ("no/such/folder", "no/such/folder does not exist: pass --source with the delivery's"),
        ],
    )
    @pytest.mark.parametrize("command", ["run", "validate"])
    def test_a_delivery_that_is_not_there_is_not_simulated(self, command: str, source: str, expected: str) -> None:
        result = _call(command, "--month", "2016-02", "--source", source)
        assert result.exit_code == 1
        assert expected in " ".join(result.stderr.split())

    @pytest.mark.parametrize("command", ["verify", "show"])
    def test_a_month_that_is_not_published(self, command: str) -> None:
        result = _call(command, "--month", "2016-02")
        assert result.exit_code == 1
        assert "2016-02 is not published" in result.stderr
        assert "Traceback" not in result.stderr

    @pytest.mark.parametrize("month", ["2016-2", "february", "[bold]x"])
    def test_what_is_not_a_month(self, month: str) -> None:
        result = _call("run", "--month", month)
        assert result.exit_code == 1
        assert f"'{month}' is not a month from 1900 to 2199: write it as YYYY-MM" in result.stderr


class TestValidate:
    @pytest.fixture
    def arguments(self, config_file: Path, market_folder: Path, raw_tables: dict[str, pl.DataFrame]) -> list[str]:
        assert raw_tables
        return ["validate", "--month", "2016-02", "--source", str(market_folder), "--config", str(config_file)]

    @pytest.mark.usefixtures("environment")
    def test_a_good_month_in_the_store(self, arguments: list[str]) -> None:
        result = _call(*arguments)
        assert result.exit_code == 0, result.stderr
        assert "2016-02 passed validation" in result.stdout
        address = result.stdout.split("Data Docs: ")[1].strip()
        assert address.endswith("/validations/2016-02/data_docs/index.html")
        store = Store.open(os.environ["DEEPFACTOR_STORE"])
        assert {"verdict.json", "quarantined.parquet", "data_docs/index.html", "data_docs/prices.html"} <= {
            key.removeprefix("validations/2016-02/") for key in store.list("validations/")
        }
        assert store.list("manifests/") == []

    def test_a_bad_month_in_a_folder(
        self, arguments: list[str], market_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No store is needed, and nothing but JSON is printed."""
        monkeypatch.setenv("DEEPFACTOR_STORE", "s3://nowhere")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        delivery = tmp_path / "delivery"
        shutil.copytree(market_folder, delivery)
        file = delivery / "prices" / "2016.parquet"
        prices = pl.read_parquet(file)
        newest = pl.col("date").dt.month() == 2
        codes = prices.filter(newest)["code"].sort()
        wrong = newest & (pl.col("code") == codes[0])
        gone = newest & (pl.col("code") > codes[len(codes) * 3 // 4])
        prices.with_columns(close=pl.when(wrong).then(0.0).otherwise("close")).filter(~gone).write_parquet(file)
        arguments[arguments.index(str(market_folder))] = str(delivery)
        documents = ["--documents", str(tmp_path / "docs")]
        result = _call(*arguments, *documents, "--json")
        assert result.exit_code == 1
        verdict = json.loads(result.stdout)
        assert verdict["passed"] is False
        assert verdict == json.loads((tmp_path / "docs" / "verdict.json").read_text())
        assert (tmp_path / "docs" / "data_docs" / "index.html").exists()
        assert pl.read_parquet(tmp_path / "docs" / "quarantined.parquet")["security_id"].to_list() == [codes[0]]

    def test_files_that_cannot_be_read(self, arguments: list[str], market_folder: Path, tmp_path: Path) -> None:
        arguments[arguments.index(str(market_folder))] = str(tmp_path / "nowhere")
        result = _call(*arguments, "--documents", str(tmp_path / "docs"))
        assert result.exit_code == 1
        assert "Error" in result.stderr
        assert not (tmp_path / "docs").exists()


class TestBacktest:
    @pytest.fixture
    def arguments(self, config_file: Path, market_folder: Path, raw_tables: dict[str, pl.DataFrame]) -> list[str]:
        assert raw_tables
        return ["backtest", "--source", str(market_folder), "--config", str(config_file)]

    @pytest.mark.usefixtures("environment")
    def test_months_are_done_and_evaluated(self, arguments: list[str]) -> None:
        result = _call(*arguments, "--from", "2015-12", "--to", "2016-01", "--months", "2016-01", "--stocks", "60")
        assert result.exit_code == 0, result.stderr
        assert "2016-01 done; 1 of 1 months, 1 of 1 models" in result.stderr
        for text in ("linear", "training mean", "MAE", "Sharpe", "backtests/"):
            assert text in result.stdout
        store = Store.open(os.environ["DEEPFACTOR_STORE"])
        (table,) = [key for key in store.list("backtests/") if key.endswith("performance.parquet")]
        performance = pl.read_parquet(store.get(table)).filter(model="linear")
        # Some of the largest have too few descriptors, or no return in the month after.
        assert 50 < performance["stocks"].item() <= 60
        assert store.list("manifests/") == []

    @pytest.mark.usefixtures("environment")
    def test_a_month_without_data(self, arguments: list[str]) -> None:
        result = _call(*arguments, "--from", "2016-05", "--to", "2016-05")
        assert result.exit_code == 1
        assert "2016-05 failed: SourceError" in result.stdout
        assert "for 2016-04 … 2016-05; it has 1990-12 … 2016-03: deliver" in " ".join(result.stdout.split())
        assert "2016-06" not in result.stdout
        assert "Traceback" not in result.stderr

    @pytest.mark.usefixtures("environment")
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ([], "say which months: --from and --to, or --months"),
            (["--from", "2016-02"], "say which months: --from and --to, or --months"),
            (["--from", "2016-02", "--to", "2016-01"], "--from 2016-02 comes after --to 2016-01: turn them around"),
            (["--months", "2016-02,2016-13"], "'2016-13' is not a month from 1900 to 2199: write it as YYYY-MM"),
            (["--months", "2016-02", "--models", "linear,dfm3"], "--models: there is no dfm3; choose from dfm1"),
        ],
    )
    def test_what_makes_no_sense(self, arguments: list[str], options: list[str], expected: str) -> None:
        result = _call(*arguments, *options)
        assert result.exit_code == 1
        assert expected in " ".join(result.stderr.split())

    @pytest.mark.usefixtures("environment")
    def test_an_interruption_ends_it_and_leaves_no_process(self, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "deepfactor", *arguments, "--from", "2010-01", "--to", "2016-02"]
        backtest = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        process = psutil.Process(backtest.pid)
        while not (children := _workers(process)):
            time.sleep(0.1)
        time.sleep(random.uniform(0, 3))
        # As a terminal does: to all of them.
        os.killpg(backtest.pid, signal.SIGINT)
        output, _ = backtest.communicate(timeout=30)
        assert backtest.returncode == 130
        assert "Interrupted; what is done is kept" in output
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []


def _workers(process: psutil.Process) -> list[psutil.Process]:
    return [each for each in process.children() if "spawn_main" in " ".join(each.cmdline())]


def test_an_unreachable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACTOR_STORE", "s3://deepfactor")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    result = _call("verify", "--month", "2016-02")
    assert result.exit_code == 1
    assert "check that the store runs" in " ".join(result.stderr.split())


def test_simulate_lands_a_market(tmp_path: Path) -> None:
    result = _call("simulate", "--to", str(tmp_path / "market"), "--stocks", "60")
    assert result.exit_code == 0
    assert (tmp_path / "market" / "truth.json").exists()
