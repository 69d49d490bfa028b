"""How sure a mean, or an exposure to factors, is when months may resemble those before them (Newey and West 1987)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from deepfactor.errors import ConfigurationError, SchemaError
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.series import NOISE, finite_series, varies
from deepfactor.models.blas import one_thread

_F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its uncertainty.

    Attributes
    ----------
    value
        In the unit of what it was estimated from, a month.
    standard_error
        In the same unit.
    t, p_value
        Value over standard error, and the two-sided p of a true value of zero, by the reference distribution of t.
    lower, upper
        Bounds of the 95 % interval, by the same distribution.
    """

    value: float
    standard_error: float
    t: float
    p_value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class MeanTest:
    """The mean of a series by month, and the number of lags that its standard error allows for."""

    months: int
    lags: int
    mean: Estimate


@dataclass(frozen=True)
class Regression:
    """What a series has in common with factors, and what is left.

    Attributes
    ----------
    months, lags
        Number of months, and of lags that the standard errors allow for.
    alpha
        The constant, a month: what the factors do not explain.
    betas
        Coefficients, in the order of the factors.
    r_squared, adjusted_r_squared
        Share of the variance that the factors explain; the second is corrected for their number (Theil 1961).
    """

    months: int
    lags: int
    alpha: Estimate
    betas: tuple[Estimate, ...]
    r_squared: float
    adjusted_r_squared: float


def newey_west_lags(months: int) -> int:
    """Return floor(4 (T / 100)^(2/9)), Newey and West's (1994) rule for the Bartlett kernel in its usual short form."""
    return int(4 * (months / 100) ** (2 / 9))


def critical_t(months: int, lags: int | None = None) -> float:
    """Return what the t of ``mean_test`` must exceed, of either sign, for a p below 5 %.

    Raises
    ------
    ConfigurationError
        If lags are negative, or not fewer than months, or there are fewer than ``FEWEST_MONTHS_FOR_T``.
    """
    if months < FEWEST_MONTHS_FOR_T:
        raise ConfigurationError(f"no t is told of {months} months: {FEWEST_MONTHS_FOR_T} are needed")
    return _of_mean(months, _checked_lags(lags, months)).critical_t


def mean_test(values: _F64, lags: int | None = None) -> MeanTest | None:
    """Return the mean of a series with the standard error of Newey and West.

    With deviations e_t from the mean, the squared standard error is T / (T − 1) · Σ_j w_j Σ_t e_t e_{t−j} / T², j from
    −lags to lags, with Bartlett's weights w_j = 1 − |j| / (lags + 1) (Newey and West 1987). T / (T − 1) is the usual
    small-sample correction; without lags it is the ordinary standard error of a mean, and t that of Student.

    With lags that error varies more than the ordinary one and is too small on average, for the autocovariances of
    deviations from a sample's own mean are biased downwards (Kiefer and Vogelsang 2005): held against Student's t with
    T − 1 degrees of freedom, tests at 5 % of independent months without a mean reject 9 % at 12 months, 8 % at 30, and
    6 % at 120. So p and interval are those of Student's t with the degrees of freedom, and the scale, that the error
    has if months are independent and normal (Satterthwaite 1946; likewise Bell, McCaffrey 2002, and Imbens, Kolesár
    2016, of other robust errors). The critical t is within 1 % of Kiefer and Vogelsang's for a fixed share of lags from
    24 months on. Tests then reject 4½ % at 12 months and 5 % of more. Of months that resemble each other the error
    allows for so many lags only: with an autocorrelation of .3 they reject 8½ % at 12 and 24 months, 7½ % at 30 and 60
    (with T − 1 degrees 15, 12, 11 and 9 %); ``benchmarks/newey_west_size.py`` prints all of this.

    Parameters
    ----------
    values
        Shape (T,), of consecutive months.
    lags
        Number of lags; by default ``newey_west_lags(T)``.

    Returns
    -------
    MeanTest or None
        None of fewer than ``FEWEST_MONTHS_FOR_T`` months, or if all values are the same.

    Raises
    ------
    SchemaError
        If values are not a series of finite numbers.
    ConfigurationError
        If lags are negative, or not fewer than months.
    """
    series = finite_series(values, "the series")
    months = len(series)
    lags = _checked_lags(lags, months)
    if months < FEWEST_MONTHS_FOR_T or not varies(series):
        return None
    mean = series.mean()
    (variance,) = _variances(((series - mean) / months)[:, None], lags, months - 1)
    return MeanTest(months, lags, _estimate(mean, variance, _of_mean(months, lags))) if variance > 0 else None


