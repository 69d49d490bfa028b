"""Every command, file and snippet that README and CONTRIBUTING name is there and means what it says."""

import re
import shlex
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import deepfactor.publication
from deepfactor.attribution.tables import RELEVANCE
from deepfactor.cli import app
from deepfactor.config import load_config
from deepfactor.months import Month
from deepfactor.publication import Manifest, PublishedMonth
from deepfactor.schemas import ATTRIBUTION, CORRELATIONS, LEDGER, PORTFOLIOS, RAW, SHARES, SIGNALS, Table
from deepfactor.store import Store

ROOT = Path(__file__).resolve().parents[1]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
README = PAGES["README.md"]

# Installed from requirements-dev.txt; what they are given is looked at below.
TOOLS = ("pre-commit", "pytest", "uv")
# Written by the reader.
PLACEHOLDERS = ("FOLDER",)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    joined = (block.replace("\\\n", " ") for block in blocks(page, "sh"))
    return [line for block in joined for line in block.splitlines() if line.strip()]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


ALL = [command for page in PAGES.values() for command in commands(page)]
DEEPFACTOR = [command for command in ALL if "/deepfactor " in command]


def test_pages_have_commands() -> None:
    assert {"make demo", "make test", "make down"} <= set(commands(README))
    assert len(DEEPFACTOR) >= 5


@pytest.mark.parametrize("command", ALL)
def test_command_starts_something_that_exists(command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "make":
        assert set(arguments) <= make_targets()
        return
    folder, name = program.rsplit("/", 1)
    assert folder == ".venv/bin"
    assert name == "deepfactor" or name in TOOLS


@pytest.mark.parametrize("command", DEEPFACTOR)
def test_deepfactor_command_and_its_options_exist(command: str) -> None:
    arguments = shlex.split(command)[1:]
    # An unknown command or option is refused before the help is shown.
    result = CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_an_unknown_option_would_be_noticed() -> None:
    assert CliRunner().invoke(app, ["run", "--month", "2016-02", "--nonsense", "--help"]).exit_code == 2


@pytest.mark.parametrize("command", DEEPFACTOR)
def test_months_in_commands_are_months(command: str) -> None:
    for text in re.findall(r"--month (\S+)", command):
        Month.parse(text)


@pytest.mark.parametrize("command", ALL)
def test_files_in_commands_exist(command: str) -> None:
    for word in shlex.split(command)[1:]:
        if re.fullmatch(r"[\w./-]+\.(yaml|txt|toml|json)", word):
            assert (ROOT / word).is_file()
        assert not re.fullmatch(r"[A-Z]+", word) or word in PLACEHOLDERS


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_the_text_exist(page: str) -> None:
    named = re.findall(r"`((?:deepfactor|include|dags|plugins|tests|docs)/[\w./-]*)`", PAGES[page])
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_links_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGES[page])
    assert [each for each in targets if "://" not in each and not (ROOT / each).is_file()] == []


def test_yaml_is_an_excerpt_of_the_configuration_it_explains() -> None:
    name = "include/config/market_jp.yaml"
    config = (ROOT / name).read_text(encoding="utf-8")
    excerpts = [each for each in blocks(README, "yaml") if not each.startswith("base:")]
    assert excerpts
    for excerpt in excerpts:
        assert excerpt in config
        assert isinstance(yaml.safe_load(excerpt), dict)
    assert load_config(ROOT / name, source=ROOT).source.folder == str(ROOT)


def test_a_configuration_of_ones_own_can_be_read(tmp_path: Path) -> None:
    (example,) = (each for each in blocks(README, "yaml") if each.startswith("base:"))
    own = tmp_path / "own.yaml"
    own.write_text(example.replace("base: ", f"base: {ROOT}/include/config/"), encoding="utf-8")
    changed = load_config(own)
    assert changed != load_config()
    assert changed.source == load_config().source


def test_raw_tables_are_described_with_all_their_columns() -> None:
    for name, table in RAW.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", README, re.MULTILINE)
        described = set(re.findall(r"`(\w+)`", row))
        keys = {"month", "security_id", "period_end"}
        assert set(table.columns) - keys - described == set()
        assert described - {name} - set(table.columns) - {"universe"} == set()


def test_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = Manifest(Month.parse("2016-02"), "run", "dfm2", "code", "config", {}, (), {})
    signals = SIGNALS.empty()
    published = PublishedMonth(manifest, signals, LEDGER.empty(), SHARES.empty(), {}, {}, [])

    def read(_store: object, month: Month) -> PublishedMonth:
        assert month == manifest.month
        return published

    monkeypatch.setattr(Store, "open", lambda _url: object())
    monkeypatch.setattr(deepfactor.publication, "read_month", read)
    (snippet,) = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(compile(snippet, "README.md", "exec"), names)  # noqa: S102
    assert isinstance(names["best"], pl.DataFrame)


PUBLISHED = (SIGNALS, LEDGER, RELEVANCE, ATTRIBUTION, PORTFOLIOS, SHARES, CORRELATIONS)


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_published_tables_are_listed(table: Table) -> None:
    assert f"| `{table.name}.parquet` |" in README


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_machine_or_another_host(page: str) -> None:
    assert set(re.findall(r"https?://([^/)\s]+)", PAGES[page])) <= {"arxiv.org"}
    assert not re.search(r"/(work|home|root|tmp|Users)/", PAGES[page])


def test_pre_commit_hooks_run_from_the_environment() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    for repository in config["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].split()[0] in {".venv/bin/ruff", ".venv/bin/mypy"}
