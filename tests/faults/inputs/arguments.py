"""The command line: every command that works on a store or a delivery, with options that do not belong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from typer.testing import CliRunner

from tests.faults.inputs.fuzzing import CORPUS, Case
from tests.faults.inputs.mutation import WORDS

_MONTHS = ("2013-01", "2013-02", "2013-03", "2199-12", "1900-01", "2013-1")
_NAMES = ("dfm1", "dfm2", "linear", "svr", "linear,dfm2", "1300", "1307", "top", "bottom", "long-short")
_NUMBERS = ("0", "1", "-1", "5", "1e400", "nan", "inf", "10", "1.5", "9" * 30)
# A run, a backtest and a simulation that are given what they need compute for minutes: one of their options is wrong.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "run": ("--month", "--config", "--replace"),
    "show": ("--month",),
    "validate": ("--month", "--config", "--documents", "--json"),
    "simulate": ("--premia", "--seed", "--stocks"),
    "backtest": (
        "--from",
        "--to",
        "--config",
        "--months",
        "--models",
        "--stocks",
        "--members",
        "--workers",
        "--memory",
    ),
    "evaluate": (
        "--from",
        "--to",
        "--source",
        "--config",
        "--basis-points",
        "--missing-return",
        "--trials",
        "--json",
        "--html",
        "--force",
    ),
    "explain": ("--month", "--security", "--portfolio", "--model", "--json", "--html", "--force"),
    "export": ("--month", "--model", "--to", "--run", "--force"),
    "verify": ("--month", "--json", "--all"),
    "gc": ("--dry-run", "--json"),
    "restore": ("--from", "--month", "--all", "--endpoint", "--replace"),
    "nothing": (),
}
_FLAGS = {"--json", "--force", "--replace", "--all", "--dry-run"}
_REQUIRED = ("--month", "--from", "--to", "--model")


@contextmanager
def cases() -> Iterator[Case]:
    """Call a command, in a folder with a delivery that has no history."""
    from deepfactor.cli import app

    delivery = Path("delivery")
    delivery.mkdir()
    (delivery / "prices.csv").write_bytes((CORPUS / "prices.csv").read_bytes())
    Path("weights.csv").write_text("security_id,weight\n1300,1\n1307,-1\n")
    runner = CliRunner()
    kept = {path.name for path in Path.cwd().iterdir()}

    def case(random: Random) -> str:
        given = _given(random)
        result = runner.invoke(app, given)
        error = result.exception
        assert error is None or isinstance(error, SystemExit), f"{given}: {type(error).__name__}: {error}"
        assert result.exit_code in (0, 1, 2), f"{given}: exit code {result.exit_code}"
        assert "Traceback" not in result.output, f"{given}: {result.output[-500:]}"
        assert result.exit_code == 0 or result.output.strip(), f"{given}: no message"
        _clear(kept, given)
        return {0: "done", 1: "refused", 2: "wrong usage"}[result.exit_code]

    yield case


def _given(random: Random) -> list[str]:
    command = random.choice(list(_OPTIONS))
    options = _OPTIONS[command]
    given = [command]
    for option in options:
        if random.random() < (0.9 if option in _REQUIRED else 0.3):
            given += [option] if option in _FLAGS else [option, _value(random, option)]
    if command in ("run", "validate", "backtest"):
        given += ["--source", random.choice(("delivery", "nowhere", "s3://", "s3://nowhere", *_argument_words()))]
    elif command == "simulate":
        given += [
            "--to",
            random.choice(("delivery", "weights.csv", "weights.csv/x", "/dev/null", "/proc/x", "x" * 300)),
        ]
    elif command == "restore" and "--from" not in given:
        given += ["--from", "s3://nowhere"]
    if random.random() < 0.1:
        given.insert(
            random.randint(0, len(given)), random.choice(("--nothing", "--", "-v", "-x", "", *_argument_words()))
        )
    return given


def _value(random: Random, option: str) -> str:
    if random.random() < 0.2:
        return random.choice(_argument_words())
    if option in ("--month", "--from", "--to", "--months"):
        return random.choice(_MONTHS)
    if option in ("--config", "--html", "--documents"):
        return random.choice(("weights.csv", "delivery", "page.html", "/dev/null", "/proc/x", "a/b/c", "x" * 300))
    if option in ("--security", "--portfolio", "--model", "--models", "--run", "--premia"):
        return random.choice((*_NAMES, "weights.csv"))
    if option == "--endpoint":
        return random.choice(("http://127.0.0.1:9", "x", "http://"))
    return random.choice(_NUMBERS)


def _argument_words() -> list[str]:
    # The system passes no zero byte in an argument.
    return [each for each in WORDS if "\0" not in each and each != "s3://bucket"] + [os.fsdecode(b"\xff\xfe")]


def _clear(kept: set[str], given: list[str]) -> None:
    """Remove what a command was told to write; what nobody named must not be there."""
    for path in Path.cwd().iterdir():
        if path.name not in kept:
            named = any(path.name == Path(each).parts[0] for each in given if each and not Path(each).is_absolute())
            assert named or path.suffix in (".keras", ".json"), f"{given}: {path.name} was written"
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        for each in path.iterdir():
            _remove(each)
        path.rmdir()
    else:
        path.unlink()
