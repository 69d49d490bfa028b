"""The tables that are published of a model's predictions and of their accounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.attribution.aggregation import Account, absolute_shares, contributions
from deepfactor.attribution.relevance import Relevance
from deepfactor.descriptors import NAMES
from deepfactor.features import FEATURE_FACTORS, FEATURES, Samples
from deepfactor.months import LAGS, Month
from deepfactor.portfolio import quintile_portfolios, quintiles, ranks
from deepfactor.schemas import ATTRIBUTION, FACTORS, LEDGER, PORTFOLIOS, REMAINDERS, SHARES, SIGNALS, Table

RELEVANCE = Table(
    "relevance",
    ("model", "security_id"),
    {
        "month": pl.Date,
        "model": pl.String,
        "security_id": pl.String,
        **dict.fromkeys((*FEATURES, *REMAINDERS, "prediction"), pl.Float64),  # signed, in units of return
    },
)

# A row for each of ``FEATURES``.
_INPUTS = pl.DataFrame(
    {
        "lag": [lag for lag in LAGS for _ in NAMES],
        "descriptor": [name for _ in LAGS for name in NAMES],
        "factor": FEATURE_FACTORS,
    }
)

_SUMMED: tuple[Account, ...] = ("factor", "descriptor", "lag")


@dataclass(frozen=True)
class Explained:
    """One model's predictions of a month with their accounts.

    Attributes
    ----------
    month, model
        The as-of month, and the model's name.
    samples
        The stocks, in the order of the relevances.
    account
        Their relevances.
    """

    month: Month
    model: str
    samples: Samples
    account: Relevance

    def table(self, schema: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame as one of the published tables, with month and model."""
        return _published(self.month, self.model, schema, frame)

    @property
    def rank(self) -> NDArray[np.int64]:
        """Place of each stock by its prediction, 1 the highest, shape (n,)."""
        return ranks(self.account.prediction, self.samples.security_ids)

    def portfolios(self) -> tuple[tuple[str, ...], Relevance]:
        """Return names and relevance of the quintiles, the highest first, and of the long-short portfolio."""
        names, weights = quintile_portfolios(quintiles(self.rank))
        return names, self.account.portfolios(weights)


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
    return _published(month, model, SIGNALS, frame)


def ledger_table(explained: Explained) -> pl.DataFrame:
    """Return ``schemas.LEDGER``: signed contributions by factor, bias, level and leak; a row adds up."""
    summed = contributions(explained.account, "factor")
    columns = dict(zip(summed.names, summed.values.T, strict=True)) | _remainders(explained.account)
    return explained.table(LEDGER, pl.DataFrame({"security_id": explained.samples.security_ids, **columns}))


def relevance_table(explained: Explained) -> pl.DataFrame:
    """Return ``RELEVANCE``: a row per stock, a column per input; a row adds up."""
    columns = dict(zip(FEATURES, explained.account.inputs.T, strict=True)) | _remainders(explained.account)
    return explained.table(RELEVANCE, pl.DataFrame({"security_id": explained.samples.security_ids, **columns}))


def attribution_table(explained: Explained) -> pl.DataFrame:
    """Return ``schemas.ATTRIBUTION``: a row per stock and input."""
    samples, account = explained.samples, explained.account
    stocks, inputs = np.indices(account.inputs.shape).reshape(2, -1)
    # Strings are gathered by polars: from NumPy's they are slow to come.
    keys = [pl.DataFrame({"security_id": samples.security_ids})[stocks], _INPUTS[inputs]]
    values = {
        "input": samples.inputs.ravel(),
        "known": samples.known.ravel(),
        "relevance": account.inputs.ravel(),
        "dispersion": account.dispersion.ravel(),
    }
    return explained.table(ATTRIBUTION, pl.concat([*keys, pl.DataFrame(values)], how="horizontal"))


def portfolios_table(explained: Explained) -> pl.DataFrame:
    """Return ``schemas.PORTFOLIOS``: the accounts of the quintiles and of the long-short portfolio, in three ways."""
    names, account = explained.portfolios()
    parts = []
    for by in _SUMMED:
        summed = contributions(account, by)
        parts.append(_tidy(names, by, summed.names, summed.values, summed.dispersion))
    rest = np.stack(list(_remainders(account).values()), axis=1)
    members = (account.member_bias.sum(axis=2), account.member_leak.sum(axis=2), account.member_prediction)
    bias, leak, prediction = (each.std(axis=0) for each in members)
    spread = np.stack([bias, np.zeros_like(bias), leak, prediction], axis=1)
    parts.append(_tidy(names, "remainder", (*REMAINDERS, "prediction"), rest, spread))
    return explained.table(PORTFOLIOS, pl.concat(parts))


def shares_table(explained: Explained) -> pl.DataFrame:
    """Return ``schemas.SHARES`` (Figure 3 of the paper), of the highest prediction and of three portfolios."""
    names, account = explained.portfolios()
    highest = account_of_highest(explained)
    groups = [("highest prediction", highest, 0)]
    groups += [(name, account, row) for row, name in enumerate(names) if not name.startswith("quintile")]
    frames = []
    for group, relevances, row in groups:
        share, signed = absolute_shares(relevances, "factor"), contributions(relevances, "factor")
        frames.append(
            pl.DataFrame(
                {
                    "group": [group] * len(FACTORS),
                    "factor": FACTORS,
                    "share": share.values[row],
                    "dispersion": share.dispersion[row],
                    "disputed": signed.disputed[row],
                }
            )
        )
    return explained.table(SHARES, pl.concat(frames))


def account_of_highest(explained: Explained) -> Relevance:
    """Return the relevance of the stock with the highest prediction, as a portfolio of its own."""
    return explained.account.portfolios((explained.rank == 1).astype(np.float64)[None])


def _remainders(account: Relevance) -> dict[str, NDArray[np.float64]]:
    return {
        "bias": account.bias.sum(axis=1),
        "level": account.level,
        "leak": account.leak.sum(axis=1),
        "prediction": account.prediction,
    }


def _tidy(
    portfolios: tuple[str, ...],
    by: str,
    names: tuple[str, ...],
    values: NDArray[np.float64],
    dispersion: NDArray[np.float64],
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "portfolio": np.repeat(portfolios, len(names)),
            "account": [by] * values.size,
            "name": names * len(portfolios),
            "contribution": values.ravel(),
            "dispersion": dispersion.ravel(),
        }
    )


def _published(month: Month, model: str, schema: Table, frame: pl.DataFrame) -> pl.DataFrame:
    stamped = frame.with_columns(month=pl.lit(month.first_day), model=pl.lit(model))
    return schema.check(stamped, f"{schema.name} of {model}")
