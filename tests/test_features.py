from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from deepfactor.config import UniverseConfig
from deepfactor.descriptors import DESCRIPTORS, NAMES
from deepfactor.errors import HistoryError, SchemaError
from deepfactor.features import (
    FEATURES,
    Samples,
    centred_rank,
    prediction_samples,
    rank_panel,
    training_samples,
)
from deepfactor.months import LAGS, Month, Window
from tests.conftest import AS_OF

WINDOW = Window(AS_OF)
FEW = UniverseConfig(minimum_stocks=20)


class TestRank:
    @given(st.lists(st.one_of(st.none(), st.integers(-3, 3).map(float)), min_size=1, max_size=30))
    def test_against_scipy(self, values: list[float | None]) -> None:
        found = pl.DataFrame({"x": values}, schema={"x": pl.Float64}).select(centred_rank("x"))["x"]
        known = [value for value in values if value is not None]
        expected = (rankdata(known) - 1) / max(len(known) - 1, 1) - 0.5 if len(known) > 1 else np.zeros(len(known))
        assert found.is_null().to_list() == [value is None for value in values]
        np.testing.assert_allclose(found.drop_nulls().to_numpy(), expected, atol=1e-15)

    def test_frozen(self) -> None:
        found = pl.DataFrame({"x": [10.0, 30.0, None, 20.0, 20.0, 50.0]}).select(centred_rank("x"))["x"]
        assert found.to_list() == [-0.5, 0.25, None, -0.125, -0.125, 0.5]


class TestSamples:
    def test_names_are_lag_major(self) -> None:
        assert (len(FEATURES), FEATURES[0], FEATURES[15], FEATURES[16], FEATURES[-1]) == (
            80,
            "60VOL@0",
            "ILLIQ@0",
            "60VOL@3",
            "ILLIQ@12",
        )

    def test_inputs_and_labels_against_a_slow_reading_of_the_table(
        self, described: pl.DataFrame, training: Samples
    ) -> None:
        ranked = described.filter("in_universe").with_columns(centred_rank(name).over("month") for name in NAMES)
        lookup = {(row["month"], row["security_id"]): row for row in ranked.iter_rows(named=True)}
        returns = {(row["month"], row["security_id"]): row["total_return"] for row in described.iter_rows(named=True)}
        for index in np.random.default_rng(1).choice(len(training.returns), 50, replace=False):
            month, security = Month(int(training.months[index])), str(training.security_ids[index])
            expected = [
                (lookup.get(((month + -lag).first_day, security)) or {}).get(name) or 0.0
                for lag in LAGS
                for name in NAMES
            ]
            np.testing.assert_allclose(training.inputs[index], expected, atol=1e-7)
            assert training.returns[index] == returns[(month + 1).first_day, security]

    def test_known_says_which_inputs_are_ranks(self, described: pl.DataFrame, training: Samples) -> None:
        present = described.filter("in_universe")
        lookup = {(row["month"], row["security_id"]): row for row in present.iter_rows(named=True)}
        assert training.known.shape == training.inputs.shape
        for index in np.random.default_rng(2).choice(len(training.returns), 50, replace=False):
            month, security = Month(int(training.months[index])), str(training.security_ids[index])
            rows = [lookup.get(((month + -lag).first_day, security)) for lag in LAGS]
            expected = [row is not None and row[name] is not None for row in rows for name in NAMES]
            assert training.known[index].tolist() == expected
        assert 0.5 < training.known.mean() < 1
        assert (training.inputs[~training.known] == 0).all()

    def test_every_stock_month_is_either_a_sample_or_counted(self, described: pl.DataFrame, training: Samples) -> None:
        first, last = WINDOW.first_training.first_day, WINDOW.last_training.first_day
        in_universe = described.filter("in_universe", pl.col("month").is_between(first, last)).height
        left_out = training.exclusions["fewer than the minimum of descriptors"]
        assert in_universe == len(training.returns) + left_out + training.exclusions["no return in the month after"]

    def test_the_newest_label_is_the_as_of_months_return(self, training: Samples) -> None:
        assert Month(int(training.months.max())) == WINDOW.last_training
        assert Month(int(training.months.min())) == WINDOW.first_training

    def test_inputs_are_ranks(self, training: Samples) -> None:
        assert training.inputs.dtype == np.float32
        assert np.abs(training.inputs).max() <= 0.5
        assert np.isfinite(training.returns).all()

    @settings(max_examples=10, deadline=None)
    @given(power=st.integers(-20, 20), name=st.sampled_from(NAMES))
    def test_only_the_order_counts(self, described: pl.DataFrame, power: int, name: str) -> None:
        # A power of two changes no digit, so it keeps every order and every tie.
        stretched = described.with_columns(pl.col(name) * 2.0**power)
        before = prediction_samples(rank_panel(described, WINDOW), WINDOW, FEW)
        after = prediction_samples(rank_panel(stretched, WINDOW), WINDOW, FEW)
        np.testing.assert_array_equal(before.inputs, after.inputs)


