"""Explained months made by hand, for tests of what is computed from relevances."""

from __future__ import annotations

import numpy as np

from deepfactor.attribution.relevance import relevance
from deepfactor.attribution.rules import Epsilon, Rule
from deepfactor.attribution.tables import Explained
from deepfactor.features import FEATURES, Samples
from deepfactor.models.networks import HIDDEN_LAYERS
from tests.conftest import AS_OF
from tests.models.networks import random_network


def random_samples(stocks: int, seed: int) -> Samples:
    """Return a month's stocks whose inputs are ranks in steps, a tenth of them unknown; names out of order."""
    random = np.random.default_rng(seed)
    known = random.random((stocks, len(FEATURES))) < 0.9
    inputs = np.where(known, np.round(random.uniform(-0.5, 0.5, known.shape), 2), 0.0)
    return Samples(
        months=np.full(stocks, AS_OF.ordinal),
        security_ids=random.permutation([f"{1300 + number}" for number in range(stocks)]),
        inputs=inputs.astype(np.float32),
        returns=np.zeros(0),
        known=known,
        exclusions={},
    )


def random_month(stocks: int, seed: int, members: int = 3, rule: Rule | None = None) -> Explained:
    """Return an untrained ensemble's month, explained by a rule that leaks if none is given."""
    samples = random_samples(stocks, seed)
    network = random_network(len(FEATURES), HIDDEN_LAYERS["dfm1"], members, seed)
    return Explained(AS_OF, "dfm1", samples, relevance(network, samples.inputs, rule or Epsilon(0.05)))
