"""The pages in Airflow's own application, with its own logins, on a database of the test's own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from typing import Any

import pytest

from deepfactor.pages.shelf import Shelf
from deepfactor.stack.layout import BUCKET, CHECKOUT
from deepfactor.stack.object_store import Endpoint
from tests.evaluating.made_span import FIRST, STOCKS
from tests.pages.made import publish_month

CONNECTION = "AIRFLOW_CONN_DEEPFACTOR_STORE"

# One process: to start Airflow takes longer than everything that is asked of it.
PROGRAM = """
import json, os, sys
from airflow.cli.cli_parser import get_parser

parser = get_parser()


def command(*arguments):
    given = parser.parse_args(arguments)
    given.func(given)


command("db", "migrate")
command("dags", "reserialize")
command("dags", "trigger", "deepfactor_monthly", "--run-id", "by-hand+1", "--conf", '{"month": "2013-01"}')
command("dags", "trigger", "deepfactor_monthly", "--run-id", "dated", "--logical-date", "2014-03-31")
command("dags", "trigger", "deepfactor_evaluation", "--run-id", "scores")

from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient

given = json.loads(sys.stdin.read())
client = TestClient(create_app(apps="core"), follow_redirects=False)
tokens = {
    role or "nobody": get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role or "nobody", role=role))
    for role in ("viewer", "user", "op", "admin", None)
}
tokens |= {"forged": tokens["admin"][:-4] + "AAAA", "anonymous": None}


def ask(path, who="viewer", **headers):
    client.cookies.clear()
    if tokens[who]:
        client.cookies.set("_token", tokens[who])
    answer = client.get(path, headers=headers)
    return [answer.status_code, dict(answer.headers), answer.text[:200_000]]


found = {"paths": {f"{who} {path}": ask(path, who) for path in given["paths"] for who in tokens}}
found["raw"] = {path: ask(path) for path in given["raw"]}
found["bearer"] = client.get(given["paths"][0], headers={"Authorization": f"Bearer {tokens['viewer']}"}).status_code
found["post"] = client.post(given["paths"][0], cookies={"_token": tokens["viewer"]}).status_code
found["runs"] = {path: ask(path) for path in given["runs"]}
links = "/api/v2/dags/deepfactor_monthly/dagRuns/by-hand+1/taskInstances/publish/links"
found["links"] = json.loads(ask(links)[2])
found["plugins"] = json.loads(ask("/api/v2/plugins", "admin")[2])
connection = os.environ.pop("AIRFLOW_CONN_DEEPFACTOR_STORE")
found["missing"] = ask("/deep-factor/")
os.environ["AIRFLOW_CONN_DEEPFACTOR_STORE"] = json.dumps({"conn_type": "aws"})
found["no store"] = ask("/deep-factor/")
lost = json.loads(connection)
lost["extra"]["endpoint_url"] = "http://127.0.0.1:9"
os.environ["AIRFLOW_CONN_DEEPFACTOR_STORE"] = json.dumps(lost)
found["unreachable"] = ask("/deep-factor/")
os.environ["AIRFLOW_CONN_DEEPFACTOR_STORE"] = connection
found["back"] = ask("/deep-factor/")
print("\\n" + json.dumps(found))
"""

PATHS = [
    "/deep-factor/",
    f"/deep-factor/months/{FIRST}",
    f"/deep-factor/months/{FIRST}/files/report.html",
    f"/deep-factor/months/{FIRST}/files/validation/data_docs/index.html",
    f"/deep-factor/months/{FIRST}/files/signals.parquet",
    f"/deep-factor/securities/{STOCKS[0]}",
]
RAW = [
    f"/deep-factor/months/{FIRST}/files/%2e%2e/%2e%2e/manifests/{FIRST}.json",
    f"/deep-factor/months/{FIRST}/files/..%2f..%2fsecret.json",
    f"/deep-factor/months/{FIRST}/files/%2Fsecret.json",
    f"/deep-factor/months/{FIRST}/files/validation/..%2fgates.json",
    "/deep-factor/months/%2e%2e/files/secret.json",
    "/deep-factor/%2e%2e/%2e%2e/secret.json",
]
RUNS = [
    "/deep-factor/dag-runs/deepfactor_monthly/by-hand%2B1",
    "/deep-factor/dag-runs/deepfactor_monthly/dated",
    "/deep-factor/dag-runs/deepfactor_monthly/no-such-run",
    "/deep-factor/dag-runs/deepfactor_evaluation/scores",
    "/deep-factor/dag-runs/another/run",
]


@pytest.fixture(scope="module")
def seen(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow answers, by what was asked."""
    key, home = endpoint.credentials, tmp_path_factory.mktemp("airflow")
    url = f"s3://{BUCKET}/{secrets.token_hex(6)}"
    shelf = Shelf.open(url, endpoint.url, key.access_key, key.secret_key)
    publish_month(shelf, FIRST)
    shelf.put("secret.json", b'"the secret"')
    extra = {"store": url, "endpoint_url": endpoint.url}
    connection = {"conn_type": "aws", "login": key.access_key, "password": key.secret_key, "extra": extra}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "DEEPFACTOR"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__API__BASE_URL": "http://testserver",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        "DEEPFACTOR_PAGES": str(home / "digests"),
        "NO_PROXY": "*",
        CONNECTION: json.dumps(connection),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps({"paths": PATHS, "raw": RAW, "runs": RUNS}),
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", ["viewer", "user", "op", "admin"])
def test_who_may_read_the_dag_sees_the_pages(seen: dict[str, Any], who: str, path: str) -> None:
    status, headers, _ = seen["paths"][f"{who} {path}"]
    assert status == 200
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-cache"
    assert "frame-ancestors 'self'" in headers["content-security-policy"] or path.endswith("parquet")


