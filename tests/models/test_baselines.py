"""The baselines against scikit-learn's own classes, and against themselves in other processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVR

from deepfactor.models import baselines
from deepfactor.models.base import Model
from deepfactor.models.baselines import accelerator, fit_forest, fit_linear, fit_svr
from deepfactor.models.targets import Calibration
from deepfactor.ranks import centred_ranks

WIDTH = 80
CALIBRATION = Calibration(0.01, 0.2)
needs_accelerator = pytest.mark.skipif(
    accelerator(accelerated=True) is None, reason="scikit-learn-intelex has no wheel for this platform"
)


def made_up(rows: int, seed: int = 5) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return ranks, and fat-tailed returns with something to learn in them."""
    generator = np.random.default_rng(seed)
    inputs = generator.uniform(-0.5, 0.5, (rows, WIDTH)).astype(np.float32)
    signal = 0.1 * inputs[:, 0] + 0.5 * inputs[:, 1] * inputs[:, 2]
    return inputs, signal + 0.05 * generator.standard_t(4, rows)


FITS: dict[str, Callable[[NDArray[np.float32], NDArray[np.float64], bool], Model]] = {
    "linear": lambda inputs, targets, _: fit_linear(inputs, targets, CALIBRATION),
    "svr": lambda inputs, targets, accelerated: fit_svr(inputs, targets, CALIBRATION, accelerated),
    "forest": lambda inputs, targets, accelerated: fit_forest(inputs, targets, CALIBRATION, 2**63 - 1, accelerated),
}


def test_linear_is_scikit_learns() -> None:
    inputs, targets = made_up(500)
    expected = LinearRegression().fit(inputs.astype(float), targets).predict(inputs)
    found = fit_linear(inputs, targets, CALIBRATION).member_predictions(inputs)
    np.testing.assert_allclose(found, [0.01 + 0.2 * expected], atol=1e-12)


def test_svr_is_scikit_learns() -> None:
    """With what is its default for gamma, and more cache."""
    inputs, targets = made_up(800)
    expected = SVR().fit(inputs[:500], targets[:500]).predict(inputs)
    model = fit_svr(inputs[:500], targets[:500], CALIBRATION, accelerated=False)
    np.testing.assert_allclose(model.member_predictions(inputs), [0.01 + 0.2 * expected], atol=1e-12)


def test_forest_is_scikit_learns() -> None:
    inputs, targets = made_up(600)
    model = fit_forest(inputs[:300], targets[:300], CALIBRATION, 2**63 - 1, accelerated=False)
    state = int(np.random.SeedSequence(2**63 - 1).generate_state(1)[0])
    expected = RandomForestRegressor(random_state=state).fit(inputs[:300], targets[:300]).predict(inputs)
    # What single precision leaves of a leaf's value of up to 0.5.
    np.testing.assert_allclose(model.member_predictions(inputs), [0.01 + 0.2 * expected], rtol=0, atol=1e-8)


@needs_accelerator
@pytest.mark.parametrize("kind", ["return", "rank"])
def test_accelerated_svr_agrees_to_svrs_own_tolerance(kind: str) -> None:
    inputs, targets = made_up(4000)
    targets = targets if kind == "return" else centred_ranks(targets)
    ours, plain = (
        fit_svr(inputs[:3000], targets[:3000], accelerated=accelerated).member_predictions(inputs[3000:])[0]
        for accelerated in (True, False)
    )
    assert not np.array_equal(ours, plain)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-3)
    assert np.corrcoef(ours, plain)[0, 1] > 0.999


@needs_accelerator
def test_accelerated_forest_is_as_good_another() -> None:
    """Two forests of plain scikit-learn with other seeds agree as little with each other."""
    inputs, targets = made_up(3000)
    train, test = slice(1000), slice(1000, None)
    fits = [(1, True), (1, False), (2, False)]
    ours, plain, another = (
        fit_forest(inputs[train], targets[train], seed=seed, accelerated=accelerated).member_predictions(inputs[test])[
            0
        ]
        for seed, accelerated in fits
    )
    errors = [np.mean((each - targets[test]) ** 2) for each in (ours, plain, another)]
    assert max(errors) < 1.02 * min(errors)
    assert max(errors) < 0.95 * targets[test].var()
    assert np.corrcoef(ours, plain)[0, 1] > np.corrcoef(another, plain)[0, 1] - 0.03


