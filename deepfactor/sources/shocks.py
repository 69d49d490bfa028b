"""What happens to the simulated economy by chance: the market's moves, and each firm's own.

A firm's own shock has the same distribution around zero for every firm but for its scale, and is symmetric; what makes
returns skewed, rare jumps, is the same for all. So neither the mean nor the rank of a return depends on anything known
before, unless a premium is planted.
"""

from __future__ import annotations

import numpy as np

from deepfactor.sources.firms import SECTORS, Firms, Matrix, Vector

_CRISIS_EVERY = 100  # months, on average
_CRISIS = (-0.13, -0.06, -0.04)  # the market's first three months of one
_JUMP_CHANCE = 0.012  # a month
_LEAST_JUMP, _JUMP_SPREAD, _LARGEST_JUMP = 0.12, 0.32, 2.4


def draw_market(months: int, random: np.random.Generator) -> Vector:
    """Return the market's surprises: volatility in clusters, fat tails, a crisis every eight years or so."""
    noise, tail = random.normal(0, 1, months), random.standard_t(12, months) / np.sqrt(12 / 10)
    crisis, agitation = np.zeros(months), np.zeros(months)
    for start in np.flatnonzero(random.random(months) < 1 / _CRISIS_EVERY):
        crisis[start : start + len(_CRISIS)] = _CRISIS[: months - start]
        agitation[start : start + 8] = 0.3
    log_volatility = np.zeros(months)
    for month in range(1, months):
        log_volatility[month] = 0.88 * log_volatility[month - 1] + 0.12 * noise[month]
    surprises = np.clip(0.061 * np.exp(log_volatility + agitation) * tail, -0.17, 0.13) + crisis
    # A loading on the market is not rewarded, in this history neither.
    return np.asarray(surprises - surprises.mean()).round(6)


def draw_own(firms: Firms, market: Vector, random: np.random.Generator) -> Matrix:
    """Return each firm's own shocks (months × firms): sector, fat tails, volatility in clusters, jumps."""
    shape = (market.size, firms.entry.size)
    tails = np.clip(random.standard_t(5, shape) / np.sqrt(5 / 3), -7, 7)
    noise, common = random.normal(0, 1, shape), random.normal(0, 1, market.size)
    log_volatility = np.zeros(shape)
    for month in range(1, market.size):
        log_volatility[month] = 0.96 * log_volatility[month - 1] + 0.16 * noise[month] + 0.16 * common[month]
    # Firms differ more in months in which the market moves much.
    turbulence = np.clip(0.86 + 2.0 * np.abs(market), None, 1.4)
    own = np.clip(tails * firms.volatility * np.exp(log_volatility) * turbulence[:, None], -0.5, 0.5)
    sector = 0.02 * random.normal(0, 1, (market.size, SECTORS))
    return np.asarray(own + sector[:, firms.sector] + _jumps(shape, random))


def _jumps(shape: tuple[int, int], random: np.random.Generator) -> Matrix:
    """Return rare leaps, of the same chance and size for all firms, less what they are worth on average."""
    size = np.clip(_LEAST_JUMP + random.exponential(_JUMP_SPREAD, shape), None, _LARGEST_JUMP)
    mean = _LEAST_JUMP + _JUMP_SPREAD * (1 - np.exp((_LEAST_JUMP - _LARGEST_JUMP) / _JUMP_SPREAD))
    return np.asarray(np.where(random.random(shape) < _JUMP_CHANCE, size, 0.0) - _JUMP_CHANCE * mean)