@pytest.mark.parametrize("path", PATHS)
def test_everybody_else_is_refused(seen: dict[str, Any], path: str) -> None:
    for who, expected in (("anonymous", 401), ("nobody", 403), ("forged", (401, 403))):
        status, _, text = seen["paths"][f"{who} {path}"]
        assert status == expected or status in (expected if isinstance(expected, tuple) else ())
        for published in (STOCKS[0], "Great", "PAR1", "made-"):
            assert published not in text
    assert "You are not logged in" in seen["paths"][f"anonymous {path}"][2]
    assert "You may not see this" in seen["paths"][f"nobody {path}"][2]


def test_a_token_in_the_header_does_as_well_and_nothing_is_changed_by_post(seen: dict[str, Any]) -> None:
    assert seen["bearer"] == 200
    assert seen["post"] == 405


@pytest.mark.parametrize("path", RAW)
def test_an_address_that_climbs_gets_nothing(seen: dict[str, Any], path: str) -> None:
    status, _, text = seen["raw"][path]
    assert "the secret" not in text
    # What the client itself resolves leaves the pages, and is Airflow's own.
    assert status == 404 or "<title>Airflow" in text


def test_a_run_leads_to_its_month_whoever_started_it(seen: dict[str, Any]) -> None:
    by_hand, dated, missing, scores, other = (seen["runs"][path] for path in RUNS)
    assert (by_hand[0], by_hand[1]["location"]) == (303, "/deep-factor/months/2013-01")
    assert (dated[0], dated[1]["location"]) == (303, "/deep-factor/months/2014-03")
    assert (scores[0], scores[1]["location"]) == (303, "/deep-factor/evaluations")
    assert missing[0] == 404
    assert "has no run" in missing[2]
    assert other[0] == 404
    assert "none of Deep Factor" in other[2]


def test_a_task_links_to_the_page_of_its_run(seen: dict[str, Any]) -> None:
    page = "/plugin/deep-factor/deep-factor/dag-runs/deepfactor_monthly/by-hand%2B1"
    assert seen["links"]["extra_links"] == {"Deep Factor": page}


def test_airflow_knows_the_plugin(seen: dict[str, Any]) -> None:
    (plugin,) = [each for each in seen["plugins"]["plugins"] if each["name"] == "deep_factor_pages"]
    views = {each["destination"]: each for each in plugin["external_views"]}
    assert views["nav"]["name"] == "Deep Factor"
    assert views["nav"]["href"] == "/deep-factor/"
    assert views["dag_run"]["href"] == "/deep-factor/dag-runs/{DAG_ID}/{RUN_ID}"


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("missing", 503, "Create the connection deepfactor_store"),
        ("no store", 502, "has no &#34;store&#34; in its extra"),
        ("unreachable", 503, "Check that the object store runs"),
        ("back", 200, "Published months"),
    ],
)
def test_what_is_wrong_with_the_store_is_said(seen: dict[str, Any], state: str, status: int, words: str) -> None:
    found, _, text = seen[state]
    assert found == status
    assert words in text


def test_to_load_the_plugin_costs_little() -> None:
    program = "import sys, airflow.plugins_manager; before = set(sys.modules); import deep_factor_pages; "
    program += "print(' '.join(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert not loaded & {"fastapi", "starlette", "polars", "boto3", "jinja2", "deepfactor", "numpy"}
