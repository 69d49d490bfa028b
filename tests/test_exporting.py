"""``deepfactor export`` on a real endpoint: what is published comes out, and nothing else does."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from deepfactor.cli import app
from deepfactor.committing import commit
from deepfactor.config import Config
from deepfactor.errors import ConfigurationError, IntegrityError, StoreError
from deepfactor.exporting import export_model
from deepfactor.features import FEATURES, prediction_samples, rank_panel
from deepfactor.models.base import Network
from deepfactor.models.targets import Calibration
from deepfactor.monthly import run_month
from deepfactor.months import Window
from deepfactor.objects import json_to_bytes
from deepfactor.publication import Manifest
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.conftest import AS_OF
from tests.models.networks import random_network

CALIBRATION = Calibration(level=0.01, slope=0.05)
INPUTS = np.random.default_rng(3).uniform(-0.5, 0.5, (50, 80)).astype(np.float32)


def publish_networks(store: Store, run_id: str, *, replaced: bool = False, **networks: Network) -> Manifest:
    """Publish a month that consists of models only."""
    named = {}
    for model, network in networks.items():
        card = json_to_bytes({"model": model, "run": run_id, "features": list(FEATURES)})
        for name, body in (("weights.safetensors", network.to_bytes()), ("card.json", card)):
            name = f"models/{model}/{name}"
            named[name] = store.put_immutable(f"runs/{AS_OF}/{run_id}/{name}", body)
    manifest = Manifest(AS_OF, run_id, "dfm2", "code", "digest", {}, (), named)
    commit(store, manifest, replace=replaced)
    return manifest


@pytest.fixture(scope="module")
def network() -> Network:
    """A small calibrated ensemble."""
    return replace(random_network(80, (6, 4), members=3, seed=1), calibration=CALIBRATION)


@pytest.fixture
def manifest(store: Store, network: Network) -> Manifest:
    """A month with one network."""
    return publish_networks(store, "first", dfm2=network)


def predicted(keras_file: bytes, folder: Path, inputs: NDArray[np.float32] = INPUTS) -> NDArray[np.float32]:
    """Predict with the file."""
    import keras

    path = folder / f"{secrets.token_hex(4)}.keras"
    path.write_bytes(keras_file)
    found: NDArray[np.float32] = keras.models.load_model(path).predict(inputs, verbose=0)[:, 0]
    return found


class TestExport:
    @pytest.mark.usefixtures("manifest")
    def test_what_is_published(self, store: Store, network: Network, tmp_path: Path) -> None:
        exported = export_model(store, AS_OF, "dfm2")
        expected = network.member_predictions(INPUTS).mean(axis=0)
        np.testing.assert_allclose(predicted(exported.keras_file, tmp_path), expected, rtol=0, atol=1e-6)
        assert exported.run_id == "first"
        assert json.loads(exported.card)["features"] == list(FEATURES)

    @pytest.mark.usefixtures("manifest")
    def test_what_was_published_before_it_was_replaced(self, store: Store, network: Network, tmp_path: Path) -> None:
        other = replace(network, calibration=Calibration(-0.01, 0.02))
        publish_networks(store, "second", dfm2=other, replaced=True)
        for run_id, counts in ((None, other), ("second", other), ("first", network)):
            exported = export_model(store, AS_OF, "dfm2", run_id)
            assert exported.run_id == run_id or run_id is None
            expected = counts.member_predictions(INPUTS).mean(axis=0)
            np.testing.assert_allclose(predicted(exported.keras_file, tmp_path), expected, rtol=0, atol=1e-6)


def test_the_predictions_of_a_real_month(store: Store, small_config: Config, tmp_path: Path) -> None:
    """From a published run's own descriptors, Keras gives the signals that were published."""
    models = ("dfm1", "linear")
    # Enough epochs to predict better than the mean, without which a month fails.
    training = replace(small_config.training, target="rank", epochs=10)
    config = replace(small_config, models=models, signal_model="dfm1", training=training)
    manifest = run_month(AS_OF, store, config, after=lambda *_: None)
    described = store.read_frame(manifest.named_objects["descriptors.parquet"])
    samples = prediction_samples(rank_panel(described, Window(AS_OF)), Window(AS_OF), config.universe)
    signals = store.read_frame(manifest.named_objects["signals.parquet"])
    for model in models:
        exported = export_model(store, AS_OF, model)
        assert json.loads(exported.card)["features"] == list(FEATURES)
        found = dict(zip(samples.security_ids, predicted(exported.keras_file, tmp_path, samples.inputs), strict=True))
        published = dict(signals.filter(model=model).select("security_id", "prediction").iter_rows())
        assert found.keys() == published.keys()
        assert found == pytest.approx(published, rel=0, abs=1e-6)


