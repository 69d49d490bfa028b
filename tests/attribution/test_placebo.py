"""A placebo stays at the noise floor, and one that knows the label does not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from deepfactor.attribution.placebo import PLACEBO, check_placebo, with_descriptor, with_placebo
from deepfactor.config import Config, load_config
from deepfactor.descriptors import NAMES
from deepfactor.errors import TrainingError
from deepfactor.features import RankedPanel, prediction_samples, rank_panel, training_samples
from deepfactor.months import LAGS, Window
from deepfactor.ranks import centred_ranks
from tests.conftest import AS_OF

THRESHOLD = load_config().gates.maximum_placebo_ratio
WINDOW = Window(AS_OF)


@pytest.fixture(scope="module")
def ranked(described: pl.DataFrame) -> RankedPanel:
    return rank_panel(described, WINDOW)


def leaked(panel: RankedPanel) -> RankedPanel:
    """Return the panel with a placebo that is the rank of the next month's return: the label."""
    values = np.random.default_rng(1).uniform(-0.5, 0.5, panel.in_universe.shape)
    for month in range(len(panel.returns) - 1):
        known = panel.in_universe[month] & np.isfinite(panel.returns[month + 1])
        values[month, known] = centred_ranks(panel.returns[month + 1, known])
    return with_descriptor(panel, values.astype(np.float32))


class TestNoise:
    def test_uniform_and_of_its_own_in_every_month_and_stock(self, ranked: RankedPanel) -> None:
        panel = with_placebo(ranked, AS_OF)
        noise: NDArray[np.float64] = panel.ranks[..., -1][panel.in_universe].astype(np.float64)
        assert np.sort(noise) == pytest.approx(np.linspace(-0.5, 0.5, len(noise)), abs=0.02)
        months = [panel.ranks[index, panel.in_universe[index : index + 2].all(axis=0), -1] for index in range(60)]
        following = [
            panel.ranks[index + 1, panel.in_universe[index : index + 2].all(axis=0), -1] for index in range(60)
        ]
        assert abs(np.corrcoef(np.concatenate(months), np.concatenate(following))[0, 1]) < 0.05

    def test_it_follows_from_the_month(self, ranked: RankedPanel) -> None:
        once, again, other = (with_placebo(ranked, month).ranks[..., -1] for month in (AS_OF, AS_OF, AS_OF + 1))
        np.testing.assert_array_equal(once, again)
        assert (once != other).any()

    def test_a_stock_outside_the_universe_has_none(self, ranked: RankedPanel) -> None:
        panel = with_placebo(ranked, AS_OF)
        assert (panel.ranks[~panel.in_universe, -1] == 0).all()
        assert (panel.ranks[panel.in_universe, -1] != 0).mean() > 0.99

    def test_the_samples_are_the_same_with_a_column_more_at_every_lag(
        self, ranked: RankedPanel, small_config: Config
    ) -> None:
        panel = with_placebo(ranked, AS_OF)
        plain, more = (training_samples(each, WINDOW, small_config.universe) for each in (ranked, panel))
        np.testing.assert_array_equal(plain.security_ids, more.security_ids)
        np.testing.assert_array_equal(plain.months, more.months)
        assert plain.exclusions == more.exclusions
        laid = [name.startswith(PLACEBO) for name in more.features]
        assert [name for name in more.features if name.startswith(PLACEBO)] == [f"{PLACEBO}@{lag}" for lag in LAGS]
        np.testing.assert_array_equal(plain.inputs, more.inputs[:, ~np.array(laid)])
        for row in (0, 1234, len(more.inputs) - 1):
            month = int(more.months[row]) - panel.first_month.ordinal
            stock = int(np.searchsorted(panel.security_ids, more.security_ids[row]))
            assert more.inputs[row, laid].tolist() == [panel.ranks[month - lag, stock, -1] for lag in LAGS]


class TestRatio:
    @pytest.mark.parametrize("model", ["dfm1", "linear"])
    def test_noise_passes_and_the_label_does_not(self, ranked: RankedPanel, small_config: Config, model: str) -> None:
        noise = check_placebo(model, AS_OF, with_placebo(ranked, AS_OF), small_config)
        label = check_placebo(model, AS_OF, leaked(ranked), small_config)
        assert 0 < noise.value < THRESHOLD < label.value
        assert label.value > 3 * noise.value

    def test_it_is_the_share_beside_the_mean_share_of_the_others(
        self, ranked: RankedPanel, small_config: Config
    ) -> None:
        panel = with_placebo(ranked, AS_OF)
        found = check_placebo("linear", AS_OF, panel, small_config)
        shares = found.details["shares"]
        assert list(shares) == [*NAMES, PLACEBO]
        assert sum(shares.values()) == pytest.approx(1)
        assert found.value == pytest.approx(shares[PLACEBO] / np.mean([shares[name] for name in NAMES]))
        # By hand: the linear model's relevance is weight × input.
        lesson = training_samples(panel, WINDOW, small_config.universe)
        targets = np.empty(len(lesson.returns))
        for month in np.unique(lesson.months):
            targets[lesson.months == month] = centred_ranks(lesson.returns[lesson.months == month])
        design = np.column_stack([lesson.inputs.astype(float), np.ones(len(targets))])
        weights = np.linalg.lstsq(design, targets, rcond=None)[0][:-1]
        inputs = prediction_samples(panel, WINDOW, small_config.universe).inputs
        sizes = np.abs(inputs * weights).mean(axis=0)
        by_descriptor = [sizes[list(range(place, len(sizes), 17))].sum() for place in range(17)]
        assert [*shares.values()] == pytest.approx(np.array(by_descriptor) / np.sum(by_descriptor), rel=1e-6)

    def test_the_same_again(self, ranked: RankedPanel, small_config: Config) -> None:
        panel = with_placebo(ranked, AS_OF)
        first, second = (check_placebo("dfm1", AS_OF, panel, small_config).as_dict() for _ in range(2))
        assert first == second

    def test_it_is_one_network_trained_as_a_member_is(self, ranked: RankedPanel, small_config: Config) -> None:
        panel, training = with_placebo(ranked, AS_OF), small_config.training
        several, single, longer, stopped = (
            check_placebo("dfm1", AS_OF, panel, replace(small_config, training=each)).value
            for each in (
                training,
                replace(training, members=1),
                replace(training, epochs=4),
                replace(training, epochs=4, validation_months=12, patience=1),
            )
        )
        assert several == single != longer
        assert stopped not in (single, longer)

    def test_where_nothing_is_known_there_is_no_number(self, ranked: RankedPanel, small_config: Config) -> None:
        blind = replace(ranked, ranks=np.zeros_like(ranked.ranks))
        nothing = with_descriptor(blind, np.zeros(blind.in_universe.shape, np.float32))
        assert check_placebo("linear", AS_OF, nothing, small_config).as_dict() == {"value": None, "shares": None}
        assert math.isnan(check_placebo("linear", AS_OF, leaked(blind), small_config).value)

    def test_a_network_that_goes_wrong_is_told_from_the_published_one(
        self, ranked: RankedPanel, small_config: Config
    ) -> None:
        wild = replace(small_config, training=replace(small_config.training, learning_rate=1e6, attempts=1))
        with pytest.raises(TrainingError, match="the network beside dfm1 that has a placebo for a descriptor: 2016-02"):
            check_placebo("dfm1", AS_OF, with_placebo(ranked, AS_OF), wild)
