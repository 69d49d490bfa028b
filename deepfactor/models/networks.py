"""The paper's two networks (Nakagawa, Uchida, Aoshima 2018, Table 2), and their initial weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from deepfactor.models.base import Network

HIDDEN_LAYERS: dict[str, tuple[int, ...]] = {
    "dfm1": (80, 50, 10),
    "dfm2": (80, 80, 50, 50, 10, 10),
}


def initial_network(inputs: int, hidden: Sequence[int], seeds: Sequence[int]) -> Network:
    """Return an untrained ensemble, one member per seed: Glorot-uniform kernels, zero biases, as Keras has them.

    Parameters
    ----------
    inputs
        Number of features.
    hidden
        Widths of the hidden layers; a single output follows.
    seeds
        One per member; a member's weights depend on its own seed only.
    """
    generators = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
    widths = (inputs, *hidden, 1)
    kernels, biases = [], []
    for width_in, width_out in pairwise(widths):
        limit = np.sqrt(6.0 / (width_in + width_out))
        drawn = [generator.uniform(-limit, limit, (width_in, width_out)) for generator in generators]
        kernels.append(np.stack(drawn).astype(np.float32))
        biases.append(np.zeros((len(seeds), width_out), dtype=np.float32))
    return Network(tuple(kernels), tuple(biases))
