"""What is explained: a stock, or a portfolio of stocks with weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfactor.errors import ConfigurationError
from deepfactor.explaining.absence import why_absent
from deepfactor.explaining.published import PublishedModel
from deepfactor.explaining.weights import read_weights
from deepfactor.portfolio import quintile_portfolios
from deepfactor.store import Store

# What the command calls the portfolios that are published, and what their tables call them.
PORTFOLIOS = {"top": "top quintile", "bottom": "bottom quintile", "long-short": "long-short"}


@dataclass(frozen=True)
class Subject:
    """A stock or a portfolio, as weights on a month's stocks.

    Attributes
    ----------
    kind
        ``stock`` or ``portfolio``.
    name
        The stock's id, the published portfolio's name, or the file's.
    weights
        Of each of the month's stocks, shape (n,); 1 for a stock.
    published
        Whether it is one of the portfolios that the month has published.
    """

    kind: str
    name: str
    weights: NDArray[np.float64]
    published: bool = False

    @property
    def stocks(self) -> int:
        """Number of stocks with a weight."""
        return int(np.count_nonzero(self.weights))


def stock(store: Store, published: PublishedModel, security_id: str) -> Subject:
    """Return a stock of the month.

    Raises
    ------
    ConfigurationError
        If it has no prediction; says why, as far as the run's descriptors tell.
    """
    rows = np.flatnonzero(published.security_ids == security_id)
    if not len(rows):
        raise ConfigurationError(why_absent(store, published, security_id))
    weights = np.zeros(len(published.security_ids))
    weights[rows[0]] = 1.0
    return Subject("stock", security_id, weights)


def portfolio(published: PublishedModel, text: str) -> Subject:
    """Return the portfolio that the command line names: ``top``, ``bottom``, ``long-short``, or a file of weights.

    Raises
    ------
    ConfigurationError
        If there is no such portfolio, or the file is not one of weights on the month's stocks.
    """
    if text not in PORTFOLIOS:
        return Subject("portfolio", Path(text).name, read_weights(Path(text), published))
    names, weights = quintile_portfolios(published.signals["quintile"].to_numpy())
    if PORTFOLIOS[text] not in names:
        raise ConfigurationError(
            f"{published.month}: {len(published.security_ids)} stocks are too few for a {PORTFOLIOS[text]} portfolio; "
            "there are " + ", ".join(names)
        )
    return Subject("portfolio", PORTFOLIOS[text], weights[names.index(PORTFOLIOS[text])], published=True)
