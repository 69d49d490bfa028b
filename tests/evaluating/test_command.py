"""``deepfactor evaluate`` as a person at a terminal uses it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deepfactor import provenance
from deepfactor.cli import app
from deepfactor.evaluating import parameters
from deepfactor.evaluating.evaluate import evaluate
from deepfactor.evaluating.evaluation import Evaluation
from deepfactor.evaluating.parameters import Parameters, evaluation_version
from deepfactor.evaluating.terminal import evaluation_text
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from deepfactor.terminal import console
from tests.evaluating.made_span import FIRST, LAST, publish_made

SPAN = ("--from", str(FIRST), "--to", str(LAST))


def use(endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the store as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", store.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)


@pytest.fixture
def environment(endpoint: Endpoint, span_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    use(endpoint, span_store, monkeypatch)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)


def shown(evaluation: Evaluation, width: int = 80) -> str:
    output = console()
    output.width = width
    with output.capture() as capture:
        output.print(evaluation_text(evaluation))
    return capture.get()


@pytest.mark.usefixtures("environment", "evaluation")
class TestShown:
    def test_table_4_stands_beside_its_uncertainty(self, evaluation: Evaluation) -> None:
        result = call(*SPAN)
        assert result.exit_code == 0, result.stderr
        linear = evaluation.table_4.filter(model="linear").row(0, named=True)
        figures, errors = (line.split() for line in result.stdout[result.stdout.index("linear ") :].splitlines()[:2])
        assert figures[:3] == ["linear", "20", f"{linear['mae'] * 100:.3f}"]
        assert figures[-2:] == [f"{linear['rank_ic']:+.3f}", f"{linear['rank_ic_t']:+.1f}"]
        assert errors[:2] == ["±", f"{linear['mae_se'] * 100:.3f}"]
        assert errors[-1] == f"{linear['rank_ic_se']:.3f}"
        assert f"evaluations/{evaluation.id}/" in result.stdout.replace("\n", "")
        assert "Too good to be true" not in result.stdout

    def test_the_published_page_may_lie_in_a_file(
        self, evaluation: Evaluation, span_store: Store, tmp_path: Path
    ) -> None:
        page = tmp_path / "page.html"
        assert f"evaluations/{evaluation.id}/report.html" in call(*SPAN).stdout.replace("\n", "")
        result = call(*SPAN, "--html", str(page))
        assert f"The page: {page}" in result.stdout.replace("\n", "")
        assert page.read_bytes() == span_store.get(f"evaluations/{evaluation.id}/report.html")
        page.write_text("mine")
        result = call(*SPAN, "--html", str(page))
        assert result.exit_code == 2
        assert "would be overwritten: pass --force" in " ".join(result.stderr.split())
        assert page.read_text() == "mine"
        assert call(*SPAN, "--html", str(page), "--force").exit_code == 0
        assert page.read_bytes().startswith(b"<!doctype html>")

    def test_a_page_where_none_can_be_written(self, tmp_path: Path) -> None:
        result = call(*SPAN, "--html", str(tmp_path / "no" / "page.html"))
        assert result.exit_code == 2
        assert "No such file or directory" in " ".join(result.stderr.split())

    def test_json_is_the_summary(self, evaluation: Evaluation, span_store: Store) -> None:
        result = call(*SPAN, "--json")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.encode() == span_store.get(f"evaluations/{evaluation.id}/summary.json")
        assert json.loads(result.stdout)["evaluation"] == evaluation.id

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--from", "2013-13", "--to", "2014-01"), "ConfigurationError: '2013-13' is not a month"),
            (("--from", "2014-01", "--to", "2013-01"), "ConfigurationError: --from 2014-01 comes after --to 2013-01"),
            (("--from", "2001-01", "--to", "2001-03"), "StoreError: no month from 2001-01 to 2001-03 is published"),
            ((*SPAN, "--missing-return", "-0.3"), "PublicationConflict: 2013-01 to 2014-08 is evaluated already"),
        ],
    )
    def test_what_cannot_be_evaluated(self, arguments: tuple[str, ...], message: str) -> None:
        result = call(*arguments)
        assert result.exit_code == 1
        assert message in " ".join(result.stderr.split())
        assert "Traceback" not in result.stderr


def test_it_fits_into_a_plain_terminal(evaluation: Evaluation) -> None:
    text = shown(evaluation)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text.replace(f"{FIRST} … {LAST}", "")


def test_a_leak_is_shown_in_red(leaking: Evaluation) -> None:
    text = shown(leaking)
    assert "Too good to be true: the mean rank IC of linear is +0." in text
    parts = [part for part in evaluation_text(leaking).renderables if "Too good" in str(part)]
    assert [str(part.style) for part in parts] == ["bold red"] * 3


def test_no_result_at_all_is_said(store: Store) -> None:
    publish_made(store, FIRST)
    text = " ".join(shown(evaluate(store, FIRST, FIRST)[0]).split())
    assert "No month has a result yet" in text
    assert f"Not known yet, the month after is not published: {FIRST}." in text


class TestVersion:
    @pytest.fixture
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for folder in ("evaluation", "evaluating", "reports/evaluation", "templates"):
            (tmp_path / folder).mkdir(parents=True)
        monkeypatch.setattr(parameters, "_PACKAGE", tmp_path)
        monkeypatch.setattr(parameters, "_TEMPLATES", tmp_path / "templates")
        monkeypatch.setattr(parameters, "code_version", lambda: "1")
        return tmp_path

    def test_it_follows_what_decides_figures(self, package: Path) -> None:
        seen = set()
        for name in ("evaluation/a.py", "evaluating/b.py", "reports/evaluation/c.py", "templates/evaluation.css"):
            (package / name).write_text("a = 1\n")
            seen.add(evaluation_version.__wrapped__())
            (package / name).write_text("a = 2\n")
            seen.add(evaluation_version.__wrapped__())
        assert len(seen) == 8

    def test_it_does_not_follow_what_only_shows_them(self, package: Path) -> None:
        before = evaluation_version.__wrapped__()
        (package / "evaluating" / "terminal.py").write_text("a = 1\n")
        (package / "evaluating" / "command.py").write_text("a = 1\n")
        (package / "templates" / "month.css").write_text("a")
        assert evaluation_version.__wrapped__() == before
        assert re.fullmatch(r"[\d.]+\+[0-9a-f]{12}", before)


def test_it_decides_nothing_about_a_month() -> None:
    assert not [name for name in provenance._files() if name.startswith(("deepfactor/evaluat", "deepfactor/cli"))]


def test_trials_may_be_more_than_models() -> None:
    assert Parameters().number_of_trials(3) == 3
    assert Parameters(trials=20).number_of_trials(3) == 20
