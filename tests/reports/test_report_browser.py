from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from deepfactor.reports.month import render_month
from tests.reports.watched import CUT_OFF, Watched

pytestmark = pytest.mark.integration

STOCKS = 2000


@pytest.fixture(scope="module")
def report(make_report: Any) -> Any:
    return make_report(stocks=STOCKS, names=["<script>document.title = 'taken'</script>"])


@pytest.fixture(scope="module")
def address(report: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "month.html"
    path.write_bytes(render_month(report))
    return path.as_uri()


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    watched = Watched(browser, address)
    yield watched
    watched.page.close()


def test_opens_without_complaint_or_outside_request(watched: Watched, address: str) -> None:
    assert watched.complaints == []
    assert [each for each in watched.requests if not each.startswith("data:")] == [address]
    assert watched.page.title() == "Signals of 2016-02 · dfm2 · deepfactor"
    assert len(watched.column(0)) == STOCKS


def test_sorts_by_the_exact_figures_and_back(watched: Watched, report: Any) -> None:
    stocks = report.stocks().sort(["Value", "rank"], descending=[True, False])
    header = watched.page.locator("#signals-table").get_by_role("columnheader", name="Value")
    button = header.get_by_role("button")
    button.click()
    assert watched.column(0) == stocks["security_id"].to_list()
    assert header.get_attribute("aria-sort") == "descending"
    button.press("Enter")
    assert watched.column(0) == stocks.sort(["Value", "rank"])["security_id"].to_list()
    assert watched.complaints == []


def test_sorting_and_filtering_two_thousand_rows_do_not_stutter(watched: Watched) -> None:
    script = """action => {
      const started = performance.now();
      if (action === "sort") document.querySelector("#signals-table th:nth-child(6) button").click();
      else {
        const field = document.getElementById("filter-name");
        field.value = "13";
        field.dispatchEvent(new Event("input"));
      }
      document.body.getBoundingClientRect();
      return performance.now() - started;
    }"""
    # Some 0.2 s on two cores; the limit leaves room for a busy machine, not for a slow algorithm.
    assert watched.page.evaluate(script, "sort") < 1500
    assert watched.page.evaluate(script, "filter") < 1500


def test_filters_by_name_and_quintile(watched: Watched, report: Any) -> None:
    watched.page.get_by_label("Security", exact=True).fill("99")
    watched.page.get_by_label("Quintile", exact=True).select_option("5")
    expected = [
        each["security_id"]
        for each in report.stocks().iter_rows(named=True)
        if "99" in each["security_id"] and each["quintile"] == 5
    ]
    assert expected
    assert watched.column(0) == expected
    assert watched.page.locator("#shown").inner_text() == f"{len(expected)} of 2,000"


def test_is_used_with_the_keyboard(watched: Watched) -> None:
    watched.page.keyboard.press("Tab")
    assert watched.page.evaluate("document.activeElement.textContent") == "Skip to the signals table"
    watched.page.get_by_label("All signals, scrollable").focus()
    watched.page.keyboard.press("PageDown")
    watched.eventually("document.querySelector('.scroll.tall').scrollTop > 0")


@pytest.mark.parametrize("width", [380, 800, 1240])
def test_nothing_sticks_out_at_any_width(browser: Browser, address: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_prints_on_a_few_pages_and_in_full_on_request(watched: Watched) -> None:
    watched.page.emulate_media(media="print")
    assert not watched.page.locator("#signals-table").is_visible()
    assert watched.page.get_by_text("is left out in print").is_visible()
    watched.page.emulate_media(media="screen")
    watched.page.get_by_label("print this table too").check()
    watched.page.emulate_media(media="print")
    assert watched.page.locator("#signals-table").is_visible()


def test_pictures_keep_within_themselves(watched: Watched) -> None:
    """No text of a picture is cut off at its border, and none is too small to read on a telephone."""
    for width in (1240, 380):
        watched.page.set_viewport_size({"width": width, "height": 900})
        assert watched.page.evaluate(CUT_OFF) == []


def test_every_dot_of_a_beeswarm_is_drawn(watched: Watched, report: Any) -> None:
    """A point of no length is drawn as a dot; that depends on the shape of the line's ends."""
    ends = "[...document.querySelectorAll('.dots')].map(path => getComputedStyle(path).strokeLinecap)"
    assert watched.page.evaluate(ends) == ["round"] * 6
    boxes = "[...document.querySelectorAll('.dots')].map(path => path.getBBox().width > 500)"
    assert watched.page.evaluate(boxes) == [True] * 6


def test_dark_page_is_dark(browser: Browser, address: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(address)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    page.close()
