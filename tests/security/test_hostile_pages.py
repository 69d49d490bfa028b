"""Pages in Airflow's own application, before a browser: whatever names hold, nothing runs, and nothing is asked for."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from html import escape
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext

from deepfactor.pages.shelf import Shelf
from deepfactor.stack import ports
from deepfactor.stack.layout import BUCKET
from deepfactor.stack.object_store import Endpoint
from tests.evaluating.made_span import FIRST
from tests.pages.made import publish_month
from tests.security.hostile import KINDS
from tests.security.inspection import elsewhere, page_faults
from tests.security.made import UNESCAPED, UNESCAPED_SCRIPT, publish_hostile, renamed
from tests.security.served import Served, served
from tests.security.visiting import Visit

pytestmark = pytest.mark.integration

PORT = 28780
MONTH, HONEST = FIRST + 1, FIRST
NAMES = list(renamed().values())
ROOT = "/deep-factor"
FILES = f"{ROOT}/months/{MONTH}/files"
DOCUMENTS = {
    "validation/data_docs/prices.html": UNESCAPED.encode(),
    "results/data_docs/index.html": UNESCAPED_SCRIPT.encode(),
    **{
        f"odd.{suffix}": UNESCAPED_SCRIPT.encode()
        for suffix in ("htm", "HTML", "xhtml", "svg", "xml", "js", "css", "pdf", "txt", "json", "md", "csv", "wasm")
    },
    "odd": UNESCAPED_SCRIPT.encode(),
    "odd.html/x": UNESCAPED_SCRIPT.encode(),
}
MONTHS_PAGE = f"/months/{MONTH}"
PARTS = (MONTHS_PAGE, *(f"{MONTHS_PAGE}/{part}" for part in ("validation", "gates", "manifest")))
PAGES = ("/", *PARTS, "/securities", "/evaluations")
OTHERS = (f"{MONTHS_PAGE}/files/report.html", f"{MONTHS_PAGE}/files/signals.parquet", f"{MONTHS_PAGE}/files/none",
          "/no-such-page", "/securities/none")  # fmt: skip
COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "private, no-cache",
}


@pytest.fixture(scope="module")
def server(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A store with an honest month and a hostile one, and the pages of it."""
    key, url = endpoint.credentials, f"s3://{BUCKET}/{secrets.token_hex(6)}"
    shelf = Shelf.open(url, endpoint.url, key.access_key, key.secret_key)
    publish_month(shelf, HONEST)
    publish_hostile(shelf, MONTH, renamed(), DOCUMENTS)
    extra = {"store": url, "endpoint_url": endpoint.url}
    connection = {"conn_type": "aws", "login": key.access_key, "password": key.secret_key, "extra": extra}
    with served(tmp_path_factory.mktemp("airflow"), ports.choose("the test", PORT), connection) as server:
        # Pages show what is read, and complete themselves.
        while b'id="pending"' in server.ask("GET", f"{ROOT}/", "viewer").content:
            pass
        yield server


