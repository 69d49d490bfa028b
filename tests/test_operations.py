"""Everything that can be typed in the runbooks is there: commands and options, parameters, settings, metrics, links."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import airflow
import pytest
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from typer.testing import CliRunner

from deepfactor.cli import app
from deepfactor.months import Month

ROOT = Path(__file__).resolve().parents[1]
PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("operations.md", "kubernetes.md")}
PROGRAMS = ("airflow", "deepfactor", "helm", "kubectl")


def commands(page: str) -> list[str]:
    """Return the command lines of a page, those in its sentences included."""
    blocks = re.findall(r"^ *```console\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines() if line.strip()]
    inline = re.findall(r"`((?:airflow|deepfactor) [^`\n…]+)`", page)
    return [*lines, *inline]


ALL = list(dict.fromkeys(command for page in PAGES.values() for command in commands(page)))
AIRFLOW = [each for each in ALL if each.startswith("airflow ")]
DEEPFACTOR = [each for each in ALL if each.startswith("deepfactor ")]


def test_pages_have_commands() -> None:
    assert len(AIRFLOW) >= 10
    assert len(DEEPFACTOR) >= 5
    assert [each for each in ALL if each.split()[0] not in PROGRAMS] == []


def parsed(command: str) -> None:
    """Hold a command against Airflow's own parser, which ends the program where it refuses one."""
    words = shlex.split(command)[1:]
    # Named without its arguments in a sentence.
    get_parser().parse_args(words if any(word.startswith("-") for word in words) or command in BARE else [*words, "-h"])


# Need no arguments.
BARE = ("airflow version", "airflow db migrate", "airflow db check-migrations", "airflow rotate-fernet-key")


@pytest.mark.parametrize("command", AIRFLOW)
def test_airflow_has_the_command_and_its_options(command: str) -> None:
    try:
        parsed(command)
    except SystemExit as end:
        assert end.code == 0, command


@pytest.mark.parametrize(
    "command", ["airflow dags clera", "airflow dags clear deepfactor_monthly --run RUN --nonsense"]
)
def test_an_unknown_command_or_option_of_airflow_would_be_noticed(command: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(command)


@pytest.mark.parametrize("command", DEEPFACTOR)
def test_deepfactor_has_the_command_and_its_options(command: str) -> None:
    # An unknown command or option is refused before the help is shown.
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--help"])
    assert result.exit_code == 0, result.output
    for text in re.findall(r"--(?:month|from|to) (\d\S+)", command):
        Month.parse(text)


@pytest.mark.parametrize("command", [each for each in AIRFLOW if "--conf" in each])
def test_parameters_are_those_of_the_dag(command: str) -> None:
    words = shlex.split(command)
    given = json.loads(words[words.index("--conf") + 1])
    known = re.findall(r'"(\w+)": Param\(', (ROOT / "dags" / "monthly.py").read_text(encoding="utf-8"))
    assert set(given) <= set(known)
    Month.parse(given["month"])


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page: str) -> None:
    for section, option in re.findall(r"AIRFLOW__(\w+?)__(\w+)", PAGES[page]):
        assert option.lower() in conf.configuration_description[section.lower()]["options"]
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("dags", "plugins", "deepfactor")
        for path in (ROOT / folder).rglob("*.py")
    )
    assert [name for name in re.findall(r"DEEPFACTOR_\w+", PAGES[page]) if name not in sources] == []


def metrics() -> list[str]:
    watched = PAGES["operations.md"].split("## What to watch")[1]
    rows = re.findall(r"^\| (`airflow\.[^|]+) \|", watched, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`airflow\.([\w.-]+)`", row)]


def test_airflow_sends_every_metric() -> None:
    registry = Path(airflow.__file__).parent / "_shared" / "observability" / "metrics" / "metrics_template.yaml"
    patterns = [
        re.compile(re.sub(r"\\\{\w+\\\}", r"[\\w.-]+", re.escape(name)))
        for each in yaml.safe_load(registry.read_text(encoding="utf-8"))["metrics"]
        for name in (each["name"], each["legacy_name"])
    ]
    assert len(metrics()) > 5
    assert [name for name in metrics() if not any(pattern.fullmatch(name) for pattern in patterns)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    headings = re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    targets = re.findall(r"\]\(([^)]+)\)", PAGES[page])
    assert [each for each in targets if each.startswith("#") and each[1:] not in anchors] == []
    assert [each for each in targets if not each.startswith("#") and not (ROOT / "docs" / each).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_exist_and_no_machine_is_named(page: str) -> None:
    named = re.findall(r"`((?:deepfactor|deploy|include|dags|plugins|tests|docs|benchmarks)/[\w./-]+)`", PAGES[page])
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert not re.search(r"/(work|home|root|tmp/w|Users)/", PAGES[page])
