"""The paper's linear baseline, with scikit-learn's default parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deepfactor.models.base import Network


def fit_linear(inputs: NDArray[np.float32], targets: NDArray[np.float64]) -> Network:
    """Fit scikit-learn's LinearRegression and return it as a network of one layer.

    Parameters
    ----------
    inputs
        Shape (n, features).
    targets
        Shape (n,).
    """
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(inputs.astype(np.float64), targets)
    return Network((model.coef_.reshape(1, -1, 1),), (np.array([[model.intercept_]]),))
