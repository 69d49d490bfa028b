"""Is the explanation true? What is measured of every explained model each month, before anybody believes it.

Nothing here judges: the thresholds are in the configuration, the verdicts in ``deepfactor.gates``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from deepfactor.attribution.aggregation import summed
from deepfactor.attribution.relevance import Relevance, relevance
from deepfactor.attribution.rules import network_rules
from deepfactor.config import AttributionConfig
from deepfactor.features import Samples
from deepfactor.models.base import Model, Network, member_seeds
from deepfactor.models.blas import one_thread
from deepfactor.months import Month
from deepfactor.portfolio import ranks
from deepfactor.ranks import rank_correlation
from deepfactor.schemas import FACTORS

_F64 = NDArray[np.float64]

Explain = Callable[[Network, _F64], _F64]
"""Says what each input (n, features) of a network contributes, in the same shape."""

# A draw of the top layer may turn a network round, so there are some, each with its mirror image.
_DRAWS = 5
_RANDOMISED_STOCKS = 100
_REMOVED_STOCKS = 400
_STEPS = 10
_RANDOM_ORDERS = 10


@dataclass(frozen=True)
class Check:
    """What was measured.

    Attributes
    ----------
    value
        What is judged; NaN if nothing could be measured.
    details
        JSON-able; what else a reader may want to see.
    """

    value: float
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it; null stands for NaN."""
        return {"value": self.value if math.isfinite(self.value) else None, **self.details}


