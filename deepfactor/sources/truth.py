"""The truth about a simulated market: what was planted, and how much of it any model can find."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfactor.sources.economy import Economy
from deepfactor.sources.firms import Matrix
from deepfactor.sources.premia import PREMIA, Form


def tell_truth(economy: Economy, form: Form) -> dict[str, Any]:
    """Return the planted premia and what can be found of them, for ``truth.json``.

    - ``premia``: the form, the size of each term (return a month per standard deviation; a term is a score, or a
      product of scores joined by ``_x_``), and the standard deviation of the expected return across stocks.
    - ``information_coefficient``: the mean over months of the correlation with the next month's return, of the true
      signal (``realised``; ``ceiling``, its expectation: standard deviation of the signal / that of returns) and of the
      best linear function of the scores (``linear_realised``, ``linear_ceiling``), with its ``linear_r_squared``: the
      share of the signal's variance that it explains.
    - ``counts``: of what happened.
    """
    linear, r_squared = _linear_part(economy)
    spread = _mean_by_month(lambda signal, _: signal.std(), economy.excess, economy)
    ceiling = _mean_by_month(lambda signal, returned: signal.std() / returned.std(), economy.excess, economy)
    return {
        "premia": {
            "form": form,
            "sizes": dict(PREMIA[form]),
            "unit": "expected return a month per standard deviation of the term",
            "dispersion": round(spread, 5),
        },
        "information_coefficient": {
            "realised": round(_mean_by_month(_correlation, economy.excess, economy), 4),
            "ceiling": round(ceiling, 4),
            "linear_realised": round(_mean_by_month(_correlation, linear, economy), 4),
            "linear_ceiling": round(ceiling * r_squared**0.5, 4),
            "linear_r_squared": round(r_squared, 3),
        },
        "counts": {
            "firms": int(economy.firms.entry.size),
            "left": int((economy.firms.exit < economy.listed.shape[0]).sum()),
            "merged": int((economy.acquirer >= 0).sum()),
        },
    }


def _linear_part(economy: Economy) -> tuple[Matrix, float]:
    """Return the best linear function of the scores, and the share of the signal's variance that it explains."""
    at = economy.excess != 0
    if not at.any():
        return economy.excess, 0.0
    scores = np.stack([score[at] for score in economy.known.values()])
    signal = economy.excess[at]
    # Not by matrix products: their last bits depend on the number of threads.
    products = np.array([[(one * other).sum() for other in scores] for one in scores])
    # In a short history a score may not be known yet, or be another one's multiple.
    weights = np.linalg.lstsq(products, np.array([(one * signal).sum() for one in scores]), rcond=None)[0]
    fitted = (weights[:, None] * scores).sum(axis=0)
    linear = np.zeros_like(economy.excess)
    linear[at] = fitted
    return linear, float(1 - ((signal - fitted) ** 2).sum() / (signal**2).sum())


def _mean_by_month(statistic: Any, signal: Matrix, economy: Economy) -> float:
    """Return the mean over months of a statistic of a month's signal and the next month's returns."""
    known = ~np.isnan(economy.total_return[1:])
    pairs = zip(signal[:-1], economy.total_return[1:], known, strict=True)
    return float(np.mean([statistic(each[at], returned[at]) for each, returned, at in pairs if at.sum() > 1]))


def _correlation(signal: Matrix, returned: Matrix) -> float:
    if signal.std() == 0.0:
        return 0.0
    return float(((signal - signal.mean()) * (returned - returned.mean())).mean() / (signal.std() * returned.std()))
