from __future__ import annotations

import pytest

from deepfactor.errors import ConfigurationError
from deepfactor.models.names import EXPLAINED_MODELS, MODELS, check_models


def test_names() -> None:
    assert MODELS == ("dfm1", "dfm2", "linear", "svr", "forest")
    assert EXPLAINED_MODELS == ("dfm1", "dfm2", "linear")


@pytest.mark.parametrize("signal_model", EXPLAINED_MODELS)
def test_all_models_at_once(signal_model: str) -> None:
    check_models(MODELS, signal_model, "here")


@pytest.mark.parametrize(
    ("models", "signal_model", "message"),
    [
        (
            ("svm", "dfm1", "gpt"),
            "dfm1",
            r"models: there is no svm, gpt; choose from dfm1, dfm2, linear, svr, forest",
        ),
        (("dfm1", "linear", "dfm1"), "linear", "models: dfm1 stands more than once"),
        (("dfm1",), "dfm2", r"signal_model 'dfm2' is not among models \('dfm1',\)"),
        ((), "dfm2", r"signal_model 'dfm2' is not among models \(\)"),
        (("svr", "linear"), "svr", "signal_model 'svr' has no explanation, .* choose from dfm1, dfm2, linear"),
        (("forest",), "forest", "signal_model 'forest' has no explanation"),
    ],
)
def test_mistakes(models: tuple[str, ...], signal_model: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"here: {message}"):
        check_models(models, signal_model, "here")
