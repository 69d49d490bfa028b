"""A network as a Keras model: the exchange with everything that reads ``.keras`` files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from deepfactor.models import backend  # noqa: F401  Keras, imported below, must find TensorFlow set up
from deepfactor.models.base import Network


def keras_model(network: Network, name: str) -> Any:
    """Return the ensemble's forecast as a functional Keras model in float32, of nothing but Keras's own layers.

    Each member is a branch of dense layers (``member1_hidden1``, …, ``member1_output``) on the input ``features``;
    their mean is ``ensemble``, and ``prediction`` is the mean calibrated. A single member has no ``ensemble``.

    Parameters
    ----------
    network
        The weights.
    name
        The model's name; no ``/``.

    Returns
    -------
    keras.Model
        From inputs of shape (n, features), in the order of ``deepfactor.features.FEATURES``, to forecasts of the total
        return of the month after, as fractions, shape (n, 1).
    """
    import keras

    features = keras.Input((network.width,), name="features", dtype="float32")
    outputs = [_member(network, member, features) for member in range(network.members)]
    mean = keras.layers.Average(name="ensemble", dtype="float32")(outputs) if len(outputs) > 1 else outputs[0]
    calibration = network.calibration
    prediction = keras.layers.Rescaling(calibration.slope, calibration.level, name="prediction", dtype="float32")(mean)
    return keras.Model(features, prediction, name=name)


def _member(network: Network, member: int, values: Any) -> Any:
    from keras import layers

    last = len(network.kernels) - 1
    for number, (kernel, bias) in enumerate(zip(network.kernels, network.biases, strict=True)):
        layer = layers.Dense(
            kernel.shape[2],
            activation="relu" if number < last else "linear",
            name=f"member{member + 1}_{f'hidden{number + 1}' if number < last else 'output'}",
            dtype="float32",
        )
        values = layer(values)
        layer.set_weights([kernel[member], bias[member]])
    return values


def to_keras_bytes(network: Network, name: str) -> bytes:
    """Return the ensemble as a ``.keras`` file, which ``keras.models.load_model`` opens without this package.

    Keras writes the time into it, so that twice the same model is not twice the same bytes.

    Parameters
    ----------
    network
        The weights.
    name
        The model's name; no ``/``.
    """
    model = keras_model(network, name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()