def digest_of_baselines() -> str:
    """Fit each baseline, predict, and return a digest of every number."""
    # So many that one thread gives other bits than two, if it is let.
    inputs, targets = made_up(10_000)
    linear = fit_linear(inputs, targets)
    svr = fit_svr(inputs, centred_ranks(targets))
    forest = fit_forest(inputs[:1000], targets[:1000], seed=3)
    plain = fit_forest(inputs[:100], targets[:100], seed=3, accelerated=False)
    digest = hashlib.sha256()
    for model in (linear, svr, forest, plain):
        digest.update(model.to_bytes())
        digest.update(model.member_predictions(inputs[:500]).tobytes())
    return digest.hexdigest()


def test_the_same_bits_on_one_core_and_two_and_not_a_word() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.fail("this test compares one core with two, and needs a machine with two")
    code = "from tests.models.test_baselines import digest_of_baselines; print(digest_of_baselines())"
    first, *more = sorted(os.sched_getaffinity(0))
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda cores=cores: os.sched_setaffinity(0, cores),
        )
        for cores in ({first}, {first, more[0]})
    ]
    assert len({run.stdout for run in runs}) == 1
    assert [run.stderr for run in runs] == ["", ""]


@pytest.mark.parametrize("name", list(FITS))
def test_the_same_bytes_twice_and_from_their_bytes(name: str) -> None:
    inputs, targets = made_up(300)
    first, second = (FITS[name](inputs, targets, True) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    read = type(first).from_bytes(first.to_bytes())  # type: ignore[attr-defined]
    np.testing.assert_array_equal(read.member_predictions(inputs), first.member_predictions(inputs))


@pytest.mark.parametrize("accelerated", [True, False])
def test_a_forest_depends_on_its_seed(accelerated: bool) -> None:
    inputs, targets = made_up(200)
    seeds = (0, 1, 2**32, 2**63 - 1)
    bodies = {fit_forest(inputs, targets, seed=seed, accelerated=accelerated).to_bytes() for seed in seeds}
    assert len(bodies) == len(seeds)


def test_regression() -> None:
    inputs, targets = made_up(300)
    found = {name: fit(inputs, targets, False).member_predictions(inputs[:1])[0, 0] for name, fit in FITS.items()}
    # What scikit-learn 1.9 gave; another version may draw other samples.
    assert found == pytest.approx({"linear": 0.0036869, "svr": 0.0118096, "forest": 0.0245377}, abs=1e-6)


class TestWhereIntelexIsNotInstalled:
    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(baselines, "_ACCELERATOR", "a-package-that-nobody-has-installed")

    def test_the_card_has_no_version(self) -> None:
        assert accelerator(accelerated=True) is None

    @pytest.mark.parametrize("name", ["svr", "forest"])
    def test_plain_scikit_learn_is_used(self, name: str) -> None:
        inputs, targets = made_up(100)
        wanted, plain = (FITS[name](inputs, targets, accelerated) for accelerated in (True, False))
        assert wanted.to_bytes() == plain.to_bytes()


@needs_accelerator
def test_the_version_of_what_was_used() -> None:
    assert int(str(accelerator(accelerated=True)).split(".")[0]) >= 2026
    assert accelerator(accelerated=False) is None


def test_constant_inputs_have_a_kernel_too() -> None:
    """scikit-learn's gamma where nothing varies is 1."""
    inputs, targets = np.zeros((50, 3), np.float32), np.linspace(-0.5, 0.5, 50)
    assert fit_svr(inputs, targets, accelerated=False).gamma == SVR().fit(inputs, targets)._gamma == 1.0
