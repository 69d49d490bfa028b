from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from deepfactor.config import TrainingConfig
from deepfactor.errors import ConfigurationError, TrainingError
from deepfactor.features import Samples
from deepfactor.models.registry import train_model
from tests.conftest import AS_OF

BRIEF = TrainingConfig(members=2, epochs=2)


def test_linear_is_scikit_learns(training: Samples) -> None:
    network = train_model("linear", AS_OF, training, BRIEF).network
    expected = LinearRegression().fit(training.inputs.astype(float), training.returns).predict(training.inputs)
    np.testing.assert_allclose(network.member_predictions(training.inputs)[0], expected, atol=1e-10)


@pytest.mark.parametrize("name", ["linear", "dfm1"])
def test_the_same_samples_give_the_same_bytes(name: str, training: Samples) -> None:
    first, second = (train_model(name, AS_OF, training, BRIEF) for _ in range(2))
    assert first.network.to_bytes() == second.network.to_bytes()
    assert json.dumps(first.card) == json.dumps(second.card)
    assert first.card["rows"] == len(training.returns)
    assert (first.card["first_training_month"], first.card["last_training_month"]) == ("2011-02", "2016-01")


def test_another_month_gives_other_weights(training: Samples) -> None:
    first = train_model("dfm1", AS_OF, training, BRIEF)
    second = train_model("dfm1", AS_OF + 1, training, BRIEF)
    assert first.network.to_bytes() != second.network.to_bytes()


class TestValidation:
    def test_unknown_model(self, training: Samples) -> None:
        with pytest.raises(ConfigurationError, match="no model 'gpt'; choose from dfm1"):
            train_model("gpt", AS_OF, training, BRIEF)

    def test_samples_are_checked(self, training: Samples) -> None:
        with pytest.raises(TrainingError, match="nothing to learn"):
            train_model("linear", AS_OF, replace(training, returns=np.zeros_like(training.returns)), BRIEF)
