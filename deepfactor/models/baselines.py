"""The paper's baselines: scikit-learn's classes with their default parameters, and what they learned in our forms.

Where scikit-learn-intelex is installed, and wanted, its classes of the same names fit ``svr`` and ``forest``: the same
support vectors to SVR's own tolerance, and another random forest, whose splits are looked for between 256 quantiles.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from deepfactor.cores import available_cores
from deepfactor.models.base import Network
from deepfactor.models.blas import one_thread
from deepfactor.models.forest import Forest
from deepfactor.models.support_vectors import SupportVectors
from deepfactor.models.targets import UNCALIBRATED, Calibration

_ACCELERATOR = "scikit-learn-intelex"
# Megabytes of kernel rows that SVR keeps instead of computing them again; scikit-learn's default is 200. It decides
# how fast it gets there: at 40,000 × 80 in 12 s instead of 20.
_CACHE_MEGABYTES = 2_000


def accelerator(accelerated: bool) -> str | None:
    """Return the version of scikit-learn-intelex where it is wanted and installed; none: plain scikit-learn is used."""
    try:
        return version(_ACCELERATOR) if accelerated else None
    except PackageNotFoundError:
        return None


def fit_linear(
    inputs: NDArray[np.float32], targets: NDArray[np.float64], calibration: Calibration = UNCALIBRATED
) -> Network:
    """Fit LinearRegression and return it as a network of one layer.

    Parameters
    ----------
    inputs
        Shape (n, features).
    targets
        Shape (n,).
    calibration
        From a target to a return.
    """
    from sklearn.linear_model import LinearRegression

    with one_thread():
        model = LinearRegression().fit(inputs.astype(np.float64), targets)
    return Network((model.coef_.reshape(1, -1, 1),), (np.array([[model.intercept_]]),), calibration)


def fit_svr(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float64],
    calibration: Calibration = UNCALIBRATED,
    accelerated: bool = True,
) -> SupportVectors:
    """Fit SVR: radial kernel, C = 1, ε = 0.1, stopped at 0.001.

    Parameters
    ----------
    inputs
        Shape (n, features).
    targets
        Shape (n,).
    calibration
        From a target to a return.
    accelerated
        Whether scikit-learn-intelex may be used.

    Returns
    -------
    SupportVectors
        The same bytes on one core or several.
    """
    gamma = _scaled_gamma(inputs)
    if accelerator(accelerated):
        from sklearnex import svm

        # In single precision, half the time: predictions move by a tenth of the tolerance that SVR stops at.
        model = svm.SVR(gamma=gamma, cache_size=_CACHE_MEGABYTES, n_jobs=_several_threads())
        model.fit(inputs, targets.astype(np.float32))
    else:
        from sklearn import svm

        model = svm.SVR(gamma=gamma, cache_size=_CACHE_MEGABYTES).fit(inputs, targets)
    return SupportVectors(
        vectors=model.support_vectors_.astype(np.float32),
        coefficients=model.dual_coef_[0].astype(np.float64),
        intercept=float(model.intercept_[0]),
        gamma=gamma,
        calibration=calibration,
    )


def fit_forest(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float64],
    calibration: Calibration = UNCALIBRATED,
    seed: int = 0,
    accelerated: bool = True,
) -> Forest:
    """Fit RandomForestRegressor: 100 trees, each grown on a bootstrap sample until its leaves are pure.

    Parameters
    ----------
    inputs
        Shape (n, features), fewer than 255 of them.
    targets
        Shape (n,).
    calibration
        From a target to a return.
    seed
        Of any size; decides the samples that each tree is grown on.
    accelerated
        Whether scikit-learn-intelex may be used.

    Returns
    -------
    Forest
        The same bytes on one core or several.
    """
    # scikit-learn takes no more than 32 bits.
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    if accelerator(accelerated):
        from sklearnex import ensemble

        # In single precision, which the inputs are in anyway and a tree's values are stored in.
        model = ensemble.RandomForestRegressor(random_state=state, n_jobs=_several_threads())
        model.fit(inputs, targets.astype(np.float32))
    else:
        from sklearn import ensemble

        model = ensemble.RandomForestRegressor(random_state=state, n_jobs=-1).fit(inputs, targets)
    return Forest.from_trees([each.tree_ for each in model.estimators_], inputs.shape[1], calibration)


def _scaled_gamma(inputs: NDArray[np.float32]) -> float:
    """Return what SVR's default ``gamma="scale"`` means, in double precision whatever the fit is in."""
    variance = float(inputs.var(dtype=np.float64))
    return 1.0 / (inputs.shape[1] * variance) if variance > 0 else 1.0


def _several_threads() -> int:
    """Return the number of cores, two at least: one thread sums up in another order than several do."""
    return max(2, available_cores())
