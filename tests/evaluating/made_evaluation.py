"""An evaluation of made forecasts, of any number of months and models; nothing is read from a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from deepfactor.evaluating.coverage import coverage, exclusions
from deepfactor.evaluating.evaluation import Evaluation, evaluated
from deepfactor.evaluating.materials import Materials
from deepfactor.evaluating.outcomes import Outcome
from deepfactor.evaluating.parameters import USUAL, Parameters
from deepfactor.evaluating.tables import MONTHLY_CORRELATIONS, MONTHLY_SHARES
from deepfactor.evaluation.factors import FACTOR_SCORES
from deepfactor.evaluation.forecasts import FORECASTS, RETURNS
from deepfactor.evaluation.naive import with_naive
from deepfactor.evaluation.portfolios import ranked
from deepfactor.models.names import EXPLAINED_MODELS, MODELS
from deepfactor.months import Month, month_range
from deepfactor.objects import Reference
from deepfactor.publication import Manifest
from deepfactor.reports.figures import GROUPS
from deepfactor.schemas import FACTORS

FIRST = Month.parse("2006-03")

# Of the return of a stock that looks best, a month, and of chance.
_PREMIUM, _NOISE = 0.012, 0.09


def made_evaluation(
    months: int,
    models: Sequence[str] = MODELS,
    *,
    stocks: int = 60,
    absent: Sequence[int] = (),
    unknown: int = 0,
    parameters: Parameters = USUAL,
    seed: int = 1,
) -> Evaluation:
    """Return an evaluation of so many months.

    Parameters
    ----------
    months
        Of the span, the first being ``FIRST``.
    models
        Their names; the later ones know less.
    stocks
        In each month; the last of them has no return from the second month on.
    absent
        Months, by their place in the span, that are not published.
    unknown
        How many of the last months have no result yet.
    parameters, seed
        What is supposed, and of the made figures.
    """
    random = np.random.default_rng(seed)
    span = tuple(month_range(FIRST, FIRST + (months - 1)))
    there = [month for place, month in enumerate(span) if place not in absent]
    known = there[: len(there) - unknown]
    names = [f"{1300 + number}" for number in range(stocks)]
    signal = random.normal(0.0, 1.0, (len(there), stocks))
    earned = 0.004 + random.normal(0, 0.04, (len(there), 1)) + _PREMIUM * signal
    earned = np.maximum(earned + random.normal(0, _NOISE, earned.shape), -0.95)
    earned[1:, -1] = np.nan
    earned[len(known) :] = np.nan
    forecasts, scores, shares, correlations = [], [], [], []
    for place, month in enumerate(there):
        key = {"month": month.first_day, "security_id": names}
        for number, model in enumerate(models):
            seen = signal[place] + random.normal(0, 1 + number, stocks)
            made = {"model": model, "prediction": 0.005 + 0.006 * seen, "dispersion": 0.002, "realised": earned[place]}
            forecasts.append(pl.DataFrame(key | made).with_columns(pl.col("realised").fill_nan(None)))
        for factor in FACTORS:
            made = {"factor": factor, "score": signal[place] * (factor == "Value") + random.normal(0, 1, stocks)}
            scores.append(pl.DataFrame(key | made))
        for model in (model for model in models if model in EXPLAINED_MODELS):
            shares += [_shares(month, model, group, random) for group in GROUPS]
            correlations.append(_correlations(month, model, random))
    returns = _returns(there, names, earned, random)
    table = ranked(pl.concat(forecasts)).select(*FORECASTS.columns)
    means = {month.first_day: 0.004 for month in there}
    manifests = {month: _manifest(month, models[0], stocks, place) for place, month in enumerate(there)}
    market = [(month.first_day, float(np.nanmean(earned[place]))) for place, month in enumerate(known)]
    reference = Reference("descriptors.parquet", "0" * 64, 0)
    materials = Materials(
        span=span,
        manifests=manifests,
        outcomes={month: Outcome(month + 1, f"run-{month + 1}", True, reference, None) for month in known},
        forecasts=with_naive(table, means, returns),
        scores=FACTOR_SCORES.check(pl.concat(scores), "made scores"),
        returns=returns,
        market=pl.DataFrame(market, schema={"month": pl.Date, "market_excess_return": pl.Float64}, orient="row"),
        monthly_shares=MONTHLY_SHARES.check(pl.concat([MONTHLY_SHARES.empty(), *shares]), "made shares"),
        monthly_correlations=MONTHLY_CORRELATIONS.check(
            pl.concat([MONTHLY_CORRELATIONS.empty(), *correlations]), "made correlations"
        ),
        coverage=coverage(span, manifests, known),
        exclusions=exclusions(manifests),
    )
    return evaluated(materials, parameters)


def _shares(month: Month, model: str, group: str, random: np.random.Generator) -> pl.DataFrame:
    made: dict[str, Any] = {"month": month.first_day, "model": model, "group": group, "factor": FACTORS}
    share = random.dirichlet(np.array([6, 5, 9, 12, 4]))
    spread = {"dispersion": 0.0 if model == "linear" else 0.02, "disputed": random.random(5) < 0.3}
    return pl.DataFrame(made | {"share": share} | spread, schema=dict(MONTHLY_SHARES.columns))


def _correlations(month: Month, model: str, random: np.random.Generator) -> pl.DataFrame:
    made: dict[str, Any] = {"month": month.first_day, "model": model, "factor": FACTORS}
    values = {name: random.normal(0.05, 0.1, 5) for name in ("spearman", "kendall")}
    return pl.DataFrame(made | values | {"share": 0.2}, schema=dict(MONTHLY_CORRELATIONS.columns))


def _returns(there: Sequence[Month], names: list[str], earned: Any, random: np.random.Generator) -> pl.DataFrame:
    """Return the results, and forty months before them, which forecasts of trailing means need."""
    rows = [
        pl.DataFrame({"month": (FIRST + -back).first_day, "security_id": names, "total_return": made})
        for back, made in ((back, random.normal(0.005, 0.09, len(names))) for back in range(40))
    ]
    rows += [
        pl.DataFrame({"month": (month + 1).first_day, "security_id": names, "total_return": earned[place]})
        for place, month in enumerate(there)
    ]
    return RETURNS.check(pl.concat(rows).with_columns(pl.col("total_return").fill_nan(None)), "made returns")


def _manifest(month: Month, signal_model: str, stocks: int, place: int) -> Manifest:
    facts = {"stocks in the universe": stocks + 4 + place % 3, "stocks scored": stocks, "rows quarantined": place % 5}
    facts |= {"training rows": 60 * stocks, "scoring: too few descriptors": 4 + place % 3}
    return Manifest(month, f"run-{month}", signal_model, "code", "digest", facts, (), {})
