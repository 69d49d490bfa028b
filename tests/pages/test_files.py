"""What is sent to a browser, and that nothing else can be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfactor.errors import IntegrityError
from deepfactor.objects import Reference
from deepfactor.pages import files
from deepfactor.pages.errors import NotThere, TooLarge
from deepfactor.pages.files import LARGEST, find_file, policy
from deepfactor.pages.routes import answer
from deepfactor.pages.shelf import Shelf
from deepfactor.pages.site import Site
from deepfactor.publication import manifest_key, read_manifest
from tests.pages.conftest import MONTHS
from tests.pages.made import publish_month

MONTH = MONTHS[0]
HERE = f"months/{MONTH}/files"

ATTEMPTS = (
    "../../manifests/2013-01.json",
    "../gates.json",
    "validation/../gates.json",
    "validation/./verdict.json",
    "./gates.json",
    "/gates.json",
    "//gates.json",
    "gates.json/",
    "gates.json\x00.html",
    "%2e%2e/gates.json",
    "..%2fgates.json",
    "..\\gates.json",
    f"runs/{MONTH}/made-{MONTH}/gates.json",
    f"/runs/{MONTH}/made-{MONTH}/gates.json",
    f"s3://deepfactor/runs/{MONTH}/made-{MONTH}/gates.json",
    f"../../{MONTHS[1]}/made-{MONTHS[1]}/gates.json",
    "steps/validate.json",
    "manifest.json",
    "",
    "file:///etc/passwd",
)


@pytest.mark.parametrize("name", ["gates.json", "report.html", "validation/data_docs/prices.html", "signals.parquet"])
def test_what_the_manifest_names_is_sent_whole(site: Site, published: Shelf, name: str) -> None:
    reference = read_manifest(published, MONTH).named(name)
    sent = answer(site, f"{HERE}/{name}", {})
    assert sent.status == 200
    assert Reference.to(reference.key, sent.body) == reference
    assert sent.all_headers["ETag"] == f'"{reference.sha256}"'
    assert sent.all_headers["X-Content-Type-Options"] == "nosniff"
    assert sent.all_headers["Cache-Control"] == "private, no-cache"
    assert "default-src 'none'" in sent.all_headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_else_is_sent(site: Site, name: str) -> None:
    for written in {name, unquote(name)}:
        with pytest.raises(NotThere):
            answer(site, f"{HERE}/{written}", {})


@pytest.mark.parametrize(
    "path",
    [
        f"months/{MONTH}/../{MONTHS[1]}/files/gates.json",
        f"months/../{MONTH}/files/gates.json",
        f"months/{MONTH}/runs/../files/gates.json",
        f"months/{MONTH}/runs/made-{MONTH}/files/gates.json",
        f"months/{MONTHS[3]}/runs/stopped/files/../../../../manifests/{MONTH}.json",
        f"months/{MONTHS[3]}/runs/stopped/files/steps/validate.json",
        f"months/{MONTHS[3]}/files/validation/verdict.json",
        "months/../manifests/files/2013-01.json",
        f"evaluations/{MONTH}_{MONTHS[2]}/files/../{MONTH}_{MONTHS[2]}.json",
        f"evaluations/../{MONTH}_{MONTHS[2]}/files/summary.json",
        f"manifests/{MONTH}.json",
        f"runs/{MONTH}/made-{MONTH}/gates.json",
        "raw/prices",
        "..",
        "../..",
    ],
)
def test_no_address_leads_past_a_manifest(site: Site, path: str) -> None:
    with pytest.raises(NotThere):
        answer(site, path, {})


@given(st.text(max_size=40))
def test_only_names_are_found(name: str) -> None:
    objects = {"gates.json": Reference("runs/2013-01/a/gates.json", "0" * 64, 1)}
    if name == "gates.json":
        return
    with pytest.raises(NotThere):
        find_file(objects, "runs/2013-01/a", name, "2013-01")


@pytest.mark.parametrize(
    "key",
    [
        "secret.json",
        "../other/secret.json",
        "runs/2013-01/a/../../../secret.json",
        "/runs/2013-01/a/gates.json",
        "runs/2013-02/b/gates.json",
        "runs/2013-01/a/gates.json ",
    ],
)
def test_a_forged_manifest_leads_nowhere(key: str) -> None:
    with pytest.raises(IntegrityError, match="was not written by a publication"):
        find_file({"gates.json": Reference(key, "0" * 64, 1)}, "runs/2013-01/a", "gates.json", "2013-01")


def test_a_forged_manifest_in_the_store_leads_nowhere(shelf: Shelf, tmp_path: Path) -> None:
    manifest = publish_month(shelf, MONTH)
    outside = shelf.put("secret.json", b"{}")
    forged = replace(manifest, named_objects={**manifest.named_objects, "gates.json": outside})
    shelf.put(manifest_key(MONTH), forged.to_bytes())
    pages = Site(shelf, tmp_path, "")
    with pytest.raises(IntegrityError, match="secret.json"):
        answer(pages, f"{HERE}/gates.json", {})
    pages.close()


def test_other_bytes_than_those_that_were_published_are_not_sent(shelf: Shelf, tmp_path: Path) -> None:
    manifest = publish_month(shelf, MONTH)
    shelf.put(manifest.report.key, b"<script>alert(1)</script>")
    pages = Site(shelf, tmp_path, "")
    with pytest.raises(IntegrityError, match="is not what was written"):
        answer(pages, f"{HERE}/report.html", {})
    pages.close()


def test_a_file_that_is_too_large_names_its_key() -> None:
    objects = {"a.parquet": Reference("runs/2013-01/a/a.parquet", "0" * 64, LARGEST + 1)}
    with pytest.raises(TooLarge, match=r"64\.0 MB.*fetch runs/2013-01/a/a\.parquet"):
        find_file(objects, "runs/2013-01/a", "a.parquet", "2013-01")


def test_what_the_browser_holds_is_not_sent_again(site: Site) -> None:
    first = answer(site, f"{HERE}/gates.json", {})
    again = answer(site, f"{HERE}/gates.json", {}, f'"other", {first.headers["ETag"]}')
    assert (again.status, again.body) == (304, b"")
    assert answer(site, f"{HERE}/report.html", {}, first.headers["ETag"]).status == 200


def test_data_is_saved_under_a_name_that_says_what_it_is(site: Site) -> None:
    sent = answer(site, f"{HERE}/signals.parquet", {})
    assert sent.media_type == "application/octet-stream"
    assert sent.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{MONTH}-signals.parquet"
    shown = answer(site, f"{HERE}/gates.json", {})
    assert shown.media_type == "application/json"
    assert shown.headers["Content-Disposition"] == "inline"
    assert json.loads(shown.body)


def test_the_report_runs_its_own_script_and_nothing_else(site: Site) -> None:
    rules = answer(site, f"{HERE}/report.html", {}).headers["Content-Security-Policy"]
    assert "unsafe-inline" not in rules.replace("style-src 'unsafe-inline'", "")
    assert "script-src 'sha256-" in rules
    assert "sandbox" not in rules


def test_a_page_with_another_script_belongs_to_no_origin() -> None:
    rules = policy(b"<!doctype html><script>fetch('/api/v2/connections')</script>")
    assert rules.endswith("sandbox allow-scripts allow-downloads")
    assert "allow-same-origin" not in rules
    assert "default-src 'none'" in rules


def test_a_page_without_a_script_may_run_none() -> None:
    rules = policy(b"<p onclick='fetch(1)'>")
    assert f"script-src {files._month_script()}" in rules
    assert "sandbox" not in rules
