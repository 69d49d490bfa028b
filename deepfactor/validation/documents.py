"""Data Docs: Great Expectations' own rendering of a suite's results, on a page that needs no network."""

from __future__ import annotations

import copy
import html
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

from deepfactor.months import Month, last_session
from deepfactor.reports.numbers import legible
from deepfactor.validation.judging import Judgement

# The page of the library loads scripts and styles from the network; this one takes only its sections.
_TEMPLATE = "suite_page.j2"
# Japan has no summer time. The hour at which the month's run is due, so that the same month gives the same page.
_TOKYO = timezone(timedelta(hours=9))
_DUE = time(18, 0, tzinfo=_TOKYO)
# How a summary begins, by whether the suite lets the month pass.
PASSED, STOPPED = "Passed.", "Stopped."


def render(month: Month, calendar: str, judgements: Sequence[Judgement], summaries: dict[str, str]) -> dict[str, bytes]:
    """Return an index and a page for each suite; the same judgements give the same bytes.

    Parameters
    ----------
    month, calendar
        The as-of month, and the exchange calendar that says when it closes.
    judgements
        Of all suites.
    summaries
        For each suite what became of it, in a sentence.
    """
    due = datetime.combine(last_session(month, calendar), _DUE).astimezone(UTC)
    view = _view()
    pages = {}
    for table, summary in summaries.items():
        of_table = [each for each in judgements if each.rule.table == table]
        pages[f"{table}.html"] = _page(view, month, due, table, of_table, summary).encode()
    return {"index.html": _index(month, summaries).encode(), **pages}


def _page(view: Any, month: Month, due: datetime, table: str, judgements: Sequence[Judgement], summary: str) -> str:
    import great_expectations
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.render.renderer import ValidationResultsPageRenderer

    met = sum(each.met for each in judgements)
    result = ExpectationSuiteValidationResult(
        # What is set aside or reported does not stop the month.
        success=summary.startswith(PASSED),
        results=[_as_text(each.result) for each in judgements],
        suite_name=table,
        statistics={
            "evaluated_expectations": len(judgements),
            "successful_expectations": met,
            "unsuccessful_expectations": len(judgements) - met,
            "success_percent": 100.0 * met / len(judgements) if judgements else None,
        },
        meta={
            "great_expectations_version": great_expectations.__version__,
            "batch_spec": {"data_asset_name": table},
            "run_id": {"run_name": str(month), "run_time": due.isoformat()},
        },
    )
    document = ValidationResultsPageRenderer().render(result)
    rules = [each.rule for each in judgements]
    text: str = view.render(
        document, template=_TEMPLATE, month=str(month), table=table, summary=legible(summary), rules=rules
    )
    # The library links to a page of the suite that is not rendered; its rules stand at the bottom of this one.
    return text.replace(f"../../../../expectations/{table}.html", "#rules")


def _as_text(result: Any) -> Any:
    """Return a result whose values are text for HTML: the library writes values of the data into tables as they are."""
    harmless = copy.copy(result)
    harmless.result = _escaped(result.result)
    return harmless


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(legible(value))
    if isinstance(value, dict):
        return {name: _escaped(each) for name, each in value.items()}
    return type(value)(map(_escaped, value)) if isinstance(value, list | tuple) else value


def _view() -> Any:
    """Return the library's view with numbers in the place of random identifiers."""
    from great_expectations.render.view import DefaultJinjaPageView

    numbers = itertools.count(1)
    view = DefaultJinjaPageView(custom_views_directory=str(Path(__file__).parent))
    view.env.filters["generate_html_element_uuid"] = lambda prefix=None: f"{prefix or ''}{next(numbers)}"
    return view


def _index(month: Month, summaries: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><td><a href="{table}.html">{table}</a></td><td>{html.escape(legible(summary))}</td></tr>\n'
        for table, summary in summaries.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Validation of {month}</title></head>\n"
        f'<body style="font-family: sans-serif; margin: 2rem"><h1>Validation of {month}</h1>\n'
        f'<table cellpadding="6">{rows}</table></body></html>\n'
    )
