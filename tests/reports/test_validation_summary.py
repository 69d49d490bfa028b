"""The verdict on a month at a terminal."""

from __future__ import annotations

from datetime import date
from io import StringIO
from typing import Any

import polars as pl
from rich.console import Console

from deepfactor.reports.validation import validation_summary
from deepfactor.validation.quarantine import QUARANTINE_SCHEMA


def _entry(name: str, severity: str, *, success: bool, **more: Any) -> dict[str, Any]:
    entry = {"table": "prices", "name": name, "severity": severity, "scope": "month", "success": success}
    return entry | {"message": f"what {name} means"} | more


def _shown(verdict: dict[str, Any], quarantined: pl.DataFrame) -> str:
    console = Console(width=160, record=True, file=StringIO())
    console.print(validation_summary(verdict, quarantined))
    return " ".join(console.export_text().split())


def test_what_failed_was_set_aside_and_is_odd() -> None:
    aside = pl.DataFrame(
        [("prices", n, date(2016, 2, 1), f"[b]{n}", "close positive", "close positive: close = 0") for n in range(5)],
        schema=QUARANTINE_SCHEMA,
        orient="row",
    )
    verdict = {
        "month": "2016-02",
        "passed": False,
        "faults": ["prices: stocks are missing (found [0.5])"],
        "quarantined": [{"table": "prices", "reason": "close positive", "rows": 5}],
        "expectations": [
            _entry("all stocks", "error", success=False, observed=[0.5], unexpected_count=1),
            _entry("few gone", "warning", success=False, observed=["1301: gone = 1"], unexpected_count=1),
            _entry("close positive", "quarantine", success=False),
            _entry("schema", "error", success=True),
        ],
    }
    text = _shown(verdict, aside)
    assert "2016-02 did not pass validation 1 of 4 expectations met" in text
    assert "✗ prices: stocks are missing (found [0.5])" in text
    assert text.index("Failed") < text.index("all stocks") < text.index("Warnings") < text.index("few gone")
    assert "[b]0 2016-02 (close positive: close = 0)" in text
    assert "[b]3" not in text


def test_a_good_month() -> None:
    verdict = {"month": "2016-02", "passed": True, "expectations": [_entry("schema", "error", success=True)]}
    assert _shown(verdict, pl.DataFrame(schema=QUARANTINE_SCHEMA)) == (
        "2016-02 passed validation 1 of 1 expectations met Set aside no row"
    )