class TestHoles:
    def test_a_lag_is_a_calendar_month(self) -> None:
        """A stock without a row three months ago is the median there; it does not borrow an older month."""
        rows = [
            {"month": (AS_OF + -lag).first_day, "security_id": security, "in_universe": True, "total_return": 0.0}
            | dict.fromkeys(NAMES, float(rank))
            for lag in range(13)
            for rank, security in enumerate("abc")
            if not (security == "c" and lag == 3)
        ]
        frame = pl.DataFrame(rows, schema=dict(DESCRIPTORS.columns))
        samples = prediction_samples(rank_panel(frame, WINDOW), WINDOW, UniverseConfig(minimum_stocks=1))
        assert samples.inputs[2].reshape(5, 16)[:, 0].tolist() == [0.5, 0.0, 0.5, 0.5, 0.5]
        assert samples.known[2].reshape(5, 16)[:, 0].tolist() == [True, False, True, True, True]
        # The middle stock is the median too, and known to be.
        assert samples.inputs[1].reshape(5, 16)[:, 0].tolist() == [0.0, 0.5, 0.0, 0.0, 0.0]
        assert samples.known[1].all()

    def test_too_few_descriptors_leave_a_stock_out(self) -> None:
        rows = [
            {"month": AS_OF.first_day, "security_id": security, "in_universe": True, "total_return": 0.0}
            | dict.fromkeys(NAMES[:known], 1.0)
            for security, known in [("a", 12), ("b", 11)]
        ]
        frame = pl.DataFrame(rows, schema=dict(DESCRIPTORS.columns))
        samples = prediction_samples(rank_panel(frame, WINDOW), WINDOW, UniverseConfig(minimum_stocks=1))
        assert samples.security_ids.tolist() == ["a"]
        assert samples.exclusions["fewer than the minimum of descriptors"] == 1


class TestValidation:
    def test_a_thin_month_is_named(self, described: pl.DataFrame) -> None:
        thin = described.filter((pl.col("month") != date(2013, 5, 1)) | (pl.col("security_id") == "none"))
        with pytest.raises(HistoryError, match=r"2013-04 has 0 stocks .* a return in the month after, 20 are needed"):
            training_samples(rank_panel(thin, WINDOW), WINDOW, FEW)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda frame: frame.drop("PER"), r"lacks \['PER'\]"),
            (lambda frame: frame.with_columns(EPS=pl.lit(1.0)), r"unknown columns \['EPS'\]"),
            (lambda frame: frame.with_columns(pl.col("PER").cast(pl.Float32)), "'PER': 'Float32 instead of Float64'"),
            (lambda frame: frame.vstack(frame[:1]), "share their key"),
        ],
        ids=["missing", "unknown", "type", "twice"],
    )
    def test_another_table(
        self, described: pl.DataFrame, change: Callable[[pl.DataFrame], pl.DataFrame], message: str
    ) -> None:
        with pytest.raises(SchemaError, match=f"the descriptors for 2016-02: .*{message}"):
            rank_panel(change(described), WINDOW)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("name", ["total_return", "60VOL", "ILLIQ"])
    def test_no_rank_hides_what_is_not_a_number(self, described: pl.DataFrame, name: str, value: float) -> None:
        row = described.row(1000, named=True)
        here = (pl.col("month") == row["month"]) & (pl.col("security_id") == row["security_id"])
        bad = described.with_columns(pl.when(here).then(value).otherwise(name).alias(name))
        where = f"{name} of {row['security_id']} in {row['month']:%Y-%m} is {value}"
        with pytest.raises(SchemaError, match=where):
            rank_panel(bad, WINDOW)


def test_some_of_the_samples_without_returns(training: Samples) -> None:
    newest = replace(training, returns=np.empty(0)).where(training.months == training.months.max())
    assert len(newest.inputs) > 0
    assert len(newest.returns) == 0


def test_some_of_the_samples(training: Samples) -> None:
    newest = training.months == training.months.max()
    some = training.where(newest)
    assert len(some.returns) == len(some.inputs) == len(some.security_ids) == newest.sum() > 0
    assert set(some.months) == {training.months.max()}
    np.testing.assert_array_equal(some.inputs, training.inputs[newest])
    np.testing.assert_array_equal(some.known, training.known[newest])
    assert (some.exclusions, some.features) == (training.exclusions, training.features)
