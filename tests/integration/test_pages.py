"""The pages as people come to them: a login in a browser, and Airflow's UI around them, on the embedded stack."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect

from deepfactor.evaluating.evaluate import evaluate
from deepfactor.stack.airflow_settings import DAG
from deepfactor.stack.credentials import USER
from deepfactor.stack.layout import Ports
from deepfactor.stack.stack import Stack
from tests.evaluating.made_span import FIRST, STOCKS
from tests.pages.made import publish_month, stop_at_validation
from tests.reports.watched import CUT_OFF

pytestmark = pytest.mark.integration

# Not those of other tests, which may run at the same time.
PORTS = Ports(api=28480, s3=24980)

MONTH, LAST, FAILED = FIRST + 1, FIRST + 2, FIRST + 3
SECURITY = STOCKS[3]
# Of an address in the UI: the part that shows the pages, and below it the page's own path.
PAGES = "/plugin/deep-factor/deep-factor"

# A console that is told of Airflow's own choice of sandbox: what it holds is ours.
_EXPECTED = ("An iframe which has both allow-scripts and allow-same-origin", "monaco")


@pytest.fixture(scope="module")
def empty(stack: Stack, context: BrowserContext) -> str:
    """What the overview says before anything is published."""
    page = context.new_page()
    page.goto(f"{stack.address}{PAGES}/")
    text = _inside(page, "Nothing is published yet").locator("main").inner_text()
    page.close()
    return text


@pytest.fixture(scope="module")
def published(stack: Stack, empty: str) -> str:
    """The address of a stack in which there are months, an evaluation, a failure, and a run that has not begun."""
    assert empty
    store = stack.endpoint.open()
    for number in range(3):
        publish_month(store, FIRST + number, warn=number == 1)
    evaluate(store, FIRST, LAST)
    stop_at_validation(store, FAILED)
    stack.session.call("PATCH", f"/api/v2/dags/{DAG}", json={"is_paused": True})
    return stack.address


@pytest.fixture(scope="module")
def context(stack: Stack, browser: Browser) -> Iterator[BrowserContext]:
    """A browser in which somebody has logged in; its system's colours are nobody's wish, so Airflow's hold."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="null")
    page = context.new_page()
    page.goto(stack.address)
    page.fill("input[name=username]", USER)
    page.fill("input[name=password]", stack.session._login["password"])
    page.click("button[type=submit]")
    expect(page.get_by_test_id("nav-sidebar")).to_be_visible(timeout=30_000)
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    yield page
    page.close()


def test_before_anything_is_published_it_says_what_to_do(empty: str) -> None:
    assert "trigger it with the parameter month" in " ".join(empty.split())


