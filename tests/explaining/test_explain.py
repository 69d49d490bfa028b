"""An explanation is what was published, it adds up, and it says what changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfactor.errors import IntegrityError
from deepfactor.explaining.explain import explain
from deepfactor.explaining.explanation import Explanation
from deepfactor.explaining.published import PublishedModel, read_model_month
from deepfactor.explaining.subjects import Subject, portfolio, stock
from deepfactor.features import FEATURES
from deepfactor.models.targets import Calibration
from deepfactor.objects import frame_to_bytes
from deepfactor.publication import manifest_key
from deepfactor.schemas import FACTORS, REMAINDERS
from deepfactor.store import Store
from tests.explaining.made_months import (
    LAST_MONTH,
    LOSSLESS,
    MONTH,
    NEW,
    STOCKS,
    made_network,
    publish_made,
)

RULES = [("zero",), ("epsilon:0.1",), ("zero", "gamma:0.25", "zero")]


def assert_adds_up(explanation: Explanation) -> None:
    remainders = sum(each.contribution for each in explanation.remainders)
    for parts in (explanation.factors, explanation.descriptors):
        assert sum(each.contribution for each in parts) + remainders == pytest.approx(explanation.prediction, abs=1e-15)
        assert sum(each.share or 0.0 for each in parts) == pytest.approx(1)
    for factor in explanation.factors:
        own = [each for each in explanation.descriptors if each.factor == factor.name]
        assert sum(each.contribution for each in own) == pytest.approx(factor.contribution, abs=1e-15)
        assert sum(each.share or 0.0 for each in own) == pytest.approx(factor.share)
    found = explanation.comparison
    if found is not None:
        for each in found.movements:
            assert each.before + each.inputs + each.model == pytest.approx(each.after, abs=1e-15)
        assert sum(each.before for each in found.movements) == pytest.approx(found.before, abs=1e-15)
        moved = found.inputs + found.model + found.entering
        assert found.before + moved == pytest.approx(explanation.prediction, abs=1e-15)


class TestStock:
    @pytest.mark.parametrize("security_id", [*STOCKS[:4], STOCKS[-1]])
    def test_figures_are_those_of_the_tables(
        self, two_months: Store, published: PublishedModel, security_id: str
    ) -> None:
        found = explain(two_months, published, stock(two_months, published, security_id))
        (signal,) = published.signals.filter(security_id=security_id).to_dicts()
        (ledger,) = published.ledger.filter(security_id=security_id).to_dicts()
        assert {name: getattr(found, name) for name in ("prediction", "dispersion", "rank", "quintile")} == {
            name: signal[name] for name in ("prediction", "dispersion", "rank", "quintile")
        }
        booked = {each.name: each.contribution for each in (*found.factors, *found.remainders)}
        assert booked == {name: ledger[name] for name in (*FACTORS, *REMAINDERS)}
        attribution = two_months.read_frame(published.manifest.named_objects["attribution.parquet"])
        rows = attribution.filter(security_id=security_id)
        by_descriptor = dict(rows.group_by("descriptor").agg(pl.col("relevance").sum()).iter_rows())
        assert {each.name: each.contribution for each in found.descriptors} == pytest.approx(by_descriptor)
        most = rows.sort(pl.col("relevance").abs(), descending=True).head(5)
        assert [each.input for each in found.drivers] == most.select(
            pl.format("{}@{}", "descriptor", "lag")
        ).to_series().to_list()
        for driver, row in zip(found.drivers, most.iter_rows(named=True), strict=True):
            assert driver.contribution == row["relevance"]
            assert driver.dispersion == pytest.approx(row["dispersion"])
            assert driver.position == pytest.approx(row["input"])
            assert driver.known == float(row["known"])
        assert_adds_up(found)

    def test_values_are_the_descriptors_of_the_inputs_month(self, two_months: Store, published: PublishedModel) -> None:
        descriptors = two_months.read_frame(published.manifest.named_objects["descriptors.parquet"])
        for security_id in STOCKS[:6]:
            for each in explain(two_months, published, stock(two_months, published, security_id)).drivers:
                month = (MONTH + -each.lag).first_day
                values = descriptors.filter(pl.col("month") == month, security_id=security_id)[each.descriptor]
                assert each.value == (values[0] if len(values) else None)
                assert bool(each.value_words) == (each.value is not None) == bool(each.known)

    def test_words_tell_what_was_or_what_is_now(self, two_months: Store, published: PublishedModel) -> None:
        for place, security_id in enumerate(STOCKS[:10]):
            for each in explain(two_months, published, stock(two_months, published, security_id)).drivers:
                beside, when = (3, "three months ago") if each.lag == 0 else (0, "now")
                other = FEATURES.index(f"{each.descriptor}@{beside}")
                beaten = 0.5 + float(published.inputs[place, other]) * (1 if each.position >= 0 else -1)
                told = f"{int(beaten * 100 + 1e-4)} %" if published.known[place, other] else "not known"
                assert each.words.endswith(f", {when} {told}")

    def test_what_is_not_known_is_said(self, store: Store) -> None:
        """A network that looks at one input only, which one stock does not have."""
        place = FEATURES.index("PER@3")
        network = made_network(MONTH, hidden=())
        kernel = np.zeros_like(network.kernels[0])
        kernel[:, place] = 1.0
        publish_made(store, networks={"dfm2": replace(network, kernels=(kernel,))})
        published = read_model_month(store, MONTH)
        unknown, known = (explain(store, published, stock(store, published, each)) for each in (LOSSLESS, STOCKS[0]))
        assert known.drivers[0].input == "PER@3"
        assert known.drivers[0].words.startswith("three months ago ")
        # Without any relevance the first inputs stand there; none of them is said to be known if it is not.
        assert [each.contribution for each in unknown.drivers] == [0.0] * 5
        assert sum(each.share or 0.0 for each in unknown.factors) == 0

    def test_members_that_disagree(self, two_months: Store, published: PublishedModel) -> None:
        subject = stock(two_months, published, STOCKS[5])
        found = explain(two_months, published, subject)
        members = published.account.member_inputs[:, 5]
        for each in found.drivers:
            values = members[:, FEATURES.index(each.input)]
            assert each.disputed == (values.min() < 0 < values.max())
        bias = published.account.member_bias[:, 5].sum(axis=1)
        assert found.remainders[0].disputed == (bias.min() < 0 < bias.max())
        assert found.remainders[0].dispersion == pytest.approx(bias.std())


class TestPortfolio:
    @pytest.mark.parametrize("text", ["top", "bottom", "long-short"])
    def test_figures_are_those_of_the_tables(self, two_months: Store, published: PublishedModel, text: str) -> None:
        subject = portfolio(published, text)
        found = explain(two_months, published, subject)
        rows = published.portfolios.filter(portfolio=subject.name)
        for account, parts in (
            ("factor", found.factors),
            ("descriptor", found.descriptors),
            ("remainder", found.remainders),
        ):
            expected = {
                row["name"]: (row["contribution"], row["dispersion"])
                for row in rows.filter(account=account).iter_rows(named=True)
                if row["name"] != "prediction"
            }
            assert {each.name: (each.contribution, each.dispersion) for each in parts} == expected
        (prediction,) = rows.filter(name="prediction").to_dicts()
        assert (found.prediction, found.dispersion) == (prediction["contribution"], prediction["dispersion"])
        shares = published.shares.filter(group=subject.name).to_dicts()
        assert {each.name: (each.share, each.share_dispersion, each.disputed) for each in found.factors} == {
            row["factor"]: (row["share"], row["dispersion"], row["disputed"]) for row in shares
        }
        assert (found.rank, found.quintile) == (None, None)
        assert_adds_up(found)

    def test_a_file_of_equal_weights_is_the_published_portfolio(
        self, two_months: Store, published: PublishedModel, tmp_path: Path
    ) -> None:
        top = portfolio(published, "top")
        held = published.security_ids[top.weights > 0]
        file = tmp_path / "mine.csv"
        file.write_text("security_id,weight\n" + "".join(f"{each},{1 / len(held)!r}\n" for each in held))
        mine, theirs = (explain(two_months, published, portfolio(published, each)) for each in (str(file), "top"))
        for kind in ("factors", "descriptors", "remainders"):
            for one, other in zip(getattr(mine, kind), getattr(theirs, kind), strict=True):
                assert (one.name, one.disputed) == (other.name, other.disputed)
                assert one.contribution == pytest.approx(other.contribution, abs=1e-16)
                assert one.dispersion == pytest.approx(other.dispersion, abs=1e-16)
                assert one.share == pytest.approx(other.share)
        assert [each.words for each in mine.drivers] == [each.words for each in theirs.drivers]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(weights=st.lists(st.floats(-3, 3), min_size=len(STOCKS), max_size=len(STOCKS)))
    def test_any_weights_add_up(self, two_months: Store, published: PublishedModel, weights: list[float]) -> None:
        subject = Subject("portfolio", "any", np.array(weights))
        if not np.abs(subject.weights).sum() > 1e-6:
            return
        found = explain(two_months, published, subject)
        assert found.prediction == pytest.approx(float(subject.weights @ published.signals["prediction"].to_numpy()))
        assert found.stocks == np.count_nonzero(weights)
        assert_adds_up(found)

    def test_sides_are_told_apart(self, two_months: Store, published: PublishedModel) -> None:
        words = {
            text: explain(two_months, published, portfolio(published, text)).drivers[0].words
            for text in ("top", "long-short")
        }
        assert words["top"].startswith("on average ")
        assert words["long-short"].startswith("long side: ")
        assert ", short side " in words["long-short"]
        short = Subject("portfolio", "shorts", -portfolio(published, "bottom").weights)
        assert explain(two_months, published, short).drivers[0].words.startswith("short side: ")

    def test_how_much_is_known_is_said(self, store: Store) -> None:
        network = made_network(MONTH, hidden=())
        kernel = np.zeros_like(network.kernels[0])
        kernel[:, FEATURES.index("PER@0")] = 1.0
        publish_made(store, networks={"dfm2": replace(network, kernels=(kernel,))})
        published = read_model_month(store, MONTH)
        weights = np.zeros(len(STOCKS))
        weights[[0, STOCKS.index(LOSSLESS)]] = 0.6, 0.2
        driver = explain(store, published, Subject("portfolio", "two", weights)).drivers[0]
        assert driver.known == pytest.approx(0.75)
        assert driver.position == pytest.approx(0.75 * float(published.inputs[0, FEATURES.index("PER@0")]))
        assert driver.words.endswith("; known of 75 % of the weight")

    def test_weights_of_nothing(self, two_months: Store, published: PublishedModel) -> None:
        found = explain(two_months, published, Subject("portfolio", "nothing", np.zeros(len(STOCKS))))
        assert found.prediction == 0
        assert {each.contribution for each in (*found.factors, *found.descriptors, *found.remainders)} == {0.0}
        assert found.incomparable == "no stock of nothing had a prediction in 2016-01"


class TestRules:
    @pytest.mark.parametrize("rules", RULES)
    def test_every_rule_adds_up(self, store: Store, rules: tuple[str, ...]) -> None:
        for month in (LAST_MONTH, MONTH):
            publish_made(store, month, rules=rules)
        published = read_model_month(store, MONTH)
        for subject in (stock(store, published, STOCKS[0]), portfolio(published, "long-short")):
            found = explain(store, published, subject)
            assert found.rules == rules
            assert found.comparison is not None
            assert_adds_up(found)


class TestChange:
    def test_last_month_is_what_was_published(self, two_months: Store, published: PublishedModel) -> None:
        before = read_model_month(two_months, LAST_MONTH)
        found = explain(two_months, published, stock(two_months, published, STOCKS[0])).comparison
        assert found is not None
        (ledger,) = before.ledger.filter(security_id=STOCKS[0]).to_dicts()
        for each in found.movements:
            assert each.before == pytest.approx(ledger[each.account], abs=1e-16)
        assert (found.month, found.run_id, found.entered) == (LAST_MONTH, "made-2016-01", 0)
        assert found.before == pytest.approx(ledger["prediction"], abs=1e-16)

    def test_a_stock_that_was_not_predicted(self, two_months: Store, published: PublishedModel) -> None:
        found = explain(two_months, published, stock(two_months, published, NEW))
        assert found.comparison is None
        assert found.incomparable == f"{NEW} had no prediction in 2016-01"

    def test_a_portfolio_that_holds_it(self, two_months: Store, published: PublishedModel) -> None:
        weights = np.zeros(len(STOCKS))
        weights[[0, STOCKS.index(NEW)]] = 0.5, -0.25
        found = explain(two_months, published, Subject("portfolio", "two", weights))
        assert found.comparison is not None
        assert found.comparison.entered == 1
        prediction = published.signals.filter(security_id=NEW)["prediction"].item()
        assert found.comparison.entering == pytest.approx(-0.25 * prediction)
        assert_adds_up(found)

    def test_stocks_that_are_gone_do_not_count(self, store: Store) -> None:
        publish_made(store, LAST_MONTH)
        publish_made(store, stocks=STOCKS[:-5])
        published = read_model_month(store, MONTH)
        for subject in (stock(store, published, STOCKS[0]), portfolio(published, "long-short")):
            found = explain(store, published, subject)
            assert found.comparison is not None
            assert_adds_up(found)

    def test_no_month_before(self, store: Store) -> None:
        publish_made(store)
        published = read_model_month(store, MONTH)
        found = explain(store, published, stock(store, published, STOCKS[0]))
        assert found.comparison is None
        assert found.incomparable.startswith("2016-01 is not published in s3://")

    def test_another_model_last_month(self, store: Store) -> None:
        publish_made(store, LAST_MONTH, networks={"linear": made_network(LAST_MONTH, hidden=())})
        publish_made(store)
        published = read_model_month(store, MONTH)
        found = explain(store, published, stock(store, published, STOCKS[0]))
        assert found.incomparable.endswith("dfm2 is not in it; choose from linear")

    def test_other_rules_last_month(self, store: Store) -> None:
        publish_made(store, LAST_MONTH, rules=("gamma:0.25",))
        publish_made(store)
        published = read_model_month(store, MONTH)
        found = explain(store, published, stock(store, published, STOCKS[0]))
        assert found.incomparable == "2016-01 was explained by the rules gamma:0.25, 2016-02 by zero"

    def test_last_month_of_another_version(self, store: Store) -> None:
        publish_made(store, LAST_MONTH, leave_out=["relevance.parquet"])
        publish_made(store)
        published = read_model_month(store, MONTH)
        found = explain(store, published, stock(store, published, STOCKS[0]))
        assert found.prediction
        assert "it was published by another version" in found.incomparable


class TestValidation:
    def test_a_ledger_that_differs_from_the_members(self, store: Store) -> None:
        manifest = publish_made(store)
        ledger = store.read_frame(manifest.named_objects["ledger.parquet"])
        wrong = ledger.with_columns(Value=pl.col("Value") + 1e-6)
        reference = store.put(manifest.named_objects["ledger.parquet"].key, frame_to_bytes(wrong))
        named = manifest.named_objects | {"ledger.parquet": reference}
        store.put(manifest_key(MONTH), replace(manifest, named_objects=named).to_bytes())
        published = read_model_month(store, MONTH)
        with pytest.raises(IntegrityError, match=r"the published contribution of Value is .*, computed again it is"):
            explain(store, published, stock(store, published, STOCKS[0]))

    def test_one_member_and_a_calibration(self, store: Store) -> None:
        network = replace(made_network(MONTH, members=1), calibration=Calibration(-0.02, 1.0))
        publish_made(store, networks={"dfm1": network})
        published = read_model_month(store, MONTH)
        found = explain(store, published, stock(store, published, STOCKS[0]))
        assert (found.members, found.dispersion) == (1, 0.0)
        for parts in (found.factors, found.descriptors, found.remainders):
            assert {(each.dispersion, each.disputed) for each in parts} == {(0.0, False)}
        assert {(each.dispersion, each.disputed) for each in found.drivers} == {(0.0, False)}
        assert found.remainders[1].contribution == -0.02
        assert_adds_up(found)
