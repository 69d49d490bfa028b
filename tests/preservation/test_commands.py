"""``verify``, ``gc`` and ``restore`` as a person at a terminal uses them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from deepfactor.cli import app
from deepfactor.stack.object_store import Endpoint
from deepfactor.store import Store
from tests.preservation.conftest import overwrite, remove

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def environment(endpoint: Endpoint, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the filled store as one does in production."""
    monkeypatch.setenv("DEEPFACTOR_STORE", kept.url("").rstrip("/"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.credentials.secret_key)


def _call(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_what_is_whole() -> None:
    assert "2016-02, run cc03: 4 objects, 0.0 MB, all are whole" in _call("verify", "--month", "2016-02").stdout
    assert "8 publications: 12 objects" in _call("verify", "--all").stdout
    content = json.loads(_call("verify", "--all", "--json").stdout)
    assert (len(content["publications"]), content["objects"], content["damaged"]) == (8, 12, [])


def test_damage_is_named_and_the_exit_code_says_so(kept: Store) -> None:
    overwrite(kept, "runs/2016-01/aa01/a.json", b"rot")
    overwrite(kept, "evaluations/e1/manifest.json", b"{")
    told = " ".join(_call("verify", "--all", code=1).stdout.split())
    assert "2016-01, run aa01: " in told
    assert "runs/2016-01/aa01/a.json is not what was written" in told
    assert "evaluations/e1/manifest.json is not the manifest of an evaluation" in told
    damaged = json.loads(_call("verify", "--all", "--json", code=1).stdout)["damaged"]
    assert {each["key"] for each in damaged} == {"runs/2016-01/aa01/a.json", "evaluations/e1/manifest.json"}
    assert "all are whole" in _call("verify", "--month", "2016-02").stdout


def test_a_damaged_manifest_of_a_month_is_named(kept: Store) -> None:
    body = kept.get("manifests/2016-02.json")
    overwrite(kept, "manifests/2016-02.json", body.replace(b"linear", b"linean"))
    told = " ".join(_call("verify", "--month", "2016-02", code=1).stdout.split())
    assert "manifests/2016-02.json is not what was written" in told
    assert "run the month again with --replace, or bring it back with deepfactor restore" in told
    assert "0 publications: 0 objects, 0.0 MB, 1 damaged" in told
    content = json.loads(_call("verify", "--all", "--json", code=1).stdout)
    assert [each["key"] for each in content["damaged"]] == ["manifests/2016-02.json"]
    assert len(content["publications"]) == 7
    _call("verify", "--month", "2015-01", code=1)


def test_a_copy_that_a_killed_publisher_did_not_write_is_named(kept: Store) -> None:
    remove(kept, "runs/2016-02/cc03/manifest.json")
    told = " ".join(_call("verify", "--month", "2016-02", code=1).stdout.split())
    assert "runs/2016-02/cc03/manifest.json: there is no such object" in told
    assert "run the month again, or restore it" in told
    assert "4 objects, 0.0 MB, 1 damaged" in told


def test_a_damaged_manifest_comes_back_from_a_copy(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = kept.url("").rstrip("/")
    monkeypatch.setenv("DEEPFACTOR_STORE", f"{copy}-new")
    _call("restore", "--from", copy, "--all")
    target = kept.below("")
    target.prefix += "-new"
    overwrite(target, "manifests/2016-02.json", b"{")
    month = ("restore", "--from", copy, "--month", "2016-02")
    assert "pass --replace to restore" in " ".join(_call(*month, code=1).stderr.split())
    assert "2016-02, run cc03: 1 objects restored" in _call(*month, "--replace").stdout
    assert "all are whole" in _call("verify", "--all").stdout


@pytest.mark.parametrize("command", [["verify"], ["restore", "--from", "s3://deepfactor/copy"]])
@pytest.mark.parametrize("extent", [[], ["--month", "2016-02", "--all"]])
def test_one_month_or_all(command: list[str], extent: list[str]) -> None:
    assert "pass either --month YYYY-MM or --all" in _call(*command, *extent, code=2).stderr


def test_what_no_manifest_names_is_listed_and_never_deleted(kept: Store) -> None:
    assert "belongs to what is published" in " ".join(_call("gc", "--dry-run").stdout.split())
    kept.put("runs/2016-02/dd04/a.json", b"of a run that was not published")
    assert "runs/2016-02/dd04/" in _call("gc", "--dry-run").stdout
    listed = json.loads(_call("gc", "--dry-run", "--json").stdout)
    assert listed == [{"folder": "runs/2016-02/dd04/", "keys": ["runs/2016-02/dd04/a.json"]}]
    assert "deletes nothing" in " ".join(_call("gc", code=2).stderr.split())
    assert kept.exists("runs/2016-02/dd04/a.json")


def test_nothing_is_called_unnamed_while_a_manifest_is_damaged(kept: Store) -> None:
    overwrite(kept, "manifests/2016-01.json", b"{")
    told = " ".join(_call("gc", "--dry-run", code=1).stderr.split())
    assert "what manifests/2016-01.json names cannot be told" in told


def test_the_way_back_from_a_copy(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = kept.url("").rstrip("/")
    monkeypatch.setenv("DEEPFACTOR_STORE", f"{copy}-new")
    assert "2016-02, run cc03: 5 objects restored" in _call("restore", "--from", copy, "--month", "2016-02").stdout
    assert "all are whole" in _call("verify", "--month", "2016-02").stdout
    assert "2016-02, run cc03: 0 objects restored" in _call("restore", "--from", copy, "--all").stdout
    assert "8 publications: 12 objects" in _call("verify", "--all").stdout


def test_a_copy_that_is_damaged_itself(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = kept.url("").rstrip("/")
    overwrite(kept, "manifests/2016-01.json", b"{")
    remove(kept, "runs/2016-01/aa01/manifest.json")
    monkeypatch.setenv("DEEPFACTOR_STORE", f"{copy}-new")
    told = _call("restore", "--from", copy, "--all", code=1)
    assert "2016-02, run cc03" in told.stdout
    assert "not all is restored, 1 of the copy's manifests are damaged:" in " ".join(told.stderr.split())
