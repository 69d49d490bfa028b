"""An explanation as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from deepfactor.explaining.explanation import Comparison, Explanation


def explanation_json(explanation: Explanation) -> str:
    r"""Return an explanation as JSON; figures have all their digits, returns are fractions.

    ===================  ===============================================================================================
    key                  value
    ===================  ===============================================================================================
    month, predicts      the as-of month, and the month whose total return is predicted, ``YYYY-MM``
    model, run_id        the model, and the run that published it
    rules                by which relevance was propagated, one for all layers or three
    members              number of networks in the ensemble
    subject              ``kind`` (``stock`` or ``portfolio``), ``name``, number of ``stocks``, and ``weights_sum``
    stocks               number of stocks with a prediction
    prediction           with ``dispersion``, its standard deviation across the members
    rank, quintile       1 is the highest prediction, 5 the highest fifth; null for a portfolio
    factors              ``name``, ``contribution``, its ``dispersion``, ``disputed`` (members disagree on the sign),
                         ``share`` of absolute relevance and ``share_dispersion``
    descriptors          the same, with the ``factor``
    remainders           ``bias``, ``level`` and ``leak``: ``name``, ``contribution``, ``dispersion``, ``disputed``
    inputs               the five that matter most, the largest first: ``input``, ``descriptor``, ``lag`` in months,
                         ``factor``, ``contribution``, ``dispersion``, ``disputed``, ``position`` (rank, -½ to +½; of a
                         portfolio Σ weight × rank / Σ abs(weight)), ``known`` (1 or 0; of a portfolio the known part),
                         ``value`` and its ``unit`` (null for a portfolio or if not known), ``words``, ``value_words``
    change               since the month before: its ``month`` and ``run_id``, the prediction ``before``, what came of
                         ``inputs`` and of the ``model``, the same by ``accounts`` (``account``, ``before``, ``inputs``,
                         ``model``, ``after``), and the prediction of ``entering`` stocks, of which there are
                         ``entered``; null if it cannot be said
    change_unknown       why it cannot be said; null if it can
    ===================  ===============================================================================================

    Factors and remainders add up to the prediction, so do descriptors and remainders. ``before`` + ``inputs`` +
    ``model`` + ``entering`` is the prediction, and ``before`` + ``inputs`` + ``model`` is ``after`` in each account.
    What is not ASCII is escaped, so that no name from the data can steer a terminal.
    """
    found = explanation.comparison
    content = {
        "month": str(explanation.month),
        "predicts": str(explanation.month + 1),
        "model": explanation.model,
        "run_id": explanation.run_id,
        "rules": list(explanation.rules),
        "members": explanation.members,
        "subject": {
            "kind": explanation.kind,
            "name": explanation.name,
            "stocks": explanation.stocks,
            "weights_sum": explanation.weights_sum,
        },
        "stocks": explanation.stocks_in_month,
        "prediction": explanation.prediction,
        "dispersion": explanation.dispersion,
        "rank": explanation.rank,
        "quintile": explanation.quintile,
        "factors": [_without(asdict(each), "factor") for each in explanation.factors],
        "descriptors": [asdict(each) for each in explanation.descriptors],
        "remainders": [
            _without(asdict(each), "factor", "share", "share_dispersion") for each in explanation.remainders
        ],
        "inputs": [{"input": each.input} | asdict(each) for each in explanation.drivers],
        "change": None if found is None else _change(found),
        "change_unknown": explanation.incomparable or None,
    }
    return json.dumps(content, indent=1, allow_nan=False)


def _change(found: Comparison) -> dict[str, Any]:
    return {
        "month": str(found.month),
        "run_id": found.run_id,
        "before": found.before,
        "inputs": found.inputs,
        "model": found.model,
        "accounts": [asdict(each) for each in found.movements],
        "entering": found.entering,
        "entered": found.entered,
    }


def _without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}
