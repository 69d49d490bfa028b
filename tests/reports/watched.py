"""A page in a headless browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

CUT_OFF = """() => [...document.querySelectorAll("svg[role=img]")].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left - 1 || box.right > frame.right + 1
      || box.top < frame.top - 1 || box.bottom > frame.bottom + 1 || box.height < 10;
  }).map(text => svg.querySelector("title").textContent + ": " + text.textContent);
})"""
"""Texts of pictures that are cut off at the border, or too small to read on a telephone."""


class Watched:
    """A page, and whatever it said or asked for."""

    def __init__(self, browser: Browser, address: str, width: int = 1240, **options: Any) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)

    def column(self, number: int) -> list[str]:
        """Return what a column of the signals table shows, in the order shown."""
        rows = "[...document.querySelectorAll('#signals-table tbody tr:not([hidden])')]"
        found: list[str] = self.page.evaluate(f"column => {rows}.map(row => row.cells[column].textContent)", number)
        return found

    def eventually(self, condition: str) -> None:
        """Wait for a condition; the driver's own waiting evaluates text in the page, which its policy forbids."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never came true: {condition}")
