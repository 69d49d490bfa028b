"""Table 5 of the paper: what rank correlations say of the factors in the top quintile, beside what LRP says."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import kendalltau

from deepfactor.attribution.aggregation import absolute_shares
from deepfactor.attribution.tables import Explained
from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.features import FEATURES
from deepfactor.portfolio import QUINTILES, quintiles
from deepfactor.ranks import rank_correlation
from deepfactor.schemas import CORRELATIONS, FACTORS

_F64 = NDArray[np.float64]

# Two points always lie on a line.
_FEWEST = 3


def correlations_table(explained: Explained) -> pl.DataFrame:
    """Return ``schemas.CORRELATIONS``: by factor the mean over its descriptors of two rank correlations.

    Each is that of a descriptor at the as-of month with the prediction, Spearman's ρ and Kendall's τ-b, over the stocks
    of the top quintile that have the descriptor. A descriptor without a correlation, because it is known of fewer than
    three of them or is the same for all, is left out of the mean; null where all are.
    """
    names, account = explained.portfolios()
    shares = absolute_shares(account, "factor").values[names.index("top quintile")]
    rows = []
    for factor, share in zip(FACTORS, shares, strict=True):
        pairs = [_top_quintile(explained, name) for name in NAMES if FACTOR_OF[name] == factor]
        rows.append((factor, _mean(rank_correlation, pairs), _mean(_kendall, pairs), float(share)))
    schema = {"factor": pl.String, "spearman": pl.Float64, "kendall": pl.Float64, "share": pl.Float64}
    return explained.table(CORRELATIONS, pl.DataFrame(rows, schema=schema, orient="row"))


def _top_quintile(explained: Explained, descriptor: str) -> tuple[_F64, _F64]:
    """Return the descriptor and the predictions of the stocks of the top quintile that have it."""
    samples, column = explained.samples, FEATURES.index(f"{descriptor}@0")
    chosen = (quintiles(explained.rank) == QUINTILES) & samples.known[:, column]
    return samples.inputs[chosen, column].astype(np.float64), explained.account.prediction[chosen]


def _kendall(one: _F64, other: _F64) -> float | None:
    return float(kendalltau(one, other).statistic) if np.ptp(one) > 0 and np.ptp(other) > 0 else None


def _mean(correlation: Callable[[_F64, _F64], float | None], pairs: Iterable[tuple[_F64, _F64]]) -> float | None:
    each = [correlation(one, other) for one, other in pairs if len(one) >= _FEWEST]
    found = [value for value in each if value is not None]
    return float(np.mean(found)) if found else None
