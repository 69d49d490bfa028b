"""Random ensembles for tests."""

from __future__ import annotations

import numpy as np

from deepfactor.models.base import Network
from deepfactor.models.networks import initial_network
from deepfactor.models.targets import Calibration


def random_network(inputs: int, hidden: tuple[int, ...], members: int, seed: int) -> Network:
    """Return an ensemble whose biases are not zero, with a calibration."""
    network = initial_network(inputs, hidden, range(seed, seed + members))
    generator = np.random.default_rng(seed)
    biases = tuple(generator.normal(0, 0.3, bias.shape).astype(np.float32) for bias in network.biases)
    return Network(network.kernels, biases, Calibration(0.02, 0.3))
