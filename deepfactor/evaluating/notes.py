"""What has to be said beside the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

import polars as pl

from deepfactor.evaluating.coverage import NOT_KNOWN, NOT_PUBLISHED, SCORED
from deepfactor.evaluating.exposures import UNIVERSE
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.significance import critical_t
from deepfactor.months import Month
from deepfactor.schemas import FACTORS

_SHOWN = 6


def notes(inputs: Mapping[str, Any], frames: Mapping[str, pl.DataFrame]) -> tuple[str, ...]:
    """Return what has to be said beside the figures, a sentence or two each.

    Parameters
    ----------
    inputs
        The evaluation's runs.
    frames
        Its tables.
    """
    return (
        *_months(frames["coverage"]),
        *_outcomes(inputs),
        *_uncertainty(frames),
        *_missing(frames),
        *_market(frames),
    )


def spans(months: Sequence[date]) -> str:
    """Return months as text, those that follow each other as a span, no more than a few.

    >>> spans([date(2016, 1, 1), date(2016, 2, 1), date(2016, 3, 1), date(2016, 7, 1)])
    '2016-01 … 2016-03, 2016-07'
    """
    groups: list[list[Month]] = []
    for month in map(Month.containing, sorted(months)):
        if groups and month - groups[-1][-1] == 1:
            groups[-1].append(month)
        else:
            groups.append([month])
    texts = [f"{group[0]}" if len(group) == 1 else f"{group[0]} … {group[-1]}" for group in groups]
    rest = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _months(coverage: pl.DataFrame) -> list[str]:
    of = {state: each["month"].to_list() for (state,), each in coverage.partition_by("state", as_dict=True).items()}
    told = []
    if absent := of.get(NOT_PUBLISHED):
        told.append(f"Not published, and so in no figure: {spans(absent)}.")
    if unknown := of.get(NOT_KNOWN):
        told.append(f"Not known yet, the month after is not published: {spans(unknown)}.")
    scored = of.get(SCORED, [])
    if any(Month.containing(other) - Month.containing(one) > 1 for one, other in pairwise(sorted(scored))):
        told.append("There are gaps between the months scored; errors of means treat those beside a gap as neighbours.")
    return told


def _outcomes(inputs: Mapping[str, Any]) -> list[str]:
    described = sorted(month for month, each in inputs["returns"].items() if not each["published"])
    if not described:
        return []
    return [f"The returns of {', '.join(described)} are of a run that was described for them, and is not published."]


def _uncertainty(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    months = frames["performance"]["month"].n_unique()
    if months < FEWEST_MONTHS_FOR_T:
        return [
            f"{_counted(months, 'month')} scored: standard errors, tests, and whether a signal is too good to be true, "
            f"are not told of fewer than {FEWEST_MONTHS_FOR_T}."
        ]
    told = [
        f"A t of Newey and West over {months} months must exceed {critical_t(months):.2f}, not 1.96, for a p below 5 %."
    ]
    tests = frames["loss_comparisons"].drop_nulls("p_value").height
    if tests:
        told.append(
            f"Of the {tests} tests between models, about {tests * 0.05:.1f} have a p below 5 % though nothing differs."
        )
    if frames["exposures"].height and not frames["exposures"].drop_nulls("value").height:
        fewest = FEWEST_MONTHS_FOR_T + 1 + len(FACTORS)
        told.append(f"Exposures are not told of fewer than {fewest} months.")
    return told


def _missing(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    known = frames["missing_returns"].filter("known")
    # The same stocks whatever the model.
    by_month = known.group_by("month").agg(pl.col("stocks").max(), pl.col("without_return").max())
    without, stocks = int(by_month["without_return"].sum()), int(by_month["stocks"].sum())
    if not without:
        return []
    return [
        f"{without:,} of {stocks:,} forecast stocks have no return in the month after (delisted, suspended, or with a "
        "price that was set aside): errors leave them out, portfolios keep them."
    ]


def _market(frames: Mapping[str, pl.DataFrame]) -> list[str]:
    if UNIVERSE not in frames["exposures"]["term"].to_list():
        return []
    return ["No run publishes the market's return: the mean return of the stocks that are forecast stands for it."]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
