"""What support vector regression has learned, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from deepfactor.errors import IntegrityError
from deepfactor.models.base import read_tensors
from deepfactor.models.blas import one_thread
from deepfactor.models.targets import UNCALIBRATED, Calibration

# Numbers of the kernel that are held at a time: 32 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class SupportVectors:
    """The score is the intercept plus the coefficients' sum over ``exp(−gamma × |input − vector|²)``.

    Attributes
    ----------
    vectors
        Shape (vectors, features).
    coefficients
        Dual coefficients, shape (vectors,), in units of the target.
    intercept
        In units of the target.
    gamma
        Width of the kernel, positive.
    calibration
        From the score to a return.
    """

    vectors: NDArray[np.float32]
    coefficients: NDArray[np.float64]
    intercept: float
    gamma: float
    calibration: Calibration = UNCALIBRATED

    def member_predictions(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the forecast of return, shape (1, n), for inputs of shape (n, features)."""
        return self.calibration(self.scores(inputs))[None]

    def scores(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the score before it is calibrated, shape (n,), for inputs of shape (n, features)."""
        vectors = self.vectors.astype(np.float64)
        lengths = (vectors**2).sum(axis=1)
        scores = np.empty(len(inputs))
        rows = max(1, _BLOCK // max(1, len(vectors)))
        with one_thread():
            for first in range(0, len(inputs), rows):
                block = inputs[first : first + rows].astype(np.float64)
                # −|a − b|² = 2ab − |b|² − |a|², so that one product of matrices does nearly all of it.
                kernel = block @ (2.0 * vectors.T)
                kernel -= lengths
                kernel -= (block**2).sum(axis=1)[:, None]
                kernel *= self.gamma
                np.exp(kernel, out=kernel)
                scores[first : first + rows] = kernel @ self.coefficients + self.intercept
        return scores

    def to_bytes(self) -> bytes:
        """Return vectors, coefficients, intercept, gamma and calibration as safetensors."""
        body: bytes = save(
            {
                "vectors": np.ascontiguousarray(self.vectors),
                "coefficients": np.ascontiguousarray(self.coefficients),
                "intercept_and_gamma": np.array([self.intercept, self.gamma]),
                "calibration": self.calibration.tensor(),
            }
        )
        return body

    @classmethod
    def from_bytes(cls, body: bytes) -> SupportVectors:
        """Read what :meth:`to_bytes` gives.

        Raises
        ------
        IntegrityError
            If they are not support vectors and what belongs to them.
        """
        tensors = read_tensors(body)
        try:
            vectors, coefficients = tensors["vectors"], tensors["coefficients"]
            intercept, gamma = map(float, tensors["intercept_and_gamma"])
            calibration = Calibration.from_tensor(tensors["calibration"])
        except KeyError as error:
            raise IntegrityError(f"the support vectors lack {error}; they hold {sorted(tensors)}") from None
        except ValueError as error:
            raise IntegrityError(f"the support vectors cannot be read: {error}") from None
        if vectors.ndim != 2 or coefficients.shape != vectors.shape[:1]:
            raise IntegrityError(
                f"the support vectors do not fit: vectors {vectors.shape}, coefficients {coefficients.shape}"
            )
        if not (np.isfinite(vectors).all() and np.isfinite(coefficients).all()):
            raise IntegrityError("a support vector or a coefficient is not finite")
        if not (np.isfinite([intercept, gamma]).all() and gamma > 0):
            raise IntegrityError(f"intercept {intercept}, gamma {gamma}: finite, and gamma positive, they must be")
        return cls(vectors, coefficients, intercept, gamma, calibration)
