"""Which of two models forecasts better, and how sure that is (Diebold and Mariano 1995)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.series import paired_series, varies

_F64 = NDArray[np.float64]


@dataclass(frozen=True)
class LossDifference:
    """The test of Diebold and Mariano (1995).

    Attributes
    ----------
    months
        Number of months.
    difference
        Mean loss of the first model less that of the second: negative where the first is better.
    standard_error
        Of the difference.
    statistic, p_value
        With the correction of Harvey, Leybourne and Newbold (1997), and its two-sided p, of Student's t; none where
        losses differ by the same in all months, as those of identical forecasts do.
    lower, upper
        Bounds of the 95 % interval of the difference, of Student's t.
    """

    months: int
    difference: float
    standard_error: float
    statistic: float | None
    p_value: float | None
    lower: float
    upper: float


def diebold_mariano(losses: _F64, other_losses: _F64) -> LossDifference | None:
    """Return whether one model forecasts the next month better than another.

    Of d_t, the difference of the two losses of month t, Diebold and Mariano's (1995) statistic for a horizon of h
    months is mean / √((γ_0 + 2 Σ_{j<h} γ_j) / T), γ_j being the autocovariances, divided by T. Harvey, Leybourne and
    Newbold (1997) multiply it by √((T + 1 − 2h + h (h − 1) / T) / T) and compare it with Student's t with T − 1 degrees
    of freedom. Forecasts are of one month, h = 1: no autocovariance, and √((T − 1) / T), which together is the t of a
    paired comparison. Where differences of losses resemble those of months before, ``significance.mean_test`` of them
    allows for it.

    Parameters
    ----------
    losses, other_losses
        Shape (T,), of the same months: for absolute errors a month's mean absolute error, for squared errors its mean
        squared error (RMSE², not RMSE).

    Returns
    -------
    LossDifference or None
        None of fewer than ``FEWEST_MONTHS_FOR_T`` months.

    Raises
    ------
    SchemaError
        If losses are not finite numbers of the same months.
    """
    one, other = paired_series(losses, other_losses, "losses")
    months = len(one)
    if months < FEWEST_MONTHS_FOR_T:
        return None
    differences = one - other
    mean = float(differences.mean())
    if not varies(differences, beside=np.concatenate([one, other])):
        return LossDifference(months, mean, 0.0, None, None, mean, mean)
    statistic = mean / sqrt(float(differences.var()) / months) * sqrt((months - 1) / months)
    error = float(differences.std(ddof=1)) / sqrt(months)
    reach = float(stdtrit(months - 1, 0.975)) * error
    p_value = 2 * float(stdtr(months - 1, -abs(statistic)))
    return LossDifference(months, mean, error, statistic, p_value, mean - reach, mean + reach)
