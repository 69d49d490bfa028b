"""Returns of the newest month, from a delivery that is described for them and not published."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from deepfactor.config import Config
from deepfactor.errors import PublicationConflict
from deepfactor.evaluating.evaluate import evaluate
from deepfactor.evaluating.results import find_evaluation
from deepfactor.monthly import run_month
from deepfactor.months import Month
from deepfactor.publication import find_manifest, published_months, read_month
from deepfactor.runs import Run, read_record
from deepfactor.store import Store
from tests.conftest import AS_OF

NEXT = AS_OF + 1


@pytest.fixture(scope="module")
def config(small_config: Config) -> Config:
    return replace(small_config, models=("linear",), signal_model="linear")


@pytest.fixture(scope="module")
def month_store(bucket: Store, config: Config) -> Store:
    """A store in which one month of the simulated market is published by the pipeline."""
    store = bucket.below(secrets.token_hex(6))
    run_month(AS_OF, store, config, after=lambda *_: None)
    return store


def test_a_delivery_knows_what_no_published_month_does(month_store: Store, config: Config) -> None:
    unknown, _ = evaluate(month_store, AS_OF, AS_OF)
    assert unknown.coverage["state"].to_list() == ["not known yet"]
    facts = read_month(month_store, AS_OF).manifest.facts
    row = unknown.coverage.row(0, named=True)
    assert (row["universe"], row["scored"]) == (facts["stocks in the universe"], facts["stocks scored"])
    assert (row["rows_quarantined"], row["training_rows"]) == (facts["rows quarantined"], facts["training rows"])
    assert dict(unknown.exclusions.select("reason", "number").iter_rows()) == {
        name: number for name, number in facts.items() if name.startswith(("scoring: ", "training: "))
    }

    known, manifest = evaluate(month_store, AS_OF, AS_OF, config=config)
    assert known.coverage["state"].to_list() == ["scored"]
    assert manifest.known == 1
    outcome = known.inputs["returns"][str(NEXT)]
    assert (outcome["as_of"], outcome["published"]) == (str(NEXT), False)
    assert any(f"The returns of {NEXT} are of a run that was described for them" in note for note in known.notes)
    # Nothing else was published, and the run is that of the month itself.
    assert published_months(month_store) == [AS_OF]
    assert find_manifest(month_store, NEXT) is None
    run = Run(NEXT, outcome["run_id"])
    described = month_store.read_frame(read_record(run, month_store, "describe").objects["descriptors.parquet"])
    returns = described.filter(month=NEXT.first_day).select("security_id", "total_return")
    joined = known.forecasts.filter(model="linear").join(returns, on="security_id", how="left")
    assert joined["realised"].equals(joined["total_return"], null_equal=True)
    assert joined["realised"].count() > 20
    # The market's return is part of what a run publishes.
    assert known.market_returns["market_excess_return"].null_count() == 0
    market = month_store.read_frame(read_record(run, month_store, "validate").objects["validated/market.parquet"])
    row = market.filter(month=NEXT.first_day).row(0, named=True)
    assert known.market_returns["market_excess_return"].item() == row["market_return"] - row["risk_free_rate"]
    # What is known does not become unknown because somebody does not name the delivery.
    with pytest.raises(PublicationConflict, match=r"known then were 1, now 0: name the delivery"):
        evaluate(month_store, AS_OF, AS_OF)
    assert find_evaluation(month_store, AS_OF, AS_OF) == manifest


def test_a_month_that_is_not_delivered_stays_unknown(month_store: Store, config: Config) -> None:
    # The simulated market ends with the month after the last forecast, of which nothing is published here.
    last = Month.parse("2016-03")
    assert last == NEXT
    run_month(last, month_store, config, after=lambda *_: None)
    evaluation, _ = evaluate(month_store, AS_OF, last, config=config)
    assert evaluation.coverage["state"].to_list() == ["scored", "not known yet"]
    assert evaluation.inputs["returns"][str(last)]["published"] is True


def test_other_keys_among_the_manifests_are_no_months(store: Store) -> None:
    for key in (
        "manifests/2016-02.json",
        "manifests/readme.txt",
        "manifests/2016-13.json",
        "manifests/old/2016-01.json",
    ):
        store.put(key, b"{}")
    assert published_months(store) == [AS_OF]