def test_from_the_navigation_to_a_month_a_security_and_the_evaluation(published: str, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(published)
    page.get_by_role("link", name="Deep Factor").click()
    frame = _inside(page, "Published months")
    # Until all is read the page loads itself again.
    expect(frame.locator("#pending")).to_have_count(0)
    grid = frame.locator("#grid a.cell")
    expect(grid).to_have_count(4)
    expect(frame.get_by_role("link", name=f"{FAILED}: failed validation")).to_be_visible()
    assert frame.evaluate(CUT_OFF) == []

    frame.get_by_role("link", name=f"{MONTH}: blessed with 2 warnings").click()
    expect(frame.get_by_role("heading", name=str(MONTH), exact=True)).to_be_visible()
    # The UI's own address says where one is, so that it can be sent to somebody else.
    page.wait_for_url(f"**{PAGES}/months/{MONTH}")
    report = _report(page, f"months/{MONTH}/files/report.html")
    expect(report.get_by_role("heading", name=f"Predicted returns for {MONTH + 1}")).to_be_visible()
    # Its script runs, and its links lead on with the login.
    report.locator("#filter-name").fill(SECURITY)
    expect(report.locator("#shown")).to_have_text(f"1 of {len(STOCKS)}")

    frame.get_by_role("link", name="Validation").click()
    frame.get_by_role("link", name="prices").click()
    docs = _report(page, "files/validation/data_docs/prices.html")
    expect(docs.locator("body")).to_have_text("Great")

    frame.get_by_role("link", name="Manifest").click()
    expect(frame.locator("#objects tbody tr").first).to_be_visible()

    frame.get_by_role("searchbox").fill(SECURITY)
    frame.get_by_role("button", name="Find").click()
    expect(frame.get_by_role("heading", name=SECURITY)).to_be_visible()
    expect(frame.locator("#rows tbody tr")).to_have_count(3)
    assert frame.evaluate(CUT_OFF) == []
    frame.locator("#model").select_option("dfm1")
    page.wait_for_url("**model=dfm1")

    frame.get_by_role("link", name="Evaluation").click()
    evaluation = _report(page, "files/report.html")
    expect(evaluation.get_by_role("heading", name="What the figures say")).to_be_visible()
    assert [each for each in complaints if not any(part in each for part in _EXPECTED)] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_colours_are_those_that_airflow_has(published: str, page: Page, theme: str) -> None:
    page.goto(published)
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    page.goto(f"{published}{PAGES}/months/{MONTH}")
    frame, report = _inside(page, str(MONTH)), _report(page, "report.html")
    expect(report.get_by_role("heading", name="Predicted returns")).to_be_visible()
    colour = "getComputedStyle(document.body).backgroundColor"
    expected = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[theme]
    assert (frame.evaluate(colour), report.evaluate(colour)) == (expected, expected)


def test_nothing_is_cut_off_where_the_window_is_narrow(published: str, page: Page) -> None:
    page.set_viewport_size({"width": 1000, "height": 900})
    for path, heading in (("/", "Published months"), (f"/securities/{SECURITY}", SECURITY)):
        page.goto(f"{published}{PAGES}{path}")
        frame = _inside(page, heading)
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert frame.evaluate(CUT_OFF) == []


def test_a_run_and_its_tasks_lead_to_the_months_page(stack: Stack, published: str, page: Page) -> None:
    run = stack.session.trigger(DAG, {"month": str(MONTH)})
    page.goto(f"{published}/dags/{DAG}/runs/{run}/plugin/deep-factor-run")
    assert _inside(page, str(MONTH))
    page.goto(f"{published}/dags/{DAG}/runs/{run}/tasks/publish/details")
    link = page.locator("a[href*='/dag-runs/']")
    expect(link).to_have_attribute("href", f"{PAGES}/dag-runs/{DAG}/{run.replace(':', '%3A').replace('+', '%2B')}")
    link.click()
    assert _inside(page, str(MONTH))
    page.wait_for_url(f"**{PAGES}/months/{MONTH}")


def test_without_a_login_nothing_is_shown(published: str, browser: Browser) -> None:
    paths = ("", f"months/{MONTH}", f"months/{MONTH}/files/report.html", f"securities/{SECURITY}", "evaluations")
    for path in paths:
        answer = httpx.get(f"{published}/deep-factor/{path}", trust_env=False)
        assert answer.status_code == 401
        assert SECURITY not in answer.text
    stranger = browser.new_page()
    stranger.goto(f"{published}{PAGES}/months/{MONTH}")
    # Airflow's own login, and no frame.
    expect(stranger.locator("input[name=username]")).to_be_visible()
    stranger.close()


def test_a_session_that_ends_is_told(published: str, context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{published}{PAGES}/")
    frame = _inside(page, "Published months")
    kept = context.cookies()
    context.clear_cookies()
    frame.get_by_role("link", name="Securities").click()
    expect(frame.get_by_role("heading", name="You are not logged in")).to_be_visible()
    context.add_cookies(kept)
    page.close()


def _inside(page: Page, heading: str) -> Frame:
    """Return the frame in which the UI shows our pages, once it has a heading."""
    element = page.locator("iframe[title='Deep Factor']")
    expect(element).to_be_visible(timeout=30_000)
    handle = element.element_handle()
    frame = handle.content_frame() if handle else None
    assert frame is not None
    expect(frame.get_by_role("heading", name=heading, exact=True).first).to_be_visible(timeout=30_000)
    return frame


def _report(page: Page, address: str) -> Frame:
    """Return the frame of a published page within ours."""
    for _ in range(200):
        for frame in page.frames:
            if frame.url.endswith(address):
                return frame
        page.wait_for_timeout(50)
    pytest.fail(f"no frame shows {address}: {[frame.url for frame in page.frames]}")
