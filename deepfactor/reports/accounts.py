"""The pictures that explain a month's predictions: waterfalls of some of them, beeswarms of what matters most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from deepfactor.descriptors import NAMES
from deepfactor.errors import SchemaError
from deepfactor.months import LAGS
from deepfactor.reports.beeswarm import Beeswarm, beeswarm
from deepfactor.reports.waterfall import Step, Waterfall, largest, steps_of, waterfall

_LONG_SHORT = "long-short"
# Of sixteen descriptors these make up most of a spread; the others are summed.
_DESCRIPTORS = 8


class Explanation(NamedTuple):
    """A waterfall, and what it explains."""

    title: str
    drawn: Waterfall


def stock_waterfalls(stocks: pl.DataFrame, shares: pl.DataFrame) -> list[Explanation]:
    """Explain the highest and the lowest prediction by factor.

    Parameters
    ----------
    stocks
        ``MonthReport.stocks()``, the highest prediction first.
    shares
        ``schemas.SHARES`` of the same model, which say of the highest prediction on which signs the members disagree.
    """
    rows = stocks.to_dicts()
    chosen = [("Highest prediction", rows[0], _disputed(shares, "highest prediction"))]
    if len(rows) > 1:
        chosen.append(("Lowest prediction", rows[-1], set()))
    return [
        Explanation(
            f"{title}: {row['security_id']}",
            waterfall(
                steps_of(row, disputed=disputed),
                Step("level", row["level"]),
                Step("prediction", row["prediction"], row["dispersion"]),
            ),
        )
        for title, row, disputed in chosen
    ]


def long_short_waterfalls(portfolios: pl.DataFrame, shares: pl.DataFrame) -> list[Explanation]:
    """Explain by factor and by descriptor why the top quintile is predicted above the bottom one.

    Parameters
    ----------
    portfolios, shares
        ``schemas.PORTFOLIOS`` and ``schemas.SHARES`` of one model; without a long-short portfolio there is nothing to
        explain.
    """
    rows = portfolios.filter(pl.col("portfolio") == _LONG_SHORT)
    if rows.is_empty():
        return []
    steps = {
        account: {
            each["name"]: Step(each["name"], each["contribution"], each["dispersion"])
            for each in rows.filter(pl.col("account") == account).iter_rows(named=True)
        }
        for account in ("factor", "descriptor", "remainder")
    }
    remainders = steps["remainder"]
    summed = steps["factor"] | remainders
    by_factor = steps_of(
        {name: step.value for name, step in summed.items()},
        {name: step.dispersion for name, step in summed.items()},
        _disputed(shares, _LONG_SHORT),
    )
    bias, *_, last = by_factor
    leak = [last] if last.label == "leak" else []
    by_descriptor = [bias, *largest([steps["descriptor"][name] for name in NAMES], _DESCRIPTORS), *leak]
    # The level of a portfolio with net weight zero is nothing but rounding.
    start, total = Step("level", remainders["level"].value), remainders["prediction"]
    return [
        Explanation("Top quintile over bottom quintile, by factor", waterfall(by_factor, start, total)),
        Explanation("The same by descriptor", waterfall(by_descriptor, start, total)),
    ]


def beeswarms(attribution: pl.DataFrame, count: int) -> list[Beeswarm]:
    """Draw the descriptors that matter most, all on one scale.

    A descriptor's contribution is the sum of its relevances over the lags; it matters as much as its contributions'
    mean absolute size over all stocks. Its rank is that of the as-of month.

    Parameters
    ----------
    attribution
        ``schemas.ATTRIBUTION`` of one model, sorted by its key; without rows nothing is drawn.
    count
        How many descriptors.

    Raises
    ------
    SchemaError
        If a stock lacks some of its inputs.
    """
    if attribution.is_empty():
        return []
    names = sorted(NAMES)
    shape = (attribution["security_id"].n_unique(), len(LAGS), len(names))
    if attribution.height != np.prod(shape):
        raise SchemaError(
            f"attribution of {attribution['model'][0]}: {attribution.height} rows instead of {len(names) * len(LAGS)} "
            f"for each of {shape[0]} stocks; attribute the month again"
        )
    # Summed in NumPy, in the order of the lags: the same bytes on every machine.
    contributions = attribution["relevance"].to_numpy().reshape(shape).sum(axis=1).T
    ranks, known = (attribution[column].to_numpy().reshape(shape)[:, 0].T for column in ("input", "known"))
    chosen = np.argsort(-np.abs(contributions).mean(axis=1), kind="stable")[:count]
    seen = contributions[chosen][known[chosen]]
    reach = (float(seen.min(initial=0.0)), float(seen.max(initial=0.0)))
    return [beeswarm(names[each], ranks[each], contributions[each], known[each], reach=reach) for each in chosen]


def _disputed(shares: pl.DataFrame, group: str) -> set[str]:
    return set(shares.filter(pl.col("group") == group, pl.col("disputed"))["factor"].to_list())
