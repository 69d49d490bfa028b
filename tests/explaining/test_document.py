"""JSON: every figure with all its digits, under the keys that are documented."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from deepfactor.explaining.document import explanation_json
from deepfactor.explaining.explain import explain
from deepfactor.explaining.published import PublishedModel
from deepfactor.explaining.subjects import portfolio, stock
from deepfactor.store import Store
from tests.explaining.made_months import NEW, STOCKS
from tests.explaining.test_terminal import EXPLANATION, HOSTILE


def keys(content: Any) -> set[str]:
    """Return the keys at any depth."""
    if isinstance(content, dict):
        return set(content).union(*map(keys, content.values()))
    return set().union(*map(keys, content)) if isinstance(content, list) else set()


def test_figures_keep_all_digits(two_months: Store, published: PublishedModel) -> None:
    explanation = explain(two_months, published, stock(two_months, published, STOCKS[0]))
    content = json.loads(explanation_json(explanation))
    (signal,) = published.signals.filter(security_id=STOCKS[0]).to_dicts()
    (ledger,) = published.ledger.filter(security_id=STOCKS[0]).to_dicts()
    assert [content[name] for name in ("prediction", "dispersion", "rank", "quintile")] == [
        signal[name] for name in ("prediction", "dispersion", "rank", "quintile")
    ]
    for each in (*content["factors"], *content["remainders"]):
        assert each["contribution"] == ledger[each["name"]]
    assert content["run_id"] == published.manifest.run_id
    assert (content["month"], content["predicts"], content["model"]) == ("2016-02", "2016-03", "dfm2")
    assert content["subject"] == {"kind": "stock", "name": STOCKS[0], "stocks": 1, "weights_sum": 1.0}
    change = content["change"]
    assert change["before"] + change["inputs"] + change["model"] == pytest.approx(content["prediction"], abs=1e-16)
    assert content["change_unknown"] is None
    assert len(content["inputs"]) == 5
    assert len(content["descriptors"]) == 16


def test_what_is_not_there_is_null(two_months: Store, published: PublishedModel) -> None:
    content = json.loads(explanation_json(explain(two_months, published, portfolio(published, "long-short"))))
    assert (content["rank"], content["quintile"], content["subject"]["weights_sum"]) == (None, None, pytest.approx(0))
    assert {each["value"] for each in content["inputs"]} == {None}
    new = json.loads(explanation_json(explain(two_months, published, stock(two_months, published, NEW))))
    assert (new["change"], new["change_unknown"]) == (None, f"{NEW} had no prediction in 2016-01")


def test_every_key_is_documented(two_months: Store, published: PublishedModel) -> None:
    content = json.loads(explanation_json(explain(two_months, published, portfolio(published, "top"))))
    documented = set(re.findall(r"\w+", explanation_json.__doc__ or ""))
    assert keys(content) - documented == set()


def test_the_same_explanation_gives_the_same_text() -> None:
    assert explanation_json(EXPLANATION) == explanation_json(replace(EXPLANATION))


def test_names_cannot_steer_a_terminal() -> None:
    text = explanation_json(replace(EXPLANATION, name=HOSTILE))
    assert json.loads(text)["subject"]["name"] == HOSTILE
    assert text.isascii()
    assert not {"\x1b", "\x9b"} & set(text)
