"""How long a page takes to open in headless Chromium: from navigation to first paint and to the load event.

A month's page of 2,000 made-up stocks, and any HTML files that are named. Each is opened several times in a new window,
in turn, so that a busy machine slows all. The load event waits for the last byte and for the scripts. Of a month's page
also how long it takes to jump to the table of all stocks, which is laid out when it is come to, until it was drawn; and
from the first click on a stock until its account is laid out.

    python benchmarks/pages.py [FILE …] [--stocks 2000] [--rounds 9]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from math import isnan
from pathlib import Path
from statistics import median
from time import perf_counter

from playwright.sync_api import Browser, sync_playwright

from deepfactor.reports.month import render_month
from deepfactor.reports.numbers import size

sys.path.append(str(Path(__file__).resolve().parents[1]))
from tests.reports.conftest import build_report

_TIMES = """() => {
  const [navigation] = performance.getEntriesByType("navigation");
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [paint ? paint.startTime : NaN, navigation.loadEventEnd];
}"""
_FIRST_CLICK = """() => {
  const button = document.querySelector("#signals-table tbody button");
  if (!button) return NaN;
  button.scrollIntoView({behavior: "instant"});
  button.getBoundingClientRect();
  const started = performance.now();
  button.click();
  document.getElementById("stock").getBoundingClientRect();
  return performance.now() - started;
}"""
_TO_THE_TABLE = """() => {
  const table = document.getElementById("signals-table");
  if (!table) return NaN;
  const started = performance.now();
  table.scrollIntoView({behavior: "instant"});
  const frame = () => new Promise(requestAnimationFrame);
  return frame().then(frame).then(() => performance.now() - started);
}"""
# A load event that has fired has an end only after its handlers have returned.
_LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd > 0"


def month_page(stocks: int, folder: Path) -> Path:
    """Render a month's page, and say how long that took."""
    report = build_report(stocks)
    started = perf_counter()
    page = render_month(report)
    print(f"A month of {stocks:,} stocks: rendered in {perf_counter() - started:.2f} s")
    path = folder / f"month-{stocks}.html"
    path.write_bytes(page)
    return path


def opened(browser: Browser, path: Path) -> tuple[float, ...]:
    """Return milliseconds to first contentful paint and to the end of the load event, to the table, and of a click."""
    page = browser.new_page(viewport={"width": 1240, "height": 900})
    page.goto(path.resolve().as_uri())
    while not page.evaluate(_LOADED) or page.evaluate(_TIMES)[0] is None:
        page.wait_for_timeout(20)
    paint, load = page.evaluate(_TIMES)
    reached = page.evaluate(_TO_THE_TABLE)
    click = page.evaluate(_FIRST_CLICK)
    page.close()
    return paint, load, reached, click


def main() -> None:
    """Open the pages and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--stocks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    program = shutil.which("chromium")
    if program is None:
        parser.exit(1, "chromium is missing: apt-get install chromium\n")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        paths = [month_page(options.stocks, Path(folder)), *options.files]
        browser = playwright.chromium.launch(executable_path=program)
        # The first window of a browser is slow, whatever it shows.
        opened(browser, paths[0])
        times = {path: [] for path in paths}
        for _ in range(options.rounds):
            for path in paths:
                times[path].append(opened(browser, path))
        browser.close()
        print("Milliseconds, median and worst.\n")
        print("| page | size | first paint | load | to the table | first click |")
        print("|---|---|---|---|---|---|")
        for path in paths:
            cells = (_written(each) for each in zip(*times[path], strict=True))
            print(f"| {path.name} | {size(path.stat().st_size)} | {' | '.join(cells)} |")


def _written(milliseconds: tuple[float, ...]) -> str:
    return "–" if isnan(milliseconds[0]) else f"{median(milliseconds):.0f}, {max(milliseconds):.0f}"


if __name__ == "__main__":
    main()
