"""Why a prediction moved from one month to the next: what changed in the stock, and what changed in the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deepfactor.attribution.aggregation import contributions
from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.attribution.rules import Rule
from deepfactor.models.base import Network
from deepfactor.models.blas import one_thread
from deepfactor.schemas import FACTORS, REMAINDERS

_F64 = NDArray[np.float64]

ACCOUNTS = (*FACTORS, *REMAINDERS)


@dataclass(frozen=True)
class CrossSection:
    """The stocks of a month with the model that was trained for it.

    Attributes
    ----------
    security_ids
        Sorted, shape (n,).
    inputs
        ``FEATURES`` in order, shape (n, 80).
    network
        The month's model.
    rules
        One for each of its layers.
    """

    security_ids: NDArray[np.str_]
    inputs: NDArray[np.float32]
    network: Network
    rules: Sequence[Rule]

    @cached_property
    def account(self) -> Relevance:
        """The month's predictions by its own model."""
        return self.explained_by(self)

    def explained_by(self, other: CrossSection) -> Relevance:
        """Return what another month's model, with that month's rules, says of this month's stocks.

        Of all of them at once: LRP-ε depends on the whole cross-section.
        """
        # What BLAS gives depends on the number of its threads.
        with one_thread():
            return relevance(other.network, self.inputs, other.rules)

    def places(self, security_ids: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the rows of some stocks, shape (k,), and which of them are here at all, shape (k,)."""
        rows = np.searchsorted(self.security_ids, security_ids).clip(max=len(self.security_ids) - 1)
        return rows, self.security_ids[rows] == security_ids


@dataclass(frozen=True)
class Change:
    """The change of portfolios' accounts, with the same weights in both months; a single stock is one of them.

    ``after = before + inputs + model``, account by account; the prediction moved by the sum of all, and ``entering``.

    Attributes
    ----------
    before, after
        ``ACCOUNTS`` in both months, of the stocks that are in both, shape (portfolios, 8), in units of return.
    inputs
        What came of changed inputs, shape (portfolios, 8).
    model
        What came of changed weights of the model, shape (portfolios, 8).
    entering
        This month's prediction of what was not there last month, shape (portfolios,).
    entered
        Number of such stocks, shape (portfolios,).
    """

    before: _F64
    after: _F64
    inputs: _F64
    model: _F64
    entering: _F64
    entered: NDArray[np.int64]

    def table(self, portfolio: int = 0) -> pl.DataFrame:
        """Return one portfolio's change: ``account``, ``before``, ``inputs``, ``model``, ``after``, a row each."""
        columns = {name: getattr(self, name)[portfolio] for name in ("before", "inputs", "model", "after")}
        return pl.DataFrame({"account": ACCOUNTS, **columns})


def accounts(account: Relevance) -> _F64:
    """Return ``ACCOUNTS`` of every stock or portfolio, shape (n, 8)."""
    summed = contributions(account, "factor")
    return np.column_stack([summed.values, summed.bias, summed.level, summed.leak])


def change(before: CrossSection, after: CrossSection, weights: _F64) -> Change:
    """Split the change of portfolios' accounts into what changed in the stocks and what changed in the model.

    Each part is the mean of what it does alone and of what it does after the other: the Shapley value of a game of two
    players (Shapley 1953, "A value for n-person games"), so that it does not matter which is said to come first.

    Parameters
    ----------
    before, after
        Last month and this.
    weights
        Of this month's stocks in each portfolio, shape (portfolios, n). A stock that was not there last month is in no
        account but ``entering``.
    """
    rows, stayed = before.places(after.security_ids)
    entered = (weights != 0) & ~stayed
    kept = np.where(stayed, weights, 0.0)
    earlier = np.zeros((len(weights), len(before.security_ids)))
    earlier[:, rows[stayed]] = weights[:, stayed]
    with one_thread():
        old_old, new_old = (accounts(each.portfolios(earlier)) for each in (before.account, before.explained_by(after)))
        old_new, new_new = (accounts(each.portfolios(kept)) for each in (after.explained_by(before), after.account))
        entering = np.where(entered, weights, 0.0) @ after.account.prediction
    inputs = inputs_part(old_old, old_new, new_old, new_new)
    return Change(old_old, new_new, inputs, new_new - old_old - inputs, entering, entered.sum(axis=1))


def inputs_part(old_old: _F64, old_new: _F64, new_old: _F64, new_new: _F64) -> _F64:
    """Return the inputs' Shapley value: the mean of their effect under the old and under the new model.

    Parameters
    ----------
    old_old, old_new, new_old, new_new
        Accounts by the old or the new model (first word) of the old or the new inputs, of any one shape.
    """
    mean: _F64 = ((old_new - old_old) + (new_new - new_old)) / 2
    return mean
