"""Table 5 of the paper: what rank correlations say of the factors in the top quintile, beside what LRP says."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from deepfactor.attribution.aggregation import absolute_shares
from deepfactor.attribution.tables import Explained
from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.features import FEATURES
from deepfactor.portfolio import QUINTILES, quintiles
from deepfactor.schemas import CORRELATIONS, FACTORS

# Two points always lie on a line.
_FEWEST = 3


def correlations_table(explained: Explained) -> pl.DataFrame:
    """Return ``schemas.CORRELATIONS``: by factor the mean over its descriptors of two rank correlations.

    Each is that of a descriptor at the as-of month with the prediction, Spearman's ρ and Kendall's τ-b, over the stocks
    of the top quintile that have the descriptor. A descriptor without a correlation, because it is known of fewer than
    three of them or is the same for all, is left out of the mean; null where all are.
    """
    samples, prediction = explained.samples, explained.account.prediction
    top = quintiles(explained.rank) == QUINTILES
    names, account = explained.portfolios()
    shares = absolute_shares(account, "factor").values[names.index("top quintile")]
    rows = []
    for factor, share in zip(FACTORS, shares, strict=True):
        columns = [FEATURES.index(f"{name}@0") for name in NAMES if FACTOR_OF[name] == factor]
        pairs = [
            (samples.inputs[rows_, column], prediction[rows_])
            for column in columns
            for rows_ in [top & samples.known[:, column]]
        ]
        rows.append((factor, _mean(spearmanr, pairs), _mean(kendalltau, pairs), float(share)))
    schema = {"factor": pl.String, "spearman": pl.Float64, "kendall": pl.Float64, "share": pl.Float64}
    return explained.table(CORRELATIONS, pl.DataFrame(rows, schema=schema, orient="row"))


def _mean(correlation: Any, pairs: list[tuple[NDArray[Any], NDArray[np.float64]]]) -> float | None:
    found = [
        float(correlation(one, other).statistic)
        for one, other in pairs
        if len(one) >= _FEWEST and np.ptp(one) > 0 and np.ptp(other) > 0
    ]
    return float(np.mean(found)) if found else None
