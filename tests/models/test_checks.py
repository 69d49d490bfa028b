from __future__ import annotations

import logging
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from deepfactor.descriptors import NAMES
from deepfactor.errors import TrainingError
from deepfactor.features import FEATURES, Samples
from deepfactor.models.checks import check_samples
from deepfactor.months import LAGS
from tests.conftest import AS_OF

_T = TypeVar("_T", np.float32, np.float64)


def _with(values: NDArray[_T], index: int, value: float) -> NDArray[_T]:
    changed = values.copy()
    changed.flat[index] = value
    return changed


def test_good_samples_pass_silently(training: Samples, caplog: pytest.LogCaptureFixture) -> None:
    check_samples(training, AS_OF, len(training.returns))
    assert caplog.records == []


class TestFeatures:
    @pytest.mark.parametrize(
        ("features", "message"),
        [
            (FEATURES[:-1], "lack ILLIQ@12 and have nothing besides"),
            ((*FEATURES, "PER@0"), "lack nothing and have PER@0 besides"),
            (("VOL@0", *FEATURES[1:]), "lack 60VOL@0 and have VOL@0 besides"),
            ((), "lack 60VOL@0, BETA@0, "),
            ((FEATURES[1], FEATURES[0], *FEATURES[2:]), "column 0 is BETA@0 instead of 60VOL@0"),
            (
                tuple(f"{name}@{lag}" for name in NAMES for lag in LAGS),
                "column 1 is 60VOL@3 instead of BETA@0",
            ),
        ],
        ids=["missing", "twice", "misspelt", "none", "exchanged", "descriptor-major"],
    )
    def test_other_names(self, training: Samples, features: tuple[str, ...], message: str) -> None:
        with pytest.raises(
            TrainingError, match=rf"samples of 2016-02 must have the 80 features in their order; .*{message}"
        ):
            check_samples(replace(training, features=features), AS_OF, 1)

    @pytest.mark.parametrize("columns", [0, 79, 81])
    def test_another_number_of_columns(self, training: Samples, columns: int) -> None:
        other = np.resize(training.inputs, (len(training.inputs), columns))
        with pytest.raises(TrainingError, match=rf"from 60VOL@0 to ILLIQ@12; the inputs have {columns} columns"):
            check_samples(replace(training, inputs=other), AS_OF, 1)


@pytest.mark.parametrize("rows", [0, 99])
def test_too_few_rows(training: Samples, rows: int) -> None:
    few = replace(
        training,
        months=training.months[:rows],
        security_ids=training.security_ids[:rows],
        inputs=training.inputs[:rows],
        returns=training.returns[:rows],
        exclusions={"no return in the month after": 7},
    )
    with pytest.raises(TrainingError, match=rf"2016-02 has {rows} training samples, 100 are needed .*month after': 7"):
        check_samples(few, AS_OF, 100)


class TestValues:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_an_input_names_feature_stock_and_month(self, training: Samples, value: float) -> None:
        bad = replace(training, inputs=_with(training.inputs, 81, value))
        with pytest.raises(
            TrainingError, match=rf"{value} in BETA@0 of {training.security_ids[1]}, 2011-02; descriptors"
        ):
            check_samples(bad, AS_OF, 1)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_return_names_stock_and_month(self, training: Samples, value: float) -> None:
        bad = replace(training, returns=_with(training.returns, -1, value))
        with pytest.raises(TrainingError, match=rf"return after 2016-01 of {training.security_ids[-1]} is {value};"):
            check_samples(bad, AS_OF, 1)

    def test_constant_returns(self, training: Samples) -> None:
        bad = replace(training, returns=np.full_like(training.returns, 0.25))
        with pytest.raises(TrainingError, match=r"all \d+ training returns of 2016-02 are 0\.25: nothing to learn"):
            check_samples(bad, AS_OF, 1)

    def test_a_constant_feature_is_only_told(self, training: Samples, caplog: pytest.LogCaptureFixture) -> None:
        inputs = training.inputs.copy()
        inputs[:, [0, 79]] = 0.0
        inputs[1:, 5] = 0.0  # one value differs
        with caplog.at_level(logging.WARNING):
            check_samples(replace(training, inputs=inputs), AS_OF, 1)
        assert [record.getMessage() for record in caplog.records] == [
            f"2016-02: the same in all {len(inputs)} training samples, so that nothing is learned from it: "
            "60VOL@0, ILLIQ@12"
        ]
