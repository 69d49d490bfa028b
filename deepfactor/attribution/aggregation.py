"""From the kernel's arrays to accounts that people read: tables by input, by factor, and Figure 3."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.attribution.relevance import Relevance
from deepfactor.descriptors import FACTOR_OF, NAMES
from deepfactor.features import FEATURE_FACTORS, FEATURES
from deepfactor.months import LAGS, Month
from deepfactor.portfolio import QUINTILES, quintiles, ranks
from deepfactor.schemas import ATTRIBUTION, FACTORS, LEDGER, SHARES, SIGNALS

# One column per factor: 1 where the feature belongs to it.
_MEMBERSHIP = np.array([[feature == factor for factor in FACTORS] for feature in FEATURE_FACTORS], dtype=np.float64)


def signals_table(
    month: Month, model: str, security_ids: NDArray[np.str_], member_predictions: NDArray[np.float64]
) -> pl.DataFrame:
    """Return ``schemas.SIGNALS`` of one model: prediction, its dispersion over the members, rank and quintile.

    Parameters
    ----------
    month, model, security_ids
        The as-of month, the model's name, and the stocks, shape (n,).
    member_predictions
        In units of return, shape (members, n); the prediction is their mean.
    """
    prediction = member_predictions.mean(axis=0)
    rank = ranks(prediction, security_ids)
    frame = pl.DataFrame(
        {
            "security_id": security_ids,
            "prediction": prediction,
            "dispersion": member_predictions.std(axis=0),
            "rank": rank,
            "quintile": quintiles(rank),
        }
    )
    return SIGNALS.check(_stamped(frame, month, model), f"signals of {model}")


def ledger_table(month: Month, model: str, security_ids: NDArray[np.str_], account: Relevance) -> pl.DataFrame:
    """Return ``schemas.LEDGER`` of one model: signed contributions by factor, bias and leak; a row adds up."""
    by_factor = account.inputs @ _MEMBERSHIP
    frame = pl.DataFrame(
        {
            "security_id": security_ids,
            **{factor: by_factor[:, column] for column, factor in enumerate(FACTORS)},
            "bias": account.bias.sum(axis=1),
            "leak": account.leak.sum(axis=1),
            "prediction": account.prediction,
        }
    )
    return LEDGER.check(_stamped(frame, month, model), f"ledger of {model}")


def attribution_table(month: Month, model: str, security_ids: NDArray[np.str_], account: Relevance) -> pl.DataFrame:
    """Return ``schemas.ATTRIBUTION`` of one model: a row per stock and input."""
    stocks = len(security_ids)
    frame = pl.DataFrame(
        {
            "security_id": np.repeat(security_ids, len(FEATURES)),
            "lag": np.tile(np.repeat(np.array(LAGS, dtype=np.int64), len(NAMES)), stocks),
            "descriptor": np.tile(np.array(NAMES), len(LAGS) * stocks),
            "factor": np.tile(np.array([FACTOR_OF[name] for name in NAMES]), len(LAGS) * stocks),
            "relevance": account.inputs.ravel(),
            "dispersion": account.dispersion.ravel(),
        }
    )
    return ATTRIBUTION.check(_stamped(frame, month, model), f"attribution of {model}")


def shares_table(month: Month, model: str, security_ids: NDArray[np.str_], account: Relevance) -> pl.DataFrame:
    """Return ``schemas.SHARES`` of one model (Figure 3 of the paper).

    The top quintile's relevance is the equal-weighted mean of its stocks', as of any portfolio; the share of a factor
    is its part of the sum of absolute relevances over the inputs.
    """
    rank = ranks(account.prediction, security_ids)
    groups = {"highest prediction": rank == 1, "top quintile": quintiles(rank) == QUINTILES}
    rows = []
    for group, chosen in groups.items():
        share = absolute_shares(account.inputs[chosen].mean(axis=0))
        members = np.stack([absolute_shares(each[chosen].mean(axis=0)) for each in account.member_inputs])
        rows += [
            (group, factor, float(share[column]), float(members[:, column].std()))
            for column, factor in enumerate(FACTORS)
        ]
    frame = pl.DataFrame(rows, schema=["group", "factor", "share", "dispersion"], orient="row")
    return SHARES.check(_stamped(frame, month, model), f"shares of {model}")


def absolute_shares(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each factor's part of the sum of absolute relevances, shape (5,); zeros where no input contributes.

    Parameters
    ----------
    inputs
        Relevance of each feature, shape (80,).
    """
    by_factor: NDArray[np.float64] = np.abs(inputs) @ _MEMBERSHIP
    total = by_factor.sum()
    return by_factor / total if total > 0 else by_factor


def _stamped(frame: pl.DataFrame, month: Month, model: str) -> pl.DataFrame:
    return frame.with_columns(month=pl.lit(month.first_day), model=pl.lit(model))
