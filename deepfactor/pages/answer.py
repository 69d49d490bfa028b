"""What a page answers, and how pages are rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deepfactor.reports.pages import render_page

# A page is the reader's own, and the next look may show another month.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
_POLICY = "frame-ancestors 'self'"


@dataclass(frozen=True)
class Answer:
    """An answer to a request.

    Attributes
    ----------
    body
        Its bytes.
    status
        Of HTTP.
    media_type
        Of the body.
    headers
        Beside those that every answer has.
    """

    body: bytes
    status: int = 200
    media_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def all_headers(self) -> dict[str, str]:
        """All headers but the media type."""
        return _HEADERS | {"Content-Security-Policy": _POLICY} | self.headers


def page(template: str, root: str, *, status: int = 200, **content: Any) -> Answer:
    """Render one of the pages.

    Parameters
    ----------
    template
        Its template in ``include/templates/pages``, without endings.
    root
        Path below which all pages lie, without a slash at the end.
    status
        Of HTTP.
    content
        What the template shows.
    """
    styles = ("month.css", "evaluation.css", "pages/pages.css")
    body = render_page(f"pages/{template}.html.j2", styles, "pages/pages.js", root=root, **content)
    return Answer(body, status)


def redirect(address: str) -> Answer:
    """Send the reader elsewhere."""
    return Answer(b"", 303, headers={"Location": address})
