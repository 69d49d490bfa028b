"""From the kernel's arrays to accounts by factor, descriptor or lag: signed contributions, and shares of their size.

The two are different types, and stay so: contributions add up to a prediction, shares add up to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deepfactor.attribution.relevance import Relevance
from deepfactor.descriptors import NAMES
from deepfactor.features import FEATURE_FACTORS, FEATURES
from deepfactor.months import LAGS
from deepfactor.schemas import FACTORS

_F64 = NDArray[np.float64]

Account = Literal["factor", "descriptor", "lag"]

# What each input is, in every account.
_LABELS: Mapping[Account, tuple[str, ...]] = {
    "factor": FEATURE_FACTORS,
    "descriptor": tuple(feature.split("@")[0] for feature in FEATURES),
    "lag": tuple(feature.split("@")[1] for feature in FEATURES),
}
ACCOUNTS: Mapping[Account, tuple[str, ...]] = {
    "factor": FACTORS,
    "descriptor": NAMES,
    "lag": tuple(str(lag) for lag in LAGS),
}
# One column for each name: 1 where the input belongs to it.
_MEMBERSHIP = {
    account: np.array([[label == name for name in ACCOUNTS[account]] for label in labels], dtype=np.float64)
    for account, labels in _LABELS.items()
}


@dataclass(frozen=True)
class Contributions:
    """Signed sums of relevance, in units of return: a row's values, bias, level and leak add up to its prediction.

    Attributes
    ----------
    names
        What the columns of ``values`` are.
    values, dispersion
        The ensemble's, and the standard deviation across its members, shape (n, names).
    disputed
        Whether two members give a contribution different signs, shape (n, names).
    bias, level, leak, prediction
        Shape (n,).
    """

    names: tuple[str, ...]
    values: _F64
    dispersion: _F64
    disputed: NDArray[np.bool_]
    bias: _F64
    level: _F64
    leak: _F64
    prediction: _F64


@dataclass(frozen=True)
class AbsoluteShares:
    """Parts of the sum of absolute relevances over the inputs: how much each matters, whatever its direction.

    Attributes
    ----------
    names
        What the columns are.
    values
        Shape (n, names); a row adds up to 1, or is 0 where no input contributes.
    dispersion
        Standard deviation of the members' shares, shape (n, names).
    """

    names: tuple[str, ...]
    values: _F64
    dispersion: _F64


def summed(inputs: _F64, by: Account) -> _F64:
    """Return sums over the inputs of each factor, descriptor or lag, shape (…, names), of inputs of shape (…, 80)."""
    sums: _F64 = inputs @ _MEMBERSHIP[by]
    return sums


def contributions(account: Relevance, by: Account) -> Contributions:
    """Sum relevance by factor, by descriptor (over lags) or by lag (over descriptors), for stocks or portfolios."""
    members = summed(account.member_inputs, by)
    return Contributions(
        names=ACCOUNTS[by],
        values=members.mean(axis=0),
        dispersion=members.std(axis=0),
        disputed=(members.max(axis=0) > 0) & (members.min(axis=0) < 0),
        bias=account.bias.sum(axis=1),
        level=account.level,
        leak=account.leak.sum(axis=1),
        prediction=account.prediction,
    )


def absolute_shares(account: Relevance, by: Account) -> AbsoluteShares:
    """Return what part of the absolute relevance lies with each factor, descriptor or lag (Figure 3 of the paper).

    A portfolio's are those of its own relevance, in which its stocks' have been added with their signs.
    """
    members = _shares(account.member_inputs, by)
    return AbsoluteShares(ACCOUNTS[by], _shares(account.inputs, by), members.std(axis=0))


def _shares(inputs: _F64, by: Account) -> _F64:
    sizes = summed(np.abs(inputs), by)
    total = sizes.sum(axis=-1, keepdims=True)
    shares: _F64 = np.divide(sizes, total, out=np.zeros_like(sizes), where=total > 0)
    return shares
