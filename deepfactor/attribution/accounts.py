"""A month's predictions by every model, each with its account where the model can be explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import polars as pl

from deepfactor.attribution.correlations import correlations_table
from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.attribution.rules import network_rules
from deepfactor.attribution.tables import (
    RELEVANCE,
    Explained,
    attribution_table,
    ledger_table,
    portfolios_table,
    relevance_table,
    shares_table,
    signals_table,
)
from deepfactor.config import AttributionConfig
from deepfactor.features import Samples
from deepfactor.models.base import Model, Network
from deepfactor.models.blas import one_thread
from deepfactor.months import Month
from deepfactor.schemas import ATTRIBUTION, CORRELATIONS, LEDGER, PORTFOLIOS, SHARES, SIGNALS

_BUILDERS: Mapping[str, Callable[[Explained], pl.DataFrame]] = {
    "ledger": ledger_table,
    "relevance": relevance_table,
    "attribution": attribution_table,
    "portfolios": portfolios_table,
    "shares": shares_table,
    "correlations": correlations_table,
}
_TABLES = (SIGNALS, LEDGER, RELEVANCE, ATTRIBUTION, PORTFOLIOS, SHARES, CORRELATIONS)


def account_for(
    month: Month, models: Iterable[tuple[str, Model]], samples: Samples, attribution: AttributionConfig
) -> tuple[dict[str, pl.DataFrame], dict[str, float]]:
    """Predict the month with every model, and book each prediction of a network to its inputs.

    Parameters
    ----------
    month
        The as-of month.
    models
        Names and models; one at a time is in memory if they come so.
    samples
        The month's stocks.
    attribution
        By which rules.

    Returns
    -------
    tables
        ``signals`` of all models; ``ledger``, ``relevance``, ``attribution``, ``portfolios``, ``shares`` and
        ``correlations`` of the networks, the linear model among them. Relevance is not propagated through support
        vectors or trees.
    imbalances
        :func:`ledger_imbalance` of each network.
    """
    parts = {table.name: [table.empty()] for table in _TABLES}
    imbalances = {}
    for name, model in models:
        # What BLAS gives depends on the number of its threads.
        with one_thread():
            account = (
                relevance(model, samples.inputs, network_rules(attribution.rules, len(model.kernels)))
                if isinstance(model, Network)
                else None
            )
            predictions = account.member_prediction if account else model.member_predictions(samples.inputs)
            parts["signals"].append(signals_table(month, name, samples.security_ids, predictions))
            if account is not None:
                imbalances[name] = ledger_imbalance(account)
                explained = Explained(month, name, samples, account)
                for table, build in _BUILDERS.items():
                    parts[table].append(build(explained))
    return {name: pl.concat(frames) for name, frames in parts.items()}, imbalances


def ledger_imbalance(account: Relevance) -> float:
    """Return the largest imbalance of a stock's ledger relative to the predictions' root mean square."""
    scale = float(np.sqrt(np.mean(account.member_prediction**2)))
    return float(account.imbalance().max()) / scale if scale > 0 else float(account.imbalance().max())
