"""What is read of a published month for people."""

from __future__ import annotations

import polars as pl
import pytest

from deepfactor.errors import IntegrityError
from deepfactor.publication import Manifest, open_month
from deepfactor.reports.month import MonthReport, render_month
from deepfactor.store import Store
from tests.reports.conftest import build_report

pytestmark = pytest.mark.integration

TABLES = ("signals", "ledger", "shares", "portfolios", "correlations", "attribution")


@pytest.fixture(scope="module")
def report() -> MonthReport:
    return build_report(stocks=30)


def _published(store: Store, report: MonthReport) -> Manifest:
    """Put what the report shows into the store, with another model's attribution beside the signal model's."""
    other = report.attribution.with_columns(model=pl.lit("dfm1"))
    frames = {name: getattr(report, name) for name in TABLES} | {"attribution": pl.concat([other, report.attribution])}
    named = {f"{name}.parquet": store.put_frame(f"{name}.parquet", frame) for name, frame in frames.items()}
    documents = {
        "validation/verdict.json": report.validation,
        "results/verdict.json": report.results,
        "gates.json": report.gates,
    }
    named |= {name: store.put_json(name, content) for name, content in documents.items()}
    facts = {name: value for name, value in report.facts.items() if name != "code version"}
    return Manifest(report.month, report.run_id, report.signal_model, "0.1.0", "0" * 64, facts, (), named)


def test_the_page_of_what_is_read_is_that_of_what_was_made(store: Store, report: MonthReport) -> None:
    manifest = _published(store, report)
    month = open_month(store, manifest)
    page, expected = render_month(month.report()).decode(), render_month(report).decode()
    for section in ("extremes", "explanations", "shares", "signals", "models", "checks"):
        start, end = f'<section id="{section}"', "</section>"
        assert page.split(start)[1].split(end)[0] == expected.split(start)[1].split(end)[0]


def test_only_the_signal_models_attribution_is_kept(store: Store, report: MonthReport) -> None:
    month = open_month(store, _published(store, report))
    assert month.attribution["model"].unique().to_list() == ["dfm2"]
    assert month.report().attribution.equals(month.attribution)
    assert set(month.portfolios["model"]) == set(month.correlations["model"]) == {"dfm1", "dfm2", "linear"}


@pytest.mark.parametrize("missing", ["portfolios.parquet", "correlations.parquet", "attribution.parquet"])
def test_a_month_of_another_version_is_named(store: Store, report: MonthReport, missing: str) -> None:
    manifest = _published(store, report)
    del manifest.named_objects[missing]
    with pytest.raises(IntegrityError, match=f"names no {missing}: it was published by another version; publish"):
        open_month(store, manifest)
