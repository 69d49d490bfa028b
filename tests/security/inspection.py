"""What is wrong with a page, a table for spreadsheets, or a terminal's output, if a name in it was not kept a text."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from html.parser import HTMLParser
from io import StringIO

_ADDRESSES = frozenset({"href", "src", "action", "formaction", "data", "srcset", "poster", "xlink:href", "background"})
_STRANGE = ("//", "\\\\", "http:", "https:", "javascript:", "vbscript:", "data:text")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


class _Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def texts(page: bytes) -> str:
    """Return everything that a page shows."""
    return _Elements(page.decode()).text


def skeleton(page: bytes) -> Counter[tuple[str, ...]]:
    """Return how often a page has which element with which attributes: with other names it must be the same."""
    return Counter((tag, *sorted(attributes)) for tag, attributes in _Elements(page.decode()).tags)


def page_faults(page: bytes, honest: bytes) -> list[str]:
    """Return what names have made of a page.

    Parameters
    ----------
    page, honest
        HTML with hostile names, and the same with names that are none.
    """
    text = page.decode()
    ours, theirs = skeleton(honest), skeleton(page)
    found = [f"{count} more of {each}" for each, count in (theirs - ours).items()]
    found += [f"{count} fewer of {each}" for each, count in (ours - theirs).items()]
    for tag, attributes in _Elements(text).tags:
        for name, value in attributes.items():
            address = value.strip().lower()
            if name in _ADDRESSES and address.startswith(_STRANGE):
                found.append(f"{tag} {name}={value[:60]}")
    return found + steering(text)


def steering(text: str) -> list[str]:
    """Return the characters that steer a terminal, a browser or the direction of writing; a new line is none."""
    kinds = ("Cc", "Cf", "Zl", "Zp")
    return sorted({repr(each) for each in text if each != "\n" and unicodedata.category(each) in kinds})


def spreadsheet_faults(body: bytes) -> list[str]:
    """Return cells that a spreadsheet would compute, whatever it takes for the separator."""
    text, found = body.decode(), []
    for separator in ",;\t":
        for cell in _cells(text, separator):
            seen = "".join(each for each in cell if unicodedata.category(each)[0] not in "CZ")
            # Where quotes do not count, nobody knows what becomes of them.
            seen = seen if separator == "," else seen.lstrip('"')
            if seen.startswith(_FORMULA) and not _is_number(cell):
                found.append(f"{separator!r}: {cell[:60]!r}")
    return found


def _cells(text: str, separator: str) -> list[str]:
    if separator == ",":
        usual = csv.field_size_limit(10_000_000)
        try:
            return [cell for row in csv.reader(StringIO(text, newline="")) for cell in row]
        finally:
            csv.field_size_limit(usual)
    # A quote that a line does not begin with is a character like any other.
    lines = text.replace("\r", "\n").split("\n")
    return [cell for line in lines for cell in line.split(separator)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def elsewhere(addresses: list[str], ours: tuple[str, ...]) -> list[str]:
    """Return what a browser asked for that is not ours."""
    return [each for each in addresses if not each.startswith((*ours, "data:", "about:", "blob:"))]
