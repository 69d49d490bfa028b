"""A page in a browser, and whatever it did."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page


class Visit:
    """A page in the browser, and whatever it did."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.asked: list[str] = []
        self.did: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        # What its policy forbids, the browser tells of and does not ask for.
        self.page.on("requestfailed", lambda request: self._forget(request.url) if request.failure == "csp" else None)
        self.page.on("dialog", self._dismiss)
        self.page.on("pageerror", lambda error: self.did.append(f"error: {error}"))
        self.page.on("popup", lambda popup: self.did.append(f"popup: {popup.url}"))
        self.page.on("download", lambda download: self.did.append(f"download: {download.url}"))
        self.page.on("console", lambda message: self.did.append(message.text) if message.type == "error" else None)

    def _forget(self, address: str) -> None:
        self.asked.remove(address)

    def _dismiss(self, dialog: object) -> None:
        self.did.append(f"dialog: {getattr(dialog, 'message', '')}")
        dialog.dismiss()  # type: ignore[attr-defined]

    def go(self, address: str) -> None:
        """Open an address, and give what is there time to do something."""
        self.page.goto(address)
        self.page.wait_for_timeout(150)
