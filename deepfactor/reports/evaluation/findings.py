"""What the figures say, with their uncertainty, of the questions that a committee asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from deepfactor.evaluating.comparisons import ABSOLUTE_ERROR, in_order
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluating.exposures import ALPHA
from deepfactor.evaluation.naive import NAIVE, ZERO
from deepfactor.evaluation.performance import FEWEST_MONTHS_FOR_T
from deepfactor.evaluation.portfolios import LONG_SHORT
from deepfactor.evaluation.significance import critical_t
from deepfactor.models.networks import HIDDEN_LAYERS
from deepfactor.reports.evaluation.tables import p_value
from deepfactor.reports.numbers import decimal, legible, percent

SHOWN, NOT_SHOWN, TOO_FEW = "shown", "not shown", "too few months"

_SURE = 0.05
_LINEAR = "linear"


@dataclass(frozen=True)
class Finding:
    """A question and what the figures answer: ``outcome`` is one of the three above."""

    question: str
    outcome: str
    answer: str


@dataclass(frozen=True)
class _Evidence:
    """One model's figure: above 0 if it speaks for the model; ``sure``: whether it differs, none if it is not known."""

    model: str
    value: float
    told: str
    sure: bool | None


def findings(evaluation: Evaluation) -> tuple[Finding, ...]:
    """Return what can be said of the models; what cannot is not said, whatever the figures look like."""
    models = [model for model in in_order(evaluation.performance["model"]) if model not in NAIVE]
    absolute = evaluation.loss_comparisons.filter(loss=ABSOLUTE_ERROR)
    ratios = evaluation.sharpe_ratios.filter(portfolio=LONG_SHORT)
    alphas = evaluation.exposures.filter(term=ALPHA)
    evidence = {
        "Are the forecasts closer to the returns than always forecasting zero?": _against(absolute, models, ZERO),
        "Do they rank stocks better than chance?": [_rank_ic(row) for row in _rows(evaluation.skill, models)],
        "Does the long-short portfolio earn anything after costs?": [
            _after_costs(row) for row in _rows(evaluation.trading_summary, models)
        ],
        "Is its Sharpe ratio more than luck among those that were tried?": [
            _deflated(row) for row in _rows(ratios, models)
        ],
        "Does it earn anything beyond the market and the five factors?": [_alpha(row) for row in _rows(alphas, models)],
    }
    deep = [model for model in models if model in HIDDEN_LAYERS]
    if deep and _LINEAR in models:
        evidence["Do the deep models forecast better than the linear one?"] = _against(absolute, deep, _LINEAR)
    return tuple(_finding(question, each) for question, each in evidence.items())


def _finding(question: str, evidence: Sequence[_Evidence]) -> Finding:
    known = [each for each in evidence if each.sure is not None]
    if not known:
        return Finding(question, TOO_FEW, "Nothing can be told of so few.")
    good, bad = ([each for each in known if each.sure and (each.value > 0) == way] for way in (True, False))
    best = max(known, key=lambda each: each.value)
    answer = f"Yes: {_told(good)}." if good else f"Of no model. The best: {_told([best])}."
    if bad:
        answer += f" The opposite: {_told(bad)}."
    return Finding(question, SHOWN if good else NOT_SHOWN, answer)


def _told(evidence: Sequence[_Evidence]) -> str:
    return "; ".join(f"{legible(each.model)} {each.told}" for each in evidence)


def _rows(table: pl.DataFrame, models: Sequence[str]) -> list[dict[str, Any]]:
    by_model = {row["model"]: row for row in table.iter_rows(named=True)}
    return [by_model[model] for model in models if model in by_model]


def _against(comparisons: pl.DataFrame, models: Sequence[str], other: str) -> list[_Evidence]:
    """Return how much smaller the losses of models are than the other's."""
    evidence = []
    for row in _rows(comparisons.filter(other=other), models):
        less = 0.0 if row["difference"] is None else -row["difference"]
        error = percent(row["standard_error"], 3, signed=False)
        way = "smaller" if less > 0 else "larger"
        told = f"{percent(abs(less), 3, signed=False)} ± {error} percentage points a month {way}, {_p(row)}"
        evidence.append(_Evidence(row["model"], less, told, _below(row["p_value"])))
    return evidence


def _rank_ic(row: dict[str, Any]) -> _Evidence:
    value, error, t = row["rank_ic"], row["rank_ic_se"], row["rank_ic_t"]
    told = f"mean rank IC {decimal(value, 3)} ± {decimal(error, 3, signed=False)}, t {decimal(t, 1)}"
    return _Evidence(row["model"], value or 0.0, told, _exceeds(t, row["months"]))


def _after_costs(row: dict[str, Any]) -> _Evidence:
    value, error = row["annual_return"], row["annual_return_se"]
    told = f"{percent(value, 1)} ± {percent(error, 1, signed=False)} % a year after costs"
    if row["break_even"] is not None:
        told += f", nothing left at {decimal(row['break_even'], 0, signed=False)} basis points a side"
    return _Evidence(row["model"], value or 0.0, told, _exceeds(value / error if error else None, row["months"]))


def _deflated(row: dict[str, Any]) -> _Evidence:
    confidence = row["deflated_probability"]
    sure = "over 99.9" if confidence is not None and confidence > 0.999 else percent(confidence, 1, signed=False)
    ratio, error = decimal(row["ratio"]), decimal(row["standard_error"], signed=False)
    told = f"Sharpe ratio {ratio} ± {error}, above the best of {row['trials']} by luck with {sure} % confidence"
    return _Evidence(row["model"], confidence or 0.0, told, None if confidence is None else confidence > 1 - _SURE)


def _alpha(row: dict[str, Any]) -> _Evidence:
    error = percent(row["standard_error"], 1, signed=False)
    told = f"alpha {percent(row['value'], 1)} ± {error} % a year before costs, {_p(row)}"
    return _Evidence(row["model"], row["value"] or 0.0, told, _below(row["p_value"]))


def _below(p_value: float | None) -> bool | None:
    return None if p_value is None else p_value < _SURE


def _exceeds(t: float | None, months: int) -> bool | None:
    return None if t is None or months < FEWEST_MONTHS_FOR_T else abs(t) > critical_t(months)


def _p(row: dict[str, Any]) -> str:
    return f"p {p_value(row['p_value'])}"
