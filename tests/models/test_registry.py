from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
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


def _with(values: NDArray[np.float64], index: int, value: float) -> NDArray[np.float64]:
    changed = values.copy()
    changed.flat[index] = value
    return changed


class TestValidation:
    def test_unknown_model(self, training: Samples) -> None:
        with pytest.raises(ConfigurationError, match="no model 'gpt'; choose from dfm1"):
            train_model("gpt", AS_OF, training, BRIEF)

    def test_a_nan_names_feature_stock_and_month(self, training: Samples) -> None:
        bad = replace(training, inputs=_with(training.inputs, 81, np.nan))  # type: ignore[arg-type]
        with pytest.raises(TrainingError, match=rf"nan in BETA@0 of {training.security_ids[1]}, 2011-02"):
            train_model("linear", AS_OF, bad, BRIEF)

    def test_an_infinite_return(self, training: Samples) -> None:
        bad = replace(training, returns=_with(training.returns, 0, np.inf))
        with pytest.raises(TrainingError, match=rf"return after 2011-02 of {training.security_ids[0]} is inf"):
            train_model("linear", AS_OF, bad, BRIEF)

    def test_constant_returns(self, training: Samples) -> None:
        with pytest.raises(TrainingError, match="nothing to learn"):
            train_model("linear", AS_OF, replace(training, returns=np.zeros_like(training.returns)), BRIEF)
