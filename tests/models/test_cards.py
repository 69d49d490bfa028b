from __future__ import annotations

import numpy as np
import pytest

from deepfactor.features import Samples
from deepfactor.models.base import Network
from deepfactor.models.cards import figures, measured
from deepfactor.months import Month


def samples(returns: list[float], months: list[str], first_input: list[float]) -> Samples:
    inputs = np.zeros((len(returns), 80), np.float32)
    inputs[:, 0] = first_input
    ordinals = np.array([Month.parse(month).ordinal for month in months])
    return Samples(ordinals, np.array(["a"] * len(returns)), inputs, np.array(returns), inputs != 0, {})


def test_figures_by_hand() -> None:
    kernel = np.zeros((1, 80, 1))
    kernel[0, 0, 0] = 0.5
    model = Network((kernel,), (np.array([[0.1]]),))
    told = figures(
        model, samples([0.1, 0.3, 0.2, 0.0], ["2016-01", "2016-01", "2016-02", "2016-02"], [0.0, 0.4, -0.2, 0.2])
    )
    # Forecasts .1, .3, 0 and .2: right in the first month, the other way round in the second.
    assert told == {
        "first_month": "2016-01",
        "last_month": "2016-02",
        "rows": 4,
        "mean_squared_error": pytest.approx(0.02),
        "variance_of_return": pytest.approx(0.0125),
        "rank_ic": pytest.approx(0.0),
    }


def test_what_is_measured_is_plausible() -> None:
    told = measured(2.5)
    assert told["seconds"] == 2.5
    assert 50e6 < told["peak_memory_bytes"] < 100e9
