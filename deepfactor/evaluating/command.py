"""The command ``deepfactor evaluate``."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from deepfactor.months import Month
from deepfactor.terminal import console, expected_failures, opened_store, write_page

# Each month of the span is looked for in the store, and no exchange has published figures for longer.
_MOST_MONTHS = 600


def evaluate_command(
    first: Annotated[str, typer.Option("--from", help="First as-of month, written YYYY-MM.")],
    last: Annotated[str, typer.Option("--to", help="Last as-of month.")],
    source: Annotated[
        str | None,
        typer.Option(help="Folder or s3://bucket/prefix of a delivery, for returns that no published run knows yet."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file that says how the delivery is read, and where it lies.")
    ] = None,
    basis_points: Annotated[
        float | None, typer.Option(min=0, help="Costs of each purchase and each sale; 10 if not given.")
    ] = None,
    missing_return: Annotated[
        float | None,
        typer.Option(min=-1, help="What a stock without a return earns in a portfolio; 0 if not given."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Portfolios that were tried, if more than the models evaluated.")
    ] = None,
    replace: Annotated[
        bool, typer.Option(help="Replace what was evaluated with other parameters, or with more results.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary for machines.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the published page to a file, too.", dir_okay=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the page that is there.")] = False,
) -> None:
    """Hold published months against the returns that came, and publish tables and a page of what they were worth.

    Only published months are read. A month whose result is not known yet is scored as soon as a later month is
    published; with --source or --config the month after it is fetched and described for its returns.
    """
    if html is not None and os.path.lexists(html) and not force:
        raise typer.BadParameter(f"{html} would be overwritten: pass --force", param_hint="--html")

    from deepfactor.config import DEFAULT_CONFIG, load_config
    from deepfactor.evaluating.evaluate import evaluate
    from deepfactor.evaluating.parameters import Parameters
    from deepfactor.evaluating.summary import summary
    from deepfactor.evaluating.terminal import evaluation_text
    from deepfactor.objects import json_to_bytes
    from deepfactor.reports.evaluation.page import NAME

    given = {"missing_return": missing_return, "basis_points": basis_points}
    if strange := [name for name, value in given.items() if value is not None and not math.isfinite(value)]:
        raise typer.BadParameter("must be a finite number", param_hint=f"--{strange[0].replace('_', '-')}")
    parameters = Parameters(**{name: value for name, value in given.items() if value is not None}, trials=trials)
    with expected_failures(), opened_store() as store:
        settings = load_config(config or DEFAULT_CONFIG, source) if (config or source) else None
        start, end = Month.parse(first), Month.parse(last)
        if end - start >= _MOST_MONTHS:
            raise typer.BadParameter(f"{start} to {end} are more than {_MOST_MONTHS} months", param_hint="--from, --to")
        evaluation, manifest = evaluate(store, start, end, parameters, config=settings, replace=replace)
        if html is not None:
            write_page(html, store.read(manifest.named_objects[NAME]))
        if as_json:
            typer.echo(json_to_bytes(summary(evaluation)).decode(), nl=False)
            return
        console().print(evaluation_text(evaluation))
        place = store.url(f"evaluations/{manifest.evaluation_id}")
        console().print(Text(f"Tables, summary.md and summary.json: {place}/"), soft_wrap=True)
        console().print(Text(f"The page: {html or f'{place}/{NAME}'}"), soft_wrap=True)
