"""A generated delivery lies in its folder wholly, unchanged, or not at all."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepfactor.errors import ConfigurationError
from deepfactor.sources.landing import land_once

PARAMETERS = {"version": 1, "stocks": 40}


def write(folder: Path) -> dict[str, Any]:
    (folder / "prices").mkdir()
    (folder / "prices" / "2016.csv").write_text("a,b\n1,2\n")
    (folder / "index.csv").write_text("month\n2016-02\n")
    return {"counts": {"firms": 2}}


def unwanted(_: Path) -> dict[str, Any]:
    raise AssertionError("landed again")


@pytest.fixture
def market(tmp_path: Path) -> Path:
    land_once(tmp_path / "market", PARAMETERS, write)
    return tmp_path / "market"


class TestRegression:
    def test_the_truth_names_every_file(self, market: Path) -> None:
        truth = json.loads((market / "truth.json").read_text())
        assert truth == {
            "parameters": PARAMETERS,
            "counts": {"firms": 2},
            "files": {
                "index.csv": {
                    "size": 14,
                    "sha256": "6e554ff968b9b3d7e9e04108240342e1001b7b84c05c9c803668091c3f1c4e33",
                },
                "prices/2016.csv": {
                    "size": 8,
                    "sha256": "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470",
                },
            },
        }

    def test_a_second_landing_does_nothing(self, market: Path) -> None:
        land_once(market, PARAMETERS, unwanted)
        assert [path.name for path in market.parent.iterdir()] == ["market"]

    def test_an_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "market").mkdir()
        land_once(tmp_path / "market", PARAMETERS, write)
        assert (tmp_path / "market" / "index.csv").exists()

    def test_what_a_file_manager_leaves_does_not_matter(self, market: Path) -> None:
        (market / ".DS_Store").write_text("x")
        land_once(market, PARAMETERS, unwanted)


class TestLeftovers:
    def test_of_a_landing_that_was_killed(self, tmp_path: Path) -> None:
        """The lock goes with the process, so the next one knows that nobody is landing."""
        fork = multiprocessing.get_context("fork")
        begun = fork.Event()

        def killed(folder: Path) -> dict[str, Any]:
            (folder / "half").write_text("x")
            begun.set()
            time.sleep(60)
            return {}

        process = fork.Process(target=land_once, args=(tmp_path / "market", PARAMETERS, killed))
        process.start()
        assert begun.wait(10)
        process.kill()
        process.join()
        assert len(list(tmp_path.glob(".market.landing-*/half"))) == 1
        land_once(tmp_path / "market", PARAMETERS, write)
        assert [path.name for path in tmp_path.iterdir()] == ["market"]

    def test_of_other_folders_stay(self, tmp_path: Path) -> None:
        others = [".market-80.landing-x", ".other.landing-x", "market.landing-x"]
        for name in others:
            (tmp_path / name).mkdir()
        land_once(tmp_path / "market", PARAMETERS, write)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "market"])

    def test_a_name_with_signs_of_a_pattern(self, tmp_path: Path) -> None:
        for name in (".m[a]*.landing-x", ".ma1.landing-x"):
            (tmp_path / name).mkdir()
        land_once(tmp_path / "m[a]*", PARAMETERS, write)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".ma1.landing-x", "m[a]*"]

    def test_stay_where_nobody_can_tell_whether_they_are_dead(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fcntl, "flock", _failing(OSError(9, "Bad file descriptor")))
        (tmp_path / ".market.landing-x").mkdir()
        land_once(tmp_path / "market", PARAMETERS, write)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".market.landing-x", "market"]

    def test_a_crash_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"market: nothing can be written .*No space left.*make room"):
            land_once(tmp_path / "market", PARAMETERS, _failing(OSError(28, "No space left on device")))
        assert not any(tmp_path.iterdir())


class TestTwoAtOnce:
    def test_the_second_waits_and_finds_it_done(self, tmp_path: Path) -> None:
        begun, go_on, calls = threading.Event(), threading.Event(), []

        def slowly(folder: Path) -> dict[str, Any]:
            calls.append(folder)
            begun.set()
            assert go_on.wait(10)
            return write(folder)

        threads = [threading.Thread(target=land_once, args=(tmp_path / "market", PARAMETERS, slowly)) for _ in "ab"]
        threads[0].start()
        assert begun.wait(10)
        threads[1].start()
        threads[1].join(0.2)
        assert threads[1].is_alive()
        assert len(list(tmp_path.glob(".market.landing-*"))) == 1
        go_on.set()
        for thread in threads:
            thread.join(10)
        assert len(calls) == 1
        land_once(tmp_path / "market", PARAMETERS, unwanted)

    def test_without_locks_the_first_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fcntl, "flock", _failing(OSError(9, "Bad file descriptor")))

        def overtaken(folder: Path) -> dict[str, Any]:
            land_once(tmp_path / "market", PARAMETERS, write)
            return write(folder)

        land_once(tmp_path / "market", PARAMETERS, overtaken)
        assert [path.name for path in tmp_path.iterdir()] == ["market"]


class TestValidation:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda folder: (folder / "index.csv").write_text("month\n2016-03\n"), "index.csv was changed"),
            (lambda folder: (folder / "index.csv").write_text("month\n"), "index.csv was changed"),
            (lambda folder: (folder / "prices" / "2016.csv").unlink(), "prices/2016.csv is missing"),
            (lambda folder: (folder / "prices" / "2017.csv").write_text(""), "prices/2017.csv was added"),
        ],
    )
    def test_what_was_changed_after_landing_is_noticed(
        self, market: Path, change: Callable[[Path], object], expected: str
    ) -> None:
        change(market)
        with pytest.raises(ConfigurationError, match=f"{market} is not what was landed there: {expected}. Remove the"):
            land_once(market, PARAMETERS, unwanted)

    @pytest.mark.parametrize("files", [None, 3, {"index.csv": 14}, {"index.csv": {"size": "x", "sha256": ""}}])
    def test_a_damaged_truth_is_noticed(self, market: Path, files: object) -> None:
        (market / "truth.json").write_text(json.dumps({"parameters": PARAMETERS, "files": files}))
        with pytest.raises(ConfigurationError, match="is not what was landed there: truth.json was changed"):
            land_once(market, PARAMETERS, unwanted)

    def test_other_parameters_are_refused(self, market: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"'stocks': 40.*'stocks': 50.*name another folder, or remove"):
            land_once(market, PARAMETERS | {"stocks": 50}, unwanted)

    @pytest.mark.parametrize("truth", [None, "{", "[]", '{"a": 1}'])
    def test_a_folder_of_something_else_is_left_alone(self, tmp_path: Path, truth: str | None) -> None:
        (tmp_path / "precious.txt").write_text("data")
        if truth is not None:
            (tmp_path / "truth.json").write_text(truth)
        with pytest.raises(ConfigurationError, match="is not a simulated market, so none is landed there"):
            land_once(tmp_path, PARAMETERS, unwanted)
        assert (tmp_path / "precious.txt").read_text() == "data"

    def test_a_file_where_the_folder_belongs(self, tmp_path: Path) -> None:
        (tmp_path / "market").write_text("data")
        with pytest.raises(ConfigurationError, match="is not a simulated market"):
            land_once(tmp_path / "market", PARAMETERS, unwanted)


def _failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail
