"""The published page of an evaluation, against the published tables, and in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Page

from deepfactor.evaluating.evaluation import TABLES, Evaluation
from deepfactor.evaluating.results import find_evaluation
from deepfactor.reports.evaluation.page import render_evaluation
from deepfactor.store import Store
from tests.evaluating.figures import Figure, differing, figures_of
from tests.evaluating.made_evaluation import made_evaluation
from tests.evaluating.made_span import FIRST, LAST
from tests.reports.watched import CUT_OFF

_OVERLAPPING = """() => [...document.querySelectorAll(".chart")].flatMap(svg => {
  const boxes = [...svg.querySelectorAll("text")].map(text => [text.textContent, text.getBBox()]);
  return boxes.flatMap(([one, a], place) => boxes.slice(place + 1).filter(([_, b]) =>
    Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 1
      && Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 5
  ).map(([other]) => one + " / " + other));
})"""
_FIGURES = """() => [...document.querySelectorAll("[data-of]")].map(each => [
  each.closest("table").dataset.frame, each.dataset.of, each.dataset.value, each.textContent])"""


def published(store: Store, name: str) -> bytes:
    manifest = find_evaluation(store, FIRST, LAST)
    assert manifest is not None
    return store.read(manifest.named_objects[name])


@pytest.fixture(scope="module")
def frames(span_store: Store, evaluation: Evaluation) -> dict[str, pl.DataFrame]:
    """The tables as they are published."""
    manifest = find_evaluation(span_store, FIRST, LAST)
    assert manifest is not None
    return {name: span_store.read_frame(manifest.named_objects[f"{name}.parquet"]) for name in TABLES}


def test_figures_are_those_of_the_published_tables(span_store: Store, frames: dict[str, pl.DataFrame]) -> None:
    figures = figures_of(published(span_store, "report.html"))
    assert len(figures) > 2000
    assert not differing(figures, frames)


def test_the_same_months_give_the_same_page(span_store: Store, evaluation: Evaluation) -> None:
    assert render_evaluation(evaluation) == published(span_store, "report.html")


def test_a_leak_is_told_first(leaking: Evaluation) -> None:
    page = render_evaluation(leaking).decode()
    assert page.index("✗ Too good to be true.") < page.index("What the figures say")
    assert page.count("the mean rank IC of linear is +0.") == 1


@pytest.fixture(scope="module")
def address(span_store: Store, evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("evaluation") / "report.html"
    path.write_bytes(span_store.get(f"evaluations/{evaluation.id}/report.html"))
    return path.as_uri()


@pytest.fixture(scope="module", params=[1, 120])
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of all models, of the fewest and of many months."""
    path: Path = tmp_path_factory.mktemp("evaluation") / "report.html"
    path.write_bytes(render_evaluation(made_evaluation(request.param, stocks=15)))
    return path.as_uri()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1240, "height": 900})
    yield page
    page.close()


@pytest.mark.integration
class TestBrowser:
    def test_opens_without_complaint_or_outside_request(self, page: Page, address: str) -> None:
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        assert complaints == []
        assert [each for each in requests if not each.startswith("data:")] == [address]
        assert page.title() == f"Evaluation {FIRST} … {LAST} · deepfactor"

    def test_figures_are_those_of_the_published_tables(
        self, page: Page, address: str, frames: dict[str, pl.DataFrame], span_store: Store
    ) -> None:
        page.goto(address)
        shown: list[Any] = page.evaluate(_FIGURES)
        assert len(shown) == len(figures_of(published(span_store, "report.html")))
        assert not differing((Figure(*each) for each in shown), frames)

    @pytest.mark.parametrize("width", [380, 800, 1240])
    def test_nothing_sticks_out_at_any_width(self, page: Page, address: str, width: int) -> None:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(_OVERLAPPING) == []
        assert page.locator(".chart").first.is_visible()

    def test_one_month_and_many_fit(self, page: Page, other: str) -> None:
        for width in (380, 1240):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(other)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(CUT_OFF) == []
            assert page.evaluate(_OVERLAPPING) == []

    def test_is_used_with_the_keyboard(self, page: Page, address: str) -> None:
        page.goto(address)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to what the figures say"
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("details").first.get_attribute("open") is not None
        regions = "[...document.querySelectorAll('.scroll')].every(each => each.tabIndex === 0 && each.ariaLabel)"
        assert page.evaluate(regions)

    def test_lines_differ_by_more_than_colour(self, page: Page, address: str) -> None:
        page.goto(address)
        style = "[...document.querySelectorAll('#wealth figure')].map(each => [...each.querySelectorAll('.line')].map("
        style += "line => [getComputedStyle(line).strokeDasharray, getComputedStyle(line).strokeWidth].join()))"
        for dashes in page.evaluate(style):
            assert len(set(dashes)) == len(dashes)

    def test_dark_page_is_dark(self, browser: Browser, address: str) -> None:
        page = browser.new_page(color_scheme="dark")
        page.goto(address)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
        assert page.evaluate("getComputedStyle(document.querySelector('.chart .strip')).fill") == "rgb(232, 234, 237)"
        page.close()

    def test_prints_without_what_has_to_be_opened(self, page: Page, address: str) -> None:
        page.goto(address)
        page.emulate_media(media="print")
        assert not page.locator("details").first.is_visible()
        assert page.locator("#table-4-figures").is_visible()
