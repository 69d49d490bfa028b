"""How sure a Sharpe ratio is: its standard error, and how probably it exceeds zero, or the best of many by luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import e, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from deepfactor.errors import ConfigurationError
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.series import finite_series, varies

_F64 = NDArray[np.float64]

_REACH = float(ndtri(0.975))


@dataclass(frozen=True)
class SharpeRatio:
    """A Sharpe ratio with its uncertainty.

    Attributes
    ----------
    months
        Number of returns.
    ratio, standard_error
        Annualised: those of months × √12.
    lower, upper
        Bounds of the 95 % interval, of the normal distribution, annualised.
    skewness, kurtosis
        Of monthly returns; the kurtosis is 3 for the normal distribution.
    probability
        Probabilistic Sharpe ratio: the confidence that the true ratio exceeds zero.
    """

    months: int
    ratio: float
    standard_error: float
    lower: float
    upper: float
    skewness: float
    kurtosis: float
    probability: float


@dataclass(frozen=True)
class DeflatedSharpeRatio:
    """How a Sharpe ratio stands against the best of many that are worth nothing.

    Attributes
    ----------
    months, trials
        Number of returns, and of portfolios that were tried.
    ratio
        The Sharpe ratio, annualised.
    threshold
        What the best of so many trials is expected to reach by luck, annualised.
    probability
        Deflated Sharpe ratio: the confidence that the true ratio exceeds the threshold.
    """

    months: int
    trials: int
    ratio: float
    threshold: float
    probability: float


def sharpe_ratio(returns: _F64) -> SharpeRatio | None:
    """Return the annualised Sharpe ratio of monthly returns with its uncertainty.

    The ratio is mean over sample standard deviation (Sharpe 1994; a portfolio of net zero needs no risk-free rate). Its
    standard error and probability are those of ``standard_error`` and ``probability_above``. Ratio and error of a month
    are multiplied by √12, which supposes that months do not depend on each other (Lo 2002).

    Parameters
    ----------
    returns
        Shape (T,), fractions a month.

    Returns
    -------
    SharpeRatio or None
        None of fewer than ``FEWEST_MONTHS_FOR_T`` months, or if returns are constant or their ratio has no standard
        error.

    Raises
    ------
    SchemaError
        If returns are not a series of finite numbers.
    """
    series = finite_series(returns, "the returns")
    if len(series) < FEWEST_MONTHS_FOR_T or not varies(series):
        return None
    ratio = float(series.mean() / series.std(ddof=1))
    standardised = (series - series.mean()) / series.std()
    skewness, kurtosis = float((standardised**3).mean()), float((standardised**4).mean())
    error = standard_error(ratio, len(series), skewness, kurtosis)
    if error is None:
        return None
    annual, annual_error = ratio * sqrt(12), error * sqrt(12)
    reach = _REACH * annual_error
    probability = float(ndtr(ratio / error))
    return SharpeRatio(
        len(series), annual, annual_error, annual - reach, annual + reach, skewness, kurtosis, probability
    )


def deflated_sharpe_ratio(
    returns: _F64, ratios: Sequence[float], trials: int | None = None
) -> DeflatedSharpeRatio | None:
    """Return the deflated Sharpe ratio of the best of several portfolios (Bailey and López de Prado 2014).

    It is ``probability_above`` the threshold that the best of so many trials reaches by luck, ``expected_maximum`` of
    the variance of the trials' ratios. The formula supposes that trials do not depend on each other. Portfolios of the
    same stocks do; of them the number is too severe, and the variance of their ratios, being small, too mild.

    Parameters
    ----------
    returns
        Shape (T,), fractions a month, of the portfolio that was chosen.
    ratios
        Annualised Sharpe ratios of the portfolios that were tried, the chosen one among them.
    trials
        Number of portfolios that were tried, if more than there are ratios of.

    Returns
    -------
    DeflatedSharpeRatio or None
        None where ``sharpe_ratio`` is.

    Raises
    ------
    SchemaError
        If returns or ratios are not finite numbers.
    ConfigurationError
        If there is no ratio, fewer trials than ratios, or one ratio of several trials.
    """
    known = finite_series(np.asarray(ratios), "the Sharpe ratios of the trials")
    number = len(known) if trials is None else trials
    if not len(known) or number < len(known):
        raise ConfigurationError(f"{number} trials with {len(known)} Sharpe ratios: give one at least, of each trial")
    if len(known) == 1 and number > 1:
        raise ConfigurationError(f"one Sharpe ratio of {number} trials does not say how they vary: give those of more")
    observed = sharpe_ratio(returns)
    if observed is None:
        return None
    threshold = expected_maximum(number, float(known.var(ddof=1)) if number > 1 else 0.0)
    probability = float(ndtr((observed.ratio - threshold) / observed.standard_error))
    return DeflatedSharpeRatio(observed.months, number, observed.ratio, threshold, probability)


def standard_error(ratio: float, periods: int, skewness: float, kurtosis: float) -> float | None:
    """Return the standard error of a Sharpe ratio, √((1 − γ₃ SR + (γ₄ − 1) / 4 · SR²) / (T − 1)); none if it is zero.

    It holds for independent returns of any distribution with four moments (Mertens 2002), and with a skewness γ₃ of 0
    and a kurtosis γ₄ of 3 is that of normal ones, √((1 + SR² / 2) / T) (Lo 2002). T − 1 in place of T is of Bailey and
    López de Prado (2012).

    Parameters
    ----------
    ratio
        Sharpe ratio of one period, not annualised, as is the standard error.
    periods
        T.
    skewness, kurtosis
        Of the returns of one period.
    """
    # A kurtosis is at least 1 + skewness², and then this is no less than zero but for rounding.
    spread = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return sqrt(spread / (periods - 1)) if spread > 0 else None


def probability_above(ratio: float, benchmark: float, periods: int, skewness: float, kurtosis: float) -> float | None:
    """Return the probabilistic Sharpe ratio, Φ((SR − benchmark) / standard error) (Bailey and López de Prado 2012).

    It is the confidence, of one side, that the true Sharpe ratio exceeds the benchmark; none where ``standard_error``
    is none, of which the parameters are, and their unit.
    """
    error = standard_error(ratio, periods, skewness, kurtosis)
    return None if error is None else float(ndtr((ratio - benchmark) / error))


def expected_maximum(trials: int, variance: float) -> float:
    """Return what the best of several Sharpe ratios, truly all zero, is expected to be.

    √V ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))), γ being Euler's constant (Bailey and López de Prado 2014, who
    approximate the maximum of N normal variables: of two by 8 % too little, of more within 3 %). Of one trial
    it is 0.

    Parameters
    ----------
    trials
        N, independent of each other.
    variance
        V, of the trials' ratios; the unit of the result is that of its root.
    """
    if trials < 1 or variance < 0:
        raise ConfigurationError(f"{trials} trials with a variance of {variance}: at least 1, and no less than 0")
    if trials == 1:
        return 0.0
    highest = (1 - np.euler_gamma) * ndtri(1 - 1 / trials) + np.euler_gamma * ndtri(1 - 1 / (trials * e))
    return float(sqrt(variance) * highest)