class TestValidation:
    def test_a_month_that_is_not_published(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"2016-02 is not published in s3://.*: run the month first"):
            export_model(store, AS_OF, "dfm2")

    @pytest.mark.usefixtures("manifest")
    def test_a_run_that_has_not_published(self, store: Store) -> None:
        with pytest.raises(StoreError, match="run third has not published 2016-02 in s3://"):
            export_model(store, AS_OF, "dfm2", "third")

    @pytest.mark.usefixtures("manifest")
    @pytest.mark.parametrize("model", ["svr", "forest", "gpt"])
    def test_a_model_that_is_no_network(self, store: Store, model: str) -> None:
        with pytest.raises(ConfigurationError, match=f"'{model}' is not a network.*choose from dfm1, dfm2, linear"):
            export_model(store, AS_OF, model)

    @pytest.mark.usefixtures("manifest")
    def test_a_model_that_was_not_trained(self, store: Store) -> None:
        with pytest.raises(
            StoreError, match=r"without weights.safetensors of linear \(run first\); its models are dfm2"
        ):
            export_model(store, AS_OF, "linear")

    @pytest.mark.parametrize("name", ["weights.safetensors", "card.json"])
    def test_an_object_that_differs_from_what_was_published(self, store: Store, manifest: Manifest, name: str) -> None:
        key = manifest.named_objects[f"models/dfm2/{name}"].key
        body = bytearray(store.get(key))
        body[-1] ^= 1
        store.put(key, bytes(body))
        with pytest.raises(IntegrityError, match=rf"{name} is not what was written"):
            export_model(store, AS_OF, "dfm2")


@pytest.fixture
def published(endpoint: Endpoint, store: Store, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The month, in a store named as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", store.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)
    return manifest


def call(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["export", "--month", "2016-02", *arguments], catch_exceptions=False)


@pytest.mark.usefixtures("published")
class TestCommand:
    def test_model_and_card_are_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = call("--model", "dfm2")
        assert result.exit_code == 0, result.stderr
        assert "dfm2 of 2016-02, run first: dfm2-2016-02.keras, and its card" in result.stdout
        expected = network.member_predictions(INPUTS).mean(axis=0)
        found = predicted((tmp_path / "dfm2-2016-02.keras").read_bytes(), tmp_path)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
        assert json.loads((tmp_path / "dfm2-2016-02.json").read_text())["run"] == "first"

    @pytest.mark.parametrize("there", ["mine.keras", "mine.json"])
    def test_nothing_is_overwritten_unless_asked(self, tmp_path: Path, there: str) -> None:
        (tmp_path / there).write_text("mine")
        arguments = ["--model", "dfm2", "--to", str(tmp_path / "mine.keras"), "--run", "first"]
        refused = call(*arguments)
        assert refused.exit_code == 2
        assert "pass --force" in " ".join(refused.stderr.replace("│", "").split())
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
        assert call(*arguments, "--force").exit_code == 0
        assert (tmp_path / there).read_bytes() != b"mine"

    def test_another_ending(self, tmp_path: Path) -> None:
        result = call("--model", "dfm2", "--to", str(tmp_path / "mine.h5"))
        assert result.exit_code == 2
        assert "Keras opens only files that end in .keras" in " ".join(result.stderr.replace("│", "").split())

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        result = call("--model", "dfm2", "--to", str(tmp_path / "no" / "mine.keras"))
        assert result.exit_code == 2
        assert "No such file or directory" in " ".join(result.stderr.replace("│", "").split())

    def test_what_cannot_be_exported_is_told(self, tmp_path: Path) -> None:
        result = call("--model", "svr", "--to", str(tmp_path / "mine.keras"))
        assert result.exit_code == 1
        assert "ConfigurationError: 'svr' is not a network" in result.stderr
        assert "Traceback" not in result.stderr
        assert list(tmp_path.iterdir()) == []