def check_explanations(
    month: Month,
    models: Iterable[tuple[str, Model]],
    samples: Samples,
    before: Samples,
    attribution: AttributionConfig,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure how true the explanations of some models are: by model and check what :meth:`Check.as_dict` gives.

    The checks are ``randomisation``, ``removal``, ``last month``, and for an ensemble ``members``.

    Parameters
    ----------
    month
        The as-of month; with the model's name it decides the draws.
    models
        Names and models; those without layer-wise relevance are passed over.
    samples, before
        The stocks of the as-of month, and of the month before.
    attribution
        By which rules relevance is propagated.
    """
    with one_thread():
        return {
            name: {check: each.as_dict() for check, each in _checks(month, name, model, samples, before, attribution)}
            for name, model in models
            if isinstance(model, Network)
        }


def _checks(
    month: Month, name: str, network: Network, samples: Samples, before: Samples, attribution: AttributionConfig
) -> Iterator[tuple[str, Check]]:
    rules = network_rules(attribution.rules, len(network.kernels))

    def explain(network: Network, inputs: _F64) -> _F64:
        return relevance(network, inputs, rules).inputs

    account = relevance(network, samples.inputs, rules)
    order = np.argsort(ranks(account.prediction, samples.security_ids))
    few, many = (evenly(order, number) for number in (_RANDOMISED_STOCKS, _REMOVED_STOCKS))
    inputs = samples.inputs.astype(np.float64)
    yield "randomisation", randomisation(explain, network, inputs[few], _seed(month, name, "randomisation"))
    yield "removal", removal(network, inputs[many], account.inputs[many], _seed(month, name, "removal"))
    yield "last month", steadiness(explain, network, samples, before)
    if network.members > 1:
        yield "members", agreement(account)


def randomisation(explain: Explain, network: Network, inputs: _F64, seed: int) -> Check:
    """Draw the top layer anew and look what is left of the explanation (Adebayo et al. 2018).

    Weights are drawn from a normal distribution with the standard deviation that the member's have. The value is the
    mean over draws and stocks of the rank correlation, over the inputs, between the explanation and the new one.
    An explanation that does not look at the model keeps 1. Where the layers below say almost one thing, a draw can only
    leave the network as it was or turn it round, and its explanation with it. Each draw is therefore used with its
    mirror image too, so that chance does not decide.

    Parameters
    ----------
    explain
        How the explanation comes about.
    network
        The model.
    inputs
        Of some stocks, shape (n, features).
    seed
        Decides the draws.

    Returns
    -------
    Check
        With ``magnitude``, the mean absolute correlation: how much of the pattern stays, whatever its sign.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    top = network.kernels[-1].astype(np.float64)
    original = explain(network, inputs)
    found = []
    for _ in range(_DRAWS):
        drawn = generator.standard_normal(top.shape) * top.std(axis=(1, 2), keepdims=True)
        for layer in (drawn, -drawn):
            other = explain(replace(network, kernels=(*network.kernels[:-1], layer)), inputs)
            found.append(_rank_correlations(original, other))
    correlations = np.stack(found)
    known = correlations[np.isfinite(correlations)]
    if not len(known):
        return Check(math.nan, {"magnitude": None})
    # Mirror images cancel but for rounding, whose sign would show as −0.00.
    return Check(float(known.mean().round(12)) + 0.0, {"magnitude": float(np.abs(known).mean())})


def removal(network: Network, inputs: _F64, relevances: _F64, seed: int) -> Check:
    """Take inputs away, those first that are said to raise the prediction most, and see how fast it falls.

    Known as pixel flipping (Samek et al. 2017). Taken away means set to 0, the median, in ten steps down to nothing.
    The value is the share of stocks whose prediction falls faster, by the area over its curve, than in the mean of ten
    random orders; a stock to none of whose inputs anything is booked does not count.

    Parameters
    ----------
    network
        The model.
    inputs, relevances
        Of some stocks, shape (n, features).
    seed
        Decides the random orders.

    Returns
    -------
    Check
        With the mean curves: the number of inputs ``removed``, and the mean fall of the prediction, as a fraction a
        month, ``by relevance`` and ``at random``.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    stocks, width = inputs.shape
    cuts = np.linspace(0, width, _STEPS + 1).round().astype(np.int64)[1:]
    falls = _falls(network, inputs, np.argsort(-relevances, axis=1, kind="stable"), cuts)
    places = np.tile(np.arange(width), (stocks, 1))
    chance = np.zeros_like(falls)
    for _ in range(_RANDOM_ORDERS):
        chance += _falls(network, inputs, generator.permuted(places, axis=1), cuts) / _RANDOM_ORDERS
    counted = (relevances != 0).any(axis=1)
    faster = (falls.mean(axis=0) > chance.mean(axis=0))[counted]
    curves = {
        "removed": [0, *cuts.tolist()],
        "by relevance": [0.0, *falls.mean(axis=1).tolist()],
        "at random": [0.0, *chance.mean(axis=1).tolist()],
    }
    return Check(float(faster.mean()) if len(faster) else math.nan, curves)


def agreement(account: Relevance) -> Check:
    """Tell how far another ensemble, from other seeds, would give the stocks the same factor contributions.

    Members are compared by their correlation, over the stocks, of a factor's contributions; signed contributions,
    because sizes agree wherever an input is far from its median. From the mean over pairs and factors follows, by
    Spearman's and Brown's formula, the expected correlation of the means of two such ensembles: what is published is
    the mean.

    Returns
    -------
    Check
        With ``pairwise``, the mean correlation of two members.
    """
    members = summed(account.member_inputs, "factor")
    centred = members - members.mean(axis=1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    # A member that gives all stocks the same agrees with none.
    standard = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    count, stocks = standard.shape[:2]
    told = (scale > 0).any(axis=(0, 1))
    if not told.any():
        return Check(math.nan, {"pairwise": None})
    # Over pairs: the square of the sum less the sum of the squares.
    both = (standard.sum(axis=0) ** 2).sum(axis=0) - (standard**2).sum(axis=(0, 1))
    pairwise = float((both / (stocks * count * (count - 1)))[told].mean())
    shared = max(pairwise, 0.0)
    return Check(count * shared / (1 + (count - 1) * shared), {"pairwise": pairwise})


def steadiness(explain: Explain, network: Network, samples: Samples, before: Samples) -> Check:
    """Compare the model's explanation of the month with its explanation of the month before, stock by stock.

    The model is the same, so whatever changed, the stocks did. The value is the mean over the factors of the rank
    correlation, over the stocks that are there in both months, of the factor's contributions.

    Returns
    -------
    Check
        With the correlations by factor, ``factors``, and the number of ``stocks``.
    """
    common, now, then = np.intersect1d(samples.security_ids, before.security_ids, return_indices=True)
    both = [
        summed(explain(network, each.inputs[rows].astype(np.float64)), "factor")
        for each, rows in ((samples, now), (before, then))
    ]
    found = {
        name: rank_correlation(both[0][:, column], both[1][:, column]) if len(common) > 1 else None
        for column, name in enumerate(FACTORS)
    }
    known = [value for value in found.values() if value is not None]
    return Check(float(np.mean(known)) if known else math.nan, {"factors": found, "stocks": len(common)})


def evenly(order: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return so many of the rows of an order, or all, at even distances, the first and the last among them."""
    places = np.linspace(0, len(order) - 1, min(number, len(order))).round().astype(np.int64)
    return order[places]


def _seed(month: Month, model: str, check: str) -> int:
    return member_seeds(month, f"{model} {check}", 1)[0]


def _falls(network: Network, inputs: _F64, order: NDArray[np.int64], cuts: NDArray[np.int64]) -> _F64:
    """Return how far the prediction has fallen without the first inputs of an order, shape (cuts, n)."""
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(order.shape[1])[None], axis=1)
    whole = network.member_predictions(inputs).mean(axis=0)
    left = [network.member_predictions(np.where(place < cut, 0.0, inputs)).mean(axis=0) for cut in cuts]
    falls: _F64 = whole - np.stack(left)
    return falls


def _rank_correlations(one: _F64, other: _F64) -> _F64:
    """Return Spearman's correlation of each row, shape (n,); NaN where a row is constant."""
    x, y = (rankdata(each, axis=1) - (each.shape[1] + 1) / 2 for each in (one, other))
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found: _F64 = np.divide((x * y).sum(axis=1), scale, out=np.full(len(x), np.nan), where=scale > 0)
    return found