def regression(returns: _F64, factors: _F64, lags: int | None = None) -> Regression | None:
    """Return the exposure of returns to factors by ordinary least squares, with the standard errors of Newey and West.

    Of returns_t = alpha + Σ_k beta_k factor_tk + e_t, the covariance of the coefficients is T / (T − K − 1) ·
    (X'X)⁻¹ · Σ_j w_j Σ_t e_t e_{t−j} x_t x'_{t−j} · (X'X)⁻¹, X being the factors and a constant, with the weights and
    lags of ``mean_test``. p and intervals are as there, each coefficient's with the degrees of freedom and the scale of
    its own error, given the factors.

    Parameters
    ----------
    returns
        Shape (T,), of consecutive months, as fractions.
    factors
        Shape (T, K), of the same months: what factors returned, in columns.
    lags
        Number of lags; by default ``newey_west_lags(T)``.

    Returns
    -------
    Regression or None
        None of fewer than ``FEWEST_MONTHS_FOR_T`` months more than factors; if a factor is constant or a combination of
        the others; if returns are constant, or nothing but a combination of the factors.

    Raises
    ------
    SchemaError
        If returns or factors are not finite numbers of the same months.
    ConfigurationError
        If lags are negative, or not fewer than months.
    """
    series = finite_series(returns, "the returns")
    columns = _checked_factors(factors, len(series))
    months, width = columns.shape
    lags = _checked_lags(lags, months)
    if months < FEWEST_MONTHS_FOR_T + width or not varies(series):
        return None
    design = np.column_stack([np.ones(months), columns])
    size = np.sqrt((design**2).sum(axis=0))
    if not size.all():
        return None
    with one_thread():
        left, singular, right = np.linalg.svd(design / size, full_matrices=False)
        if singular[-1] < NOISE * singular[0]:
            return None
        # What a month's return adds to each coefficient, shape (T, K + 1).
        pull = (left / singular) @ right / size
        coefficients = series @ pull
        residuals = series - design @ coefficients
        references = [_reference(left, each, lags) for each in pull.T]
    degrees = months - width - 1
    variances = _variances(pull * residuals[:, None], lags, degrees)
    if not varies(residuals, beside=series) or not (variances > 0).all():
        return None
    alpha, *betas = (_estimate(*each) for each in zip(coefficients, variances, references, strict=True))
    unexplained = float((residuals**2).sum() / ((series - series.mean()) ** 2).sum())
    adjusted = 1 - unexplained * (months - 1) / degrees
    return Regression(months, lags, alpha, tuple(betas), 1 - unexplained, adjusted)


@dataclass(frozen=True)
class _Reference:
    """What t is held against: ``scale`` × t is Student's with so many degrees of freedom."""

    degrees: float
    scale: float

    @property
    def critical_t(self) -> float:
        return float(stdtrit(self.degrees, 0.975)) / self.scale


@lru_cache(maxsize=256)
def _of_mean(months: int, lags: int) -> _Reference:
    with one_thread():
        return _reference(np.full((months, 1), months**-0.5), np.full(months, 1 / months), lags)


def _reference(basis: _F64, pull: _F64, lags: int) -> _Reference:
    """Return the distribution of a coefficient's t if residuals are independent and normal (Satterthwaite 1946).

    The squared standard error is a quadratic form of the residuals. A multiple of χ² has the same mean and variance.

    Parameters
    ----------
    basis
        Orthonormal columns that span what was regressed on, shape (T, K).
    pull
        What a month's residual adds to the coefficient, shape (T,).
    lags
        Of the standard error.
    """
    months, width = basis.shape
    apart = np.abs(np.subtract.outer(np.arange(months), np.arange(months)))
    form = np.clip(1 - apart / (lags + 1), 0, None) * np.outer(pull, pull)
    # Residuals are errors without their part in the basis, and so on both sides.
    form -= basis @ (basis.T @ form)
    form -= (form @ basis) @ basis.T
    mean, half_variance = float(np.trace(form)), float((form**2).sum())
    expected = mean * months / (months - width)
    return _Reference(mean**2 / half_variance, float(np.sqrt(expected / (pull**2).sum())))


def _estimate(value: float, variance: float, reference: _Reference) -> Estimate:
    error = float(np.sqrt(variance))
    t = float(value) / error
    p_value = 2 * float(stdtr(reference.degrees, -abs(t) * reference.scale))
    reach = reference.critical_t * error
    return Estimate(float(value), error, t, p_value, float(value) - reach, float(value) + reach)


def _variances(influence: _F64, lags: int, degrees: int) -> _F64:
    """Return the variances of the sums of influences, shape (T, K), that may be correlated over so many lags; (K,)."""
    total = (influence**2).sum(axis=0)
    for lag in range(1, lags + 1):
        total += 2 * (1 - lag / (lags + 1)) * (influence[lag:] * influence[:-lag]).sum(axis=0)
    return np.asarray(total * (len(influence) / degrees), dtype=np.float64)


def _checked_lags(lags: int | None, months: int) -> int:
    chosen = newey_west_lags(months) if lags is None else lags
    if lags is not None and not 0 <= lags < max(months, 1):
        raise ConfigurationError(f"{lags} lags of {months} months: give none or more, and fewer than months")
    return chosen


def _checked_factors(factors: _F64, months: int) -> _F64:
    columns = np.asarray(factors, dtype=np.float64)
    if columns.ndim != 2 or len(columns) != months or not columns.shape[1]:
        raise SchemaError(f"the factors: {months} rows of at least one factor are needed, not shape {columns.shape}")
    for place in range(columns.shape[1]):
        finite_series(columns[:, place], f"factor {place}")
    return columns
