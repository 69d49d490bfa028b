"""The command ``deepfactor explain``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfactor.models.names import EXPLAINED_MODELS
from deepfactor.months import Month
from deepfactor.terminal import console, expected_failures, opened_store, write_page

if TYPE_CHECKING:
    from deepfactor.explaining.explanation import Explanation
    from deepfactor.explaining.published import PublishedModel
    from deepfactor.explaining.subjects import Subject
    from deepfactor.store import Store

# Descriptors that are shown against the market.
_SWARMS = 6


def explain_command(
    month: Annotated[str, typer.Option("--month", help="As-of month, written YYYY-MM.")],
    security: Annotated[str | None, typer.Option(help="Id of a stock.")] = None,
    portfolio: Annotated[
        str | None,
        typer.Option(help="top, bottom or long-short; or a CSV file with the columns security_id,weight."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(EXPLAINED_MODELS)}; else the month's signal model.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation for machines.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page that needs no network, too.", dir_okay=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the page that is there.")] = False,
) -> None:
    """Say why a published month predicts what it predicts of a stock or of a portfolio."""
    if (security is None) == (portfolio is None):
        raise typer.BadParameter(
            "name a stock with --security, or a portfolio with --portfolio", param_hint="--security"
        )
    if html is not None and os.path.lexists(html) and not force:
        raise typer.BadParameter(f"{html} would be overwritten: pass --force", param_hint="--html")

    from deepfactor.explaining import subjects
    from deepfactor.explaining.document import explanation_json
    from deepfactor.explaining.explain import explain
    from deepfactor.explaining.published import read_model_month
    from deepfactor.explaining.terminal import explanation_text

    with expected_failures(), opened_store() as store:
        published = read_model_month(store, Month.parse(month), model)
        subject = (
            subjects.portfolio(published, portfolio)
            if portfolio is not None
            else subjects.stock(store, published, security or "")
        )
        explanation = explain(store, published, subject)
        if html is not None:
            write_page(html, page_of(store, published, subject, explanation))
        if as_json:
            typer.echo(explanation_json(explanation))
            return
        console().print(explanation_text(explanation))
        if html is not None:
            console().print(f"\nThe page: {html}", highlight=False, markup=False, soft_wrap=True)


def page_of(store: Store, published: PublishedModel, subject: Subject, explanation: Explanation) -> bytes:
    """Return an explanation as a page, among the month's other stocks and the months before.

    Parameters
    ----------
    store
        Where earlier months are published.
    published, subject, explanation
        What is explained, and its explanation.
    """
    from deepfactor.explaining.surroundings import shares_until, swarm
    from deepfactor.reports.explanation import render_explanation
    from deepfactor.schemas import SHARES

    most = sorted(explanation.descriptors, key=lambda each: -abs(each.contribution))[:_SWARMS]
    shares = shares_until(store, published.month, published.model) if subject.published else SHARES.empty()
    return render_explanation(explanation, [swarm(published, subject, each.name) for each in most], shares)
