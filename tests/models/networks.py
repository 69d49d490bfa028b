"""Random ensembles for tests."""

from __future__ import annotations

import numpy as np

from deepfactor.models.base import Network
from deepfactor.models.networks import initial_network


def random_network(inputs: int, hidden: tuple[int, ...], members: int, seed: int) -> Network:
    """Return an ensemble whose biases are not zero."""
    network = initial_network(inputs, hidden, range(seed, seed + members))
    generator = np.random.default_rng(seed)
    biases = tuple(generator.normal(0, 0.3, bias.shape).astype(np.float32) for bias in network.biases)
    return Network(network.kernels, biases)