@pytest.fixture(scope="module")
def context(server: Served, browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.add_cookies([{"name": "_token", "value": server.tokens["viewer"], "url": server.address}])
    yield context
    context.close()


@pytest.fixture
def visit(context: BrowserContext) -> Iterator[Visit]:
    visit = Visit(context)
    yield visit
    visit.page.close()


@pytest.mark.parametrize("path", PAGES)
def test_nothing_runs_on_a_page(server: Served, visit: Visit, path: str) -> None:
    visit.go(f"{server.address}{ROOT}{path}")
    assert visit.did == []
    assert elsewhere(visit.asked, (server.address,)) == []
    assert "taken" not in visit.page.title()
    assert visit.page.evaluate("document.querySelectorAll('[onload], [onerror], [onfocus], base, object').length") == 0


def test_nothing_runs_on_the_page_of_any_security(server: Served, visit: Visit) -> None:
    for name in NAMES:
        # What an address cannot hold is asked for by a link, and that leads nowhere.
        if len(name) > 1_000:
            continue
        visit.go(f"{server.address}{ROOT}/securities/{quote(name, safe='')}")
        assert "taken" not in visit.page.title().removeprefix(name)
    assert [each for each in visit.did if "404" not in each] == []
    assert elsewhere(visit.asked, (server.address,)) == []


def test_nothing_runs_in_a_search(server: Served, visit: Visit) -> None:
    for names in KINDS.values():
        visit.go(f"{server.address}{ROOT}/securities?query={quote(names[0][:90], safe='')}")
    assert [each for each in visit.did if "404" not in each] == []
    assert elsewhere(visit.asked, (server.address,)) == []


def test_pages_have_the_same_elements_whatever_names_hold(server: Served) -> None:
    for part in ("", "/validation", "/gates"):
        honest, hostile = (
            server.ask("GET", f"{ROOT}/months/{month}{part}", "viewer").content for month in (HONEST, MONTH)
        )
        if part == "/validation":
            # Of this month more was found, and what was found is only text.
            assert b"<img" not in hostile and b"<svg/onload" not in hostile and b"{{7*7}}" in hostile
            continue
        faults = page_faults(hostile, honest)
        # One of the two has a month before it, the other one after.
        assert [each for each in faults if "('a'" not in each and "('span'" not in each] == []


def test_every_security_is_found_by_its_own_name(server: Served) -> None:
    """Names with slashes, dots, percent signs and what not are looked up, and are no other address."""
    for name in NAMES:
        if len(name) > 1_000:
            continue
        answer = server.ask("GET", f"{ROOT}/securities/{quote(name, safe='')}", "viewer")
        if answer.status_code == 200:
            assert f"?model=linear&amp;month={MONTH}" in answer.text, name
        else:
            # To browsers, and to the server where a line ends, these are no addresses; the month's page has them.
            assert answer.status_code == 404
            assert name in (".", "..") or "\n" in name, name


@pytest.mark.parametrize("where", ["alone", "framed"])
@pytest.mark.parametrize("name", ["validation/data_docs/prices.html", "results/data_docs/index.html"])
def test_a_document_in_which_nothing_is_escaped_can_do_nothing(
    server: Served, visit: Visit, name: str, where: str
) -> None:
    part = "files" if where == "alone" else "show"
    visit.go(f"{server.address}{ROOT}/months/{MONTH}/{part}/{name}")
    visit.page.wait_for_timeout(500)
    for frame in visit.page.frames:
        # A page of its own is where a link may lead, if somebody follows it.
        if frame.url.endswith(f"/files/{name}") and where == "framed":
            frame.locator("#top").evaluate("element => element.click()")
            frame.locator("#form").evaluate("element => element.submit()")
    visit.page.wait_for_timeout(500)
    assert visit.page.title() != "taken" or where == "alone"
    assert [each for each in visit.did if each.startswith(("dialog", "popup", "download"))] == []
    assert elsewhere(visit.asked, (server.address,)) == []
    # Nothing was asked in the reader's name, and nobody was led away.
    assert not [each for each in visit.asked if "/api/" in each]
    assert visit.page.url.startswith(f"{server.address}{ROOT}/months/{MONTH}/{part}/")


@pytest.mark.parametrize("name", [each for each in DOCUMENTS if each.startswith("odd")])
def test_only_documents_of_ours_are_pages(server: Served, name: str) -> None:
    answer = server.ask("GET", f"{FILES}/{name}", "viewer")
    kind, policy = answer.headers["content-type"], answer.headers["content-security-policy"]
    assert answer.content == UNESCAPED_SCRIPT.encode()
    assert kind.partition(";")[0] in ("application/octet-stream", "application/json", "text/plain", "text/csv")
    assert policy == "sandbox; default-src 'none'"
    inline = name.rpartition(".")[2] in ("json", "md")
    assert answer.headers["content-disposition"].startswith("inline" if inline else "attachment")
    for header, value in COMMON.items():
        assert answer.headers[header] == value


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
@pytest.mark.parametrize("who", ["viewer", "nobody", None])
def test_every_answer_has_the_headers(server: Served, path: str, who: str | None) -> None:
    answer = server.ask("GET", f"{ROOT}{path}", who)
    assert (answer.status_code in (200, 404)) == (who == "viewer")
    for header, value in COMMON.items():
        assert answer.headers[header] == value
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy or policy.startswith("sandbox")
    assert "set-cookie" not in answer.headers
    if who != "viewer":
        assert not any(escape(name) in answer.text for name in NAMES if len(name) > 3)


def test_a_report_runs_one_script_and_a_document_none(server: Served) -> None:
    names = ("report.html", *(name for name in DOCUMENTS if name.endswith(".html")))
    report, *documents = (
        server.ask("GET", f"{FILES}/{name}", "viewer").headers["content-security-policy"] for name in names
    )
    assert "script-src 'sha256-" in report and "sandbox" not in report
    assert len(documents) == 2
    for policy in documents:
        assert "sandbox allow-same-origin" in policy and "script" not in policy
    for policy in (report, *documents):
        assert "default-src 'none'" in policy and "form-action 'none'" in policy and "base-uri 'none'" in policy


@pytest.mark.parametrize("who", ["viewer", "nobody", None])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY"])
def test_pages_can_only_be_read(server: Served, method: str, who: str | None) -> None:
    for path in ("/", f"/months/{MONTH}/files/report.html"):
        answer = server.ask(method, f"{ROOT}{path}", who)
        assert answer.status_code in (400, 401, 403, 405)
        assert len(answer.content) < 5_000
        assert answer.headers.get("x-content-type-options", "nosniff") == "nosniff"


@pytest.mark.parametrize("origin", ["https://evil.invalid", "null", "http://127.0.0.1.evil.invalid"])
def test_no_other_origin_may_read(server: Served, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    for method, who in (("OPTIONS", None), ("OPTIONS", "viewer"), ("GET", None), ("GET", "viewer")):
        answer = server.ask(method, f"{ROOT}/months/{MONTH}/files/signals.parquet", who, **asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.status_code == (405 if method == "OPTIONS" else 401 if who is None else 200)


def test_what_a_browser_holds_is_no_login(server: Served) -> None:
    path = f"{ROOT}/months/{MONTH}/files/report.html"
    mine = server.ask("GET", path, "viewer")
    held = {"If-None-Match": mine.headers["etag"]}
    assert server.ask("GET", path, "viewer", **held).status_code == 304
    assert server.ask("GET", path, "nobody", **held).status_code == 403
    assert server.ask("GET", path, None, **held).status_code == 401
    # Nobody between the two may keep it for somebody else.
    assert "private" in mine.headers["cache-control"]


@pytest.mark.parametrize(
    "token", ["-", "x", "null", "Bearer", "..", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."]
)
def test_what_is_no_token_is_no_login(server: Served, token: str) -> None:
    ways = [{"Authorization": f"Bearer {token}"}, {"Authorization": f"Basic {token}"}, {"Cookie": f"_token={token}"}]
    for headers in ways:
        assert server.ask("GET", f"{ROOT}/", None, **headers).status_code in (401, 403)
    query = server.ask("GET", f"{ROOT}/?token={server.tokens['viewer']}&_token={server.tokens['viewer']}")
    assert query.status_code == 401


TRICKS = [
    f"{ROOT}/months/{MONTH}/files/report.html{end}"
    for end in ("", "/", "/.", "%2f", "%00", "%20", ".", ";x=y", "?x", "//", "%0d%0aSet-Cookie:x=y", "\\")
] + [
    f"/{start}{MONTH}/files/report.html"
    for start in (
        "deep-factor//months/", "Deep-Factor/months/", "DEEP-FACTOR/MONTHS/", "%64eep-factor/months/",
        "deep-factor/./months/", "deep-factor/x/../months/", "deep-factor/%2e%2e/deep-factor/months/",
        "deep-factor%2fmonths%2f", "/deep-factor/months/", "deep-factor/months%2f", "deep-factor;x/months/",
        "deep-factor./months/", "static/../deep-factor/months/", "auth/../deep-factor/months/",
        "api/v2/../../deep-factor/months/", "deep-factor/months/%F0%9F%A6%8A/../", "deep-factor/\\months/",
    )
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_no_way_to_write_an_address_leads_past_the_login(server: Served, trick: str) -> None:
    """As bytes: a client would tidy them up."""
    answers = {
        who: server.raw(
            f"GET {trick} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n{cookie}\r\n".encode()
        )
        for who, cookie in (
            ("stranger", ""),
            ("nobody", f"Cookie: _token={server.tokens['nobody']}\r\n"),
            ("viewer", f"Cookie: _token={server.tokens['viewer']}\r\n"),
        )
    }
    for who in ("stranger", "nobody"):
        assert b"Predicted returns" not in answers[who]
        assert b"\r\nset-cookie: x" not in answers[who].lower()
    # With a login it is the report, or nothing of ours.
    status = int(answers["viewer"].split(b" ", 2)[1])
    assert status in (200, 303, 307, 400, 404)
    assert b"Predicted returns" in answers["viewer"] or status != 200 or b"<title>Airflow" in answers["viewer"]
    assert b"Traceback" not in b"".join(answers.values())
