"""What happens to the simulated economy by chance: the market's moves, and each firm's own.

A firm's own shock has the same distribution around zero for every firm but for its scale, and is symmetric; what makes
returns skewed, rare jumps, is the same for all. So neither the mean nor the rank of a return depends on anything known
before, unless a premium is planted.
"""

from __future__ import annotations

import numpy as np

from deepfactor.sources.firms import SECTORS, Firms, Matrix, Vector

_MARKET_VOLATILITY = 0.054  # a month
_CRISIS_EVERY = 100  # months
_CRISIS = (-0.21, -0.07, -0.02)  # the market's first three months of one
_COMMON, _EACH = 0.5, 0.64  # deviations of the logarithm of volatility: of all firms alike, of each
_JUMP_CHANCE = 0.012  # a month
_LEAST_JUMP, _JUMP_SPREAD, _LARGEST_JUMP = 0.13, 0.3, 2.2


def draw_market(months: int, random: np.random.Generator) -> Vector:
    """Return the market's surprises: volatility in clusters, fat tails, a crisis every eight years or so."""
    tail = random.standard_t(20, months)
    crisis, agitation = np.zeros(months), np.zeros(months)
    for start in _CRISIS_EVERY * np.arange(months // _CRISIS_EVERY + 1) + random.integers(12, _CRISIS_EVERY):
        crisis[start : start + len(_CRISIS)] = _CRISIS[: max(months - start, 0)]
        agitation[start : start + 8] = 0.2
    log_volatility = _persistent(random.normal(0, 1, (months, 1)), 0.88)[:, 0]
    usual = tail * np.exp(0.3 * log_volatility + agitation)
    usual = np.clip(_MARKET_VOLATILITY * usual / usual.std(), -0.14, 0.115)
    surprises = np.where(crisis < 0, 0.25 * usual, usual) + crisis
    # A loading on the market is not rewarded, in this history neither.
    return np.asarray(surprises - surprises.mean()).round(6)


def draw_own(firms: Firms, market: Vector, random: np.random.Generator) -> Matrix:
    """Return each firm's own shocks (months × firms): sector, fat tails, volatility in clusters, jumps."""
    shape = (market.size, firms.entry.size)
    tails = np.clip(random.standard_t(5, shape) / np.sqrt(5 / 3), -7, 7)
    common = _persistent(random.normal(0, 1, (market.size, 1)), 0.93)
    common -= common.mean()
    each = _persistent(random.normal(0, 1, shape), 0.96)
    # The mean of the squares of exp(x) is exp(2 var x).
    clustered = np.exp(_COMMON * common + _EACH * each - _EACH**2)
    # Firms differ more in months in which the market moves much.
    turbulence = np.clip(0.86 + 2.0 * np.abs(market), None, 1.4)
    own = np.clip(tails * firms.volatility * clustered * turbulence[:, None], -0.5, 0.5)
    sector = 0.02 * random.normal(0, 1, (market.size, SECTORS))
    return np.asarray(own + sector[:, firms.sector] + _jumps(shape, random))


def _persistent(noise: Matrix, persistence: float) -> Matrix:
    """Return autoregressive series of variance 1, in each column one."""
    series = noise.copy()
    for month in range(1, len(noise)):
        series[month] = persistence * series[month - 1] + np.sqrt(1 - persistence**2) * noise[month]
    return series


def _jumps(shape: tuple[int, int], random: np.random.Generator) -> Matrix:
    """Return rare leaps, of the same chance and size for all firms, less what they are worth on average."""
    size = np.clip(_LEAST_JUMP + random.exponential(_JUMP_SPREAD, shape), None, _LARGEST_JUMP)
    mean = _LEAST_JUMP + _JUMP_SPREAD * (1 - np.exp((_LEAST_JUMP - _LARGEST_JUMP) / _JUMP_SPREAD))
    return np.asarray(np.where(random.random(shape) < _JUMP_CHANCE, size, 0.0) - _JUMP_CHANCE * mean)
