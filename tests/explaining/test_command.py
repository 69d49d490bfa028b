"""``deepfactor explain`` as a person at a terminal uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deepfactor.cli import app
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.explaining.made_months import OUTSIDE, STOCKS

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def environment(endpoint: Endpoint, two_months: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the store as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", two_months.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)


def call(*arguments: str, month: str = "2016-02") -> Result:
    return CliRunner().invoke(app, ["explain", "--month", month, *arguments], catch_exceptions=False)


def complaint(result: Result) -> str:
    """Return a refusal without the frame around it."""
    return " ".join(result.stderr.replace("│", "").split())


def test_a_stock() -> None:
    result = call("--security", STOCKS[0])
    assert result.exit_code == 0, result.stderr
    for text in (f"{STOCKS[0]}   dfm2 as of 2016-02, run made-2016-02", "Rank ", "By descriptor", "Since last month"):
        assert text in result.stdout


@pytest.mark.parametrize("name", ["top", "bottom", "long-short"])
def test_a_portfolio(name: str) -> None:
    result = call("--portfolio", name, "--model", "dfm2")
    assert result.exit_code == 0, result.stderr
    assert "the weights' sum is " in result.stdout


def test_json_only(tmp_path: Path) -> None:
    file = tmp_path / "weights.csv"
    file.write_text(f"security_id,weight\n{STOCKS[0]},0.5\n{STOCKS[1]},-0.25\n")
    result = call("--portfolio", str(file), "--json", "--html", str(tmp_path / "page.html"))
    content = json.loads(result.stdout)
    assert content["subject"] == {"kind": "portfolio", "name": "weights.csv", "stocks": 2, "weights_sum": 0.25}
    assert "weights.csv" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("subject", [("--security", STOCKS[0]), ("--portfolio", "top")])
def test_a_page(tmp_path: Path, subject: tuple[str, str]) -> None:
    page = tmp_path / "page.html"
    result = call(*subject, "--html", str(page))
    assert result.exit_code == 0, result.stderr
    assert f"The page: {page}" in result.stdout
    body = page.read_bytes()
    assert b"</html>" in body
    assert (b'id="history"' in body) == (subject[0] == "--portfolio")
    refused = call(*subject, "--html", str(page))
    assert refused.exit_code == 2
    assert "would be overwritten: pass --force" in complaint(refused)
    assert call(*subject, "--html", str(page), "--force").exit_code == 0
    assert page.read_bytes() == body


def test_a_page_where_none_can_be_written(tmp_path: Path) -> None:
    result = call("--security", STOCKS[0], "--html", str(tmp_path / "no" / "page.html"))
    assert result.exit_code == 2
    assert "No such file or directory" in complaint(result)


@pytest.mark.parametrize("arguments", [[], ["--security", "1300", "--portfolio", "top"]])
def test_one_subject_must_be_named(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert "name a stock with --security, or a portfolio with --portfolio" in complaint(result)


@pytest.mark.parametrize(
    ("arguments", "month", "message"),
    [
        (["--security", OUTSIDE], "2016-02", "ConfigurationError: 9001 has no prediction by dfm2 in 2016-02"),
        (["--security", "1300"], "2016-03", "StoreError: 2016-03 is not published in s3://"),
        (["--security", "1300"], "2016-3", "ConfigurationError: '2016-3' is not a month"),
        (["--security", "1300", "--model", "svr"], "2016-02", "svr is not in it; choose from dfm2"),
        (["--portfolio", "best"], "2016-02", "there is no portfolio 'best': name top, bottom or long-short"),
    ],
)
def test_what_cannot_be_explained(arguments: list[str], month: str, message: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = call(*arguments, "--html", str(page), month=month)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not page.exists()


def test_it_starts_without_what_it_does_not_need() -> None:
    """The time a person waits is mostly imports."""
    program = (
        "import sys, runpy\n"
        "sys.argv = ['deepfactor', 'explain', '--month', '2016-02', '--security', '1300', '--json']\n"
        "try: runpy.run_module('deepfactor', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted({'tensorflow', 'sklearn', 'scipy', 'pandas', 'great_expectations', 'exchange_calendars'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
