"""Pages for people: one file of HTML each, that asks nothing of the network and runs no foreign script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

import jinja2

from deepfactor.config import INCLUDE
from deepfactor.reports import numbers

_TEMPLATES = INCLUDE / "templates"


def render_page(template: str, style: str | tuple[str, ...], script: str | None, **content: Any) -> bytes:
    """Return a page in UTF-8; the same content gives the same bytes.

    Parameters
    ----------
    template, style, script
        Files of ``include/templates``. The template gets the texts of the other two as ``style`` and ``script``, and as
        ``style_hash`` and ``script_hash`` what a content security policy allows them by. Of several styles a later one
        prevails; a page may have no script.
    content
        What the template shows. Text is escaped.
    """
    files = {"style": (style,) if isinstance(style, str) else style} | ({"script": (script,)} if script else {})
    texts = {name: "".join(map(_text, each)) for name, each in files.items()}
    hashes = {f"{name}_hash": _csp_hash(text) for name, text in texts.items()}
    return _environment().get_template(template).render(**content, **texts, **hashes).encode()


def _text(file: str) -> str:
    return (_TEMPLATES / file).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    """Return what renders; a template is compiled once a process, which takes longer than to render a small page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=numbers.percent,
        decimal=numbers.decimal,
        figure=numbers.figure,
        legible=numbers.legible,
        coordinate="{:g}".format,
    )
    return environment


def _csp_hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
