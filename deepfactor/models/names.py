"""The names of the models, and which of them can be explained."""

from __future__ import annotations

from collections.abc import Sequence

from deepfactor.errors import ConfigurationError
from deepfactor.models.networks import HIDDEN_LAYERS

# Those with layer-wise relevance.
EXPLAINED_MODELS: tuple[str, ...] = (*HIDDEN_LAYERS, "linear")
MODELS: tuple[str, ...] = (*EXPLAINED_MODELS, "svr", "forest")


def check_models(models: Sequence[str], signal_model: str, where: str) -> None:
    """Refuse models that do not exist, and a signal model that is not trained or has no explanation.

    Parameters
    ----------
    models
        What is trained.
    signal_model
        Which of them ranks the report.
    where
        Who says so, for the message.

    Raises
    ------
    ConfigurationError
        Naming the model and the choice.
    """
    if unknown := [name for name in models if name not in MODELS]:
        raise ConfigurationError(f"{where}: models: there is no {', '.join(unknown)}; choose from {', '.join(MODELS)}")
    if twice := sorted({name for name in models if models.count(name) > 1}):
        raise ConfigurationError(f"{where}: models: {', '.join(twice)} stands more than once")
    if signal_model not in models:
        raise ConfigurationError(f"{where}: signal_model {signal_model!r} is not among models {tuple(models)}")
    if signal_model not in EXPLAINED_MODELS:
        raise ConfigurationError(
            f"{where}: signal_model {signal_model!r} has no explanation, which the report needs; choose from "
            f"{', '.join(EXPLAINED_MODELS)}"
        )
