from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from deepfactor.config import TrainingConfig
from deepfactor.errors import ConfigurationError, HistoryError, IntegrityError, TrainingError
from deepfactor.features import FEATURES, Samples
from deepfactor.models.base import Network
from deepfactor.models.names import MODELS
from deepfactor.models.registry import read_model, train_model
from deepfactor.models.targets import Calibration, Target, calibrate, target_values
from deepfactor.objects import json_to_bytes
from tests.conftest import AS_OF

BRIEF = TrainingConfig(target="return", members=2, epochs=2, batch_size=32, learning_rate=0.001)


def test_linear_is_scikit_learns(training: Samples) -> None:
    model = train_model("linear", AS_OF, training, BRIEF).model
    expected = LinearRegression().fit(training.inputs.astype(float), training.returns).predict(training.inputs)
    np.testing.assert_allclose(model.member_predictions(training.inputs)[0], expected, atol=1e-10)


@pytest.mark.parametrize("target", ["excess", "rank"])
def test_a_score_is_mapped_back_to_a_return(target: Target, training: Samples) -> None:
    model = train_model("linear", AS_OF, training, replace(BRIEF, target=target)).model
    targets = target_values(training.returns, training.months, target)
    scores = LinearRegression().fit(training.inputs.astype(float), targets).predict(training.inputs)
    expected = calibrate(targets, training.returns, training.months)(scores)
    np.testing.assert_allclose(model.member_predictions(training.inputs)[0], expected, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_samples_give_the_same_bytes(name: str, training: Samples) -> None:
    first, second = (train_model(name, AS_OF, training, replace(BRIEF, target="rank")) for _ in range(2))
    assert first.model.to_bytes() == second.model.to_bytes()
    assert json_to_bytes(first.card) == json_to_bytes(second.card)
    assert first.card["weights_sha256"] == hashlib.sha256(first.model.to_bytes()).hexdigest()
    read = read_model(name, first.model.to_bytes())
    np.testing.assert_array_equal(
        read.member_predictions(training.inputs[:50]), first.model.member_predictions(training.inputs[:50])
    )


def test_another_month_gives_other_weights(training: Samples) -> None:
    first = train_model("dfm1", AS_OF, training, BRIEF)
    second = train_model("dfm1", AS_OF + 1, training, BRIEF)
    assert first.model.to_bytes() != second.model.to_bytes()


class TestCards:
    def test_a_network_says_what_decided_it(self, training: Samples) -> None:
        trained = train_model("dfm1", AS_OF, training, replace(BRIEF, target="rank"))
        card = trained.card
        assert isinstance(trained.model, Network)
        assert (card["model"], card["as_of"], card["target"]) == ("dfm1", "2016-02", "rank")
        assert (card["first_training_month"], card["last_training_month"]) == ("2011-02", "2016-01")
        assert card["rows"] == len(training.returns)
        assert card["rows_left_out"] == training.exclusions
        assert card["features"] == list(FEATURES)
        assert Calibration(**card["calibration"]) == trained.model.calibration
        assert card["inputs_sha256"] == hashlib.sha256(training.inputs.tobytes()).hexdigest()
        assert card["hyper_parameters"]["learning_rate"] == BRIEF.learning_rate
        assert len(card["seeds"]) == 2
        assert [len(curve) for curve in card["loss_by_member_and_epoch"]] == [2, 2]
        assert card["validation_figures"] is card["validation_loss_by_member_and_epoch"] is None
        assert {"python", "numpy", "scikit-learn"} <= set(card["versions"])
        assert card["training_figures"]["mean_squared_error"] < 2 * card["training_figures"]["variance_of_return"]

    def test_months_kept_for_validation_are_judged(self, training: Samples) -> None:
        card = train_model("dfm1", AS_OF, training, replace(BRIEF, validation_months=6)).card
        figures = card["validation_figures"]
        assert (figures["first_month"], figures["last_month"]) == ("2015-08", "2016-01")
        assert figures["rows"] == int((training.months > training.months.max() - 6).sum())
        assert -1 < figures["rank_ic"] < 1
        curves = card["validation_loss_by_member_and_epoch"]
        assert [int(np.argmin(curve)) + 1 for curve in curves] == card["kept_epoch_by_member"]

    def test_validation_months_change_nothing_that_is_learned_from_them(self, training: Samples) -> None:
        """Other returns in the kept months give the same weights, but for which epoch is kept."""
        once = replace(BRIEF, validation_months=6, epochs=1)
        last = training.months > training.months.max() - 6
        other = replace(training, returns=np.where(last, training.returns[::-1], training.returns))
        first, second = (train_model("dfm1", AS_OF, each, once) for each in (training, other))
        assert first.card["returns_sha256"] != second.card["returns_sha256"]
        assert first.model.to_bytes() == second.model.to_bytes()


class TestValidation:
    def test_unknown_model(self, training: Samples) -> None:
        with pytest.raises(ConfigurationError, match="no model 'gpt'; choose from dfm1"):
            train_model("gpt", AS_OF, training, BRIEF)
        with pytest.raises(ConfigurationError, match="no model 'gpt'; choose from dfm1"):
            read_model("gpt", b"")

    def test_samples_are_checked(self, training: Samples) -> None:
        with pytest.raises(TrainingError, match="nothing to learn"):
            train_model("linear", AS_OF, replace(training, returns=np.zeros_like(training.returns)), BRIEF)

    def test_a_target_that_is_the_same_for_all(self, training: Samples) -> None:
        """Every month has one return of its own: its ranks say nothing."""
        flat = replace(training, returns=(training.months % 7) / 100)
        with pytest.raises(TrainingError, match=r"all rank targets of 2016-02 are 0\.0: nothing to learn"):
            train_model("linear", AS_OF, flat, replace(BRIEF, target="rank"))

    def test_nothing_left_beside_validation(self, training: Samples) -> None:
        with pytest.raises(HistoryError, match="all 60 training months are among the last 60"):
            train_model("dfm1", AS_OF, training, replace(BRIEF, validation_months=60))

    @pytest.mark.parametrize(("name", "other"), [("linear", "forest"), ("svr", "linear"), ("forest", "svr")])
    def test_weights_of_another_model(self, name: str, other: str, training: Samples) -> None:
        body = train_model(other, AS_OF, training, BRIEF).model.to_bytes()
        with pytest.raises(IntegrityError):
            read_model(name, body)


def test_the_registry_loads_no_tensorflow() -> None:
    code = "import sys, deepfactor.models.registry; print('tensorflow' in sys.modules, 'sklearn' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]
