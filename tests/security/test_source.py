"""No pickle, no other YAML than the safe, no shell, no eval: over every module of the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from deepfactor.stack.layout import CHECKOUT
from tests.security.source_rules import faults

FOLDERS = ("deepfactor", "dags", "plugins", "deploy")
MODULES = sorted(path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py"))
TEMPLATES = sorted(path for path in (CHECKOUT / "include" / "templates").rglob("*.j2"))
SAFE = {
    # Our own files, each allowed by its hash.
    "style | safe",
    "script | safe",
    "style_hash | safe",
    "script_hash | safe",
    # JSON without a single "<", and without text of the data.
    "stock_details | safe",
}

# Silenced for a reason that stands beside it.
SILENCED = {"S603", "S105"}


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 200
    assert len(TEMPLATES) > 15


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_module_does_nothing_that_it_may_not(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "from os import system",
        "import xml.etree.ElementTree",
        "eval('1')",
        "exec(x)",
        "__import__(x)",
        "yaml.load(x)",
        "yaml.load(x, Loader=yaml.SafeLoader)",
        "os.system('id')",
        "subprocess.run('id', shell=True)",
        "subprocess.run('id', shell=wanted)",
        "pandas.read_pickle(x)",
        "frame.query(x)",
        "numpy.load(x, allow_pickle=True)",
        "keras.models.load_model(x, safe_mode=False)",
        "tarfile_like.extractall()",
        "requests.get(x)",
        "requests.get(x, timeout=None)",
        "httpx.get(x)",
        "urllib.request.urlopen(x)",
        "urlopen(x)",
        "x = 'http://example.com/a'",
        "x = f'http://example.com/{a}'",
        "assert x",
        "jinja2.Environment()",
        "jinja2.Environment(autoescape=False)",
        "session.get(x, verify=False)",
        "tempfile.mktemp()",
        "hashlib.md5(x)",
        "typer.Typer(pretty_exceptions_show_locals=True)",
        "pl.sql(x)",
    ],
)
def test_what_it_may_not_is_found(line: str) -> None:
    assert faults(f"def f():\n    {line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "yaml.safe_load(x)",
        "subprocess.run(['id'], shell=False)",
        "requests.get(x, timeout=5)",
        "x = 'http://127.0.0.1:80/'",
        "x = f'http://{host}/'",
        "x = 'https://example.com'",
        "keras.models.load_model(x)",
        "re.compile(x)",
        "jinja2.Environment(autoescape=True)",
    ],
)
def test_what_it_may_is_not(line: str) -> None:
    assert faults(f"def f():\n    {line}\n") == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_escapes_everything_but_our_own_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"\w+ \| safe\b", text)) <= SAFE
    assert not re.search(r"autoescape|Markup|\bforceescape\b", text)
    # No name stands where a script or a style would read it, or without quotes.
    assert not re.search(r"\son\w+=", text)
    assert not re.search(r"<\w[^>]*\s[\w-]+=\{\{", text)


def test_what_ruff_looks_for_is_not_narrowed() -> None:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in settings["select"]
    assert [rule for rule in settings["ignore"] if rule.startswith("S")] == ["S311"]
    assert not [
        rule
        for pattern, rules in settings["per-file-ignores"].items()
        if pattern.partition("/")[0] in FOLDERS
        for rule in rules
        if rule.startswith("S")
    ]
    silenced = {
        rule
        for path in MODULES
        for rules in re.findall(r"# noqa: ([A-Z0-9, ]+)", path.read_text(encoding="utf-8"))
        for rule in re.findall(r"\bS\d+\b", rules)
    }
    assert silenced <= SILENCED


def test_only_a_backtest_hands_objects_to_other_processes() -> None:
    """Between processes of its own, Python does that by pickle."""
    using = {
        str(path.relative_to(CHECKOUT))
        for path in MODULES
        if re.search(r"ProcessPool|multiprocessing\.(Pool|Pipe|Queue|Manager|get_context)", path.read_text())
    }
    assert using <= {"deepfactor/backtest/workers.py"}


def test_airflow_gives_no_object_a_way_in() -> None:
    from airflow.configuration import conf
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
    from celery import Celery

    assert conf.get("core", "allowed_deserialization_classes") == "airflow.*"
    assert conf.get("core", "allowed_deserialization_classes_regexp") == ""
    assert conf.get("core", "xcom_backend", fallback="").endswith("BaseXCom")
    application = Celery()
    application.config_from_object(DEFAULT_CELERY_CONFIG)
    configured = application.conf
    assert configured.accept_content == ["json"]
    assert (configured.task_serializer, configured.result_serializer, configured.event_serializer) == ("json",) * 3


def test_no_deployment_changes_that() -> None:
    texts = [
        (CHECKOUT / name).read_text(encoding="utf-8")
        for name in ("docker-compose.yaml", "Dockerfile", "deploy/helm/values.yaml")
    ]
    texts += [path.read_text(encoding="utf-8") for path in (CHECKOUT / "deepfactor" / "stack").glob("*.py")]
    for text in texts:
        assert not re.search(
            r"pickl|allowed_deserialization|xcom_backend|celery_config_options|expose_config|"
            r"simple_auth_manager_all_admins|access_control_allow|SHOW_TRIGGER_FORM_IF_NO_PARAMS",
            text,
            re.IGNORECASE,
        )
    services = yaml.safe_load(texts[0])["services"]
    assert {name for name, each in services.items() if each.get("privileged")} == set()
