"""What a trained model is: weights in NumPy that predict without the library that trained them.

A linear model is a network of one layer and one member, so attribution knows one kind of model.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from deepfactor.errors import IntegrityError
from deepfactor.models.targets import UNCALIBRATED, Calibration
from deepfactor.months import Month


class Model(Protocol):
    """A trained model that predicts from its weights alone."""

    def member_predictions(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return each member's forecast of return, shape (members, n), for inputs of shape (n, features)."""
        ...

    def to_bytes(self) -> bytes:
        """Return the weights as safetensors."""
        ...


@dataclass(frozen=True)
class Network:
    """An ensemble of equally shaped ReLU networks with a linear output.

    Attributes
    ----------
    kernels
        One array per layer, shape (members, in, out).
    biases
        One array per layer, shape (members, out).
    calibration
        From the output to a return.
    """

    kernels: tuple[NDArray[np.floating[Any]], ...]
    biases: tuple[NDArray[np.floating[Any]], ...]
    calibration: Calibration = UNCALIBRATED

    @property
    def members(self) -> int:
        """Number of networks in the ensemble."""
        return int(self.kernels[0].shape[0])

    @property
    def width(self) -> int:
        """Number of inputs."""
        return int(self.kernels[0].shape[1])

    @cached_property
    def layers(self) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]:
        """Kernels and biases in float64: (members, in, out) and (members, 1, out)."""
        return tuple(
            (kernel.astype(np.float64), bias.astype(np.float64)[:, None, :])
            for kernel, bias in zip(self.kernels, self.biases, strict=True)
        )

    def member_predictions(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return each member's forecast of return, shape (members, n), for inputs of shape (n, features)."""
        return self.calibration(self.member_scores(inputs))

    def member_scores(self, inputs: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return each member's output before it is calibrated, shape (members, n), for inputs (n, features)."""
        values: NDArray[np.float64] = inputs.astype(np.float64)[None]
        for number, (kernel, bias) in enumerate(self.layers):
            values = values @ kernel + bias
            if number < len(self.layers) - 1:
                values = np.maximum(values, 0.0)
        return values[..., 0]

    def to_bytes(self) -> bytes:
        """Return the weights as safetensors."""
        tensors = {"calibration": self.calibration.tensor()}
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            tensors[f"layer{number}/kernel"] = np.ascontiguousarray(kernel)
            tensors[f"layer{number}/bias"] = np.ascontiguousarray(bias)
        body: bytes = save(tensors)
        return body

    @classmethod
    def from_bytes(cls, body: bytes) -> Network:
        """Read the weights from safetensors.

        Raises
        ------
        IntegrityError
            If they are not the layers of one network.
        """
        tensors = read_tensors(body)
        numbers = range(len(tensors) // 2)
        try:
            kernels = tuple(tensors[f"layer{number}/kernel"] for number in numbers)
            biases = tuple(tensors[f"layer{number}/bias"] for number in numbers)
            calibration = Calibration.from_tensor(tensors["calibration"])
        except KeyError as error:
            raise IntegrityError(f"the weights lack {error}; they hold {sorted(tensors)}") from None
        except ValueError as error:
            raise IntegrityError(f"the weights' calibration is none: {error}") from None
        if not kernels or any(a.shape[2] != b.shape[1] for a, b in pairwise(kernels)):
            raise IntegrityError(f"the weights' layers do not fit: {[kernel.shape for kernel in kernels]}")
        return cls(kernels, biases, calibration)


def read_tensors(body: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of safetensors by name.

    Raises
    ------
    IntegrityError
        If the bytes are none.
    """
    try:
        tensors: dict[str, NDArray[Any]] = load(body)
    except SafetensorError as error:
        raise IntegrityError(f"the weights are no safetensors: {error}") from None
    return tensors


@dataclass(frozen=True)
class TrainedModel:
    """A model and the card that says how it came about; both are the same for the same inputs.

    Attributes
    ----------
    model
        The weights.
    card
        JSON-able: data, hyper-parameters, seeds, losses.
    """

    model: Model
    card: dict[str, Any]


def member_seeds(month: Month, model: str, members: int, attempt: int = 1) -> tuple[int, ...]:
    """Return a 63-bit seed for each member, from nothing but (month, model, member) and which attempt it is."""
    again = [] if attempt == 1 else [attempt]
    texts = [json.dumps([str(month), model, member, *again]) for member in range(members)]
    return tuple(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1 for text in texts)
