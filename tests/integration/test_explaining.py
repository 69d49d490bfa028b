"""Two published months of the small simulated market, explained by the command."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from deepfactor.cli import app
from deepfactor.config import Config
from deepfactor.monthly import run_month
from deepfactor.months import month_range
from deepfactor.publication import read_month
from deepfactor.schemas import FACTORS, REMAINDERS
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.conftest import AS_OF

pytestmark = pytest.mark.integration

LAST_MONTH = AS_OF + -1
MODELS = ("dfm1", "linear")


@pytest.fixture(scope="module")
def published_store(bucket: Store, small_config: Config) -> Store:
    """A store with two months of it."""
    store = bucket.below(secrets.token_hex(6))
    config = replace(small_config, models=MODELS, signal_model="dfm1")
    for month in month_range(LAST_MONTH, AS_OF):
        run_month(month, store, config, after=lambda *_: None)
    return store


@pytest.fixture(autouse=True)
def environment(endpoint: Endpoint, published_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the store as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", published_store.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)


def explained(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["explain", "--month", str(AS_OF), *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def contributions(content: Any) -> dict[str, float]:
    return {each["name"]: each["contribution"] for each in (*content["factors"], *content["remainders"])}


@pytest.mark.parametrize("model", MODELS)
def test_stocks_and_what_changed(published_store: Store, model: str) -> None:
    """The highest, a middling and the lowest prediction, with the figures that both months have published."""
    after, before = (read_month(published_store, month) for month in (AS_OF, LAST_MONTH))
    signals = after.signals.filter(model=model).sort("rank")
    there = before.ledger.filter(model=model)
    common = signals.filter(pl.col("security_id").is_in(there["security_id"].implode()))
    for row in (common.row(place, named=True) for place in (0, common.height // 2, common.height - 1)):
        found = explained("--security", row["security_id"], "--model", model)
        assert {key: found[key] for key in ("prediction", "dispersion", "rank", "quintile")} == {
            key: row[key] for key in ("prediction", "dispersion", "rank", "quintile")
        }
        (ledger,) = after.ledger.filter(model=model, security_id=row["security_id"]).to_dicts()
        assert contributions(found) == {name: ledger[name] for name in (*FACTORS, *REMAINDERS)}
        (earlier,) = there.filter(security_id=row["security_id"]).to_dicts()
        change = found["change"]
        assert (change["month"], change["run_id"]) == (str(LAST_MONTH), before.manifest.run_id)
        for each in change["accounts"]:
            assert each["before"] == pytest.approx(earlier[each["account"]], abs=1e-12)
            assert each["after"] == pytest.approx(ledger[each["account"]], abs=1e-12)
            assert each["before"] + each["inputs"] + each["model"] == pytest.approx(each["after"], abs=1e-12)
        moved = change["inputs"] + change["model"] + change["entering"]
        assert change["before"] + moved == pytest.approx(row["prediction"], abs=1e-12)
        # Months apart, both stock and model are others.
        assert change["inputs"] != 0
        assert change["model"] != 0


@pytest.mark.parametrize(("option", "name"), [("top", "top quintile"), ("long-short", "long-short")])
def test_portfolios(published_store: Store, option: str, name: str, tmp_path: Path) -> None:
    month = read_month(published_store, AS_OF)
    portfolios = published_store.read_frame(month.manifest.named_objects["portfolios.parquet"])
    rows = portfolios.filter(model="dfm1", portfolio=name).filter(pl.col("account").is_in(["factor", "remainder"]))
    page = tmp_path / "page.html"
    found = explained("--portfolio", option, "--html", str(page))
    expected = dict(rows.select("name", "contribution").iter_rows())
    assert found["prediction"] == expected.pop("prediction")
    assert contributions(found) == expected
    change = found["change"]
    moved = change["inputs"] + change["model"] + change["entering"]
    assert change["before"] + moved == pytest.approx(found["prediction"], abs=1e-12)
    assert "Factor shares over time" in page.read_text(encoding="utf-8")


def test_in_the_terminal() -> None:
    result = CliRunner().invoke(
        app, ["explain", "--month", str(AS_OF), "--portfolio", "bottom"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.stderr
    for text in (f"Predicted total return of {AS_OF + 1}", "the same for every stock", "Since last month"):
        assert text in result.stdout
