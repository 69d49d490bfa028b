"""The command ``deepfactor backtest``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.text import Text

from deepfactor.address import configured_address
from deepfactor.backtest.plan import chosen_months, narrowed
from deepfactor.config import DEFAULT_CONFIG, INCLUDE, load_config
from deepfactor.cores import available_cores
from deepfactor.months import Month
from deepfactor.terminal import console, expected_failures

# The rest is for the system, and for what else runs.
_SHARE_OF_MEMORY = 0.8


def backtest_command(
    first: Annotated[str | None, typer.Option("--from", help="First as-of month, written YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last as-of month.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Folder or s3://bucket/prefix of the delivery, instead of the configuration's.")
    ] = None,
    config: Annotated[Path, typer.Option(help="Configuration file.")] = DEFAULT_CONFIG,
    months: Annotated[str | None, typer.Option(help="Only these as-of months, with commas between them.")] = None,
    models: Annotated[str | None, typer.Option(help="Only these models, with commas between them.")] = None,
    stocks: Annotated[int | None, typer.Option(min=5, help="Only the largest stocks by market value.")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Networks per ensemble.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes at work; else one a core.")] = None,
    memory: Annotated[
        float | None, typer.Option(min=0.1, help="Gigabytes for all of them; else 80 % of what is available.")
    ] = None,
) -> None:
    """Run many months without publishing them, for research, and hold the forecasts against the returns.

    What is done is kept: after a stop of any kind the same command goes on where it was. Without --models, --stocks and
    --members the runs are those of `deepfactor run`.
    """
    if memory is not None and not math.isfinite(memory):
        raise typer.BadParameter("must be a finite number", param_hint="--memory")
    from deepfactor.backtest.engine import run_backtest
    from deepfactor.backtest.results import store_results
    from deepfactor.backtest.terminal import failures_text, shown_progress, summary_table

    with expected_failures(), configured_address(INCLUDE.parent) as address:
        chosen = chosen_months(_month(first), _month(last), [Month.parse(each) for each in _names(months)])
        settings = narrowed(load_config(config, source), _names(models), stocks, members)
        try:
            with shown_progress() as report:
                backtest = run_backtest(
                    chosen,
                    address,
                    settings,
                    workers=min(workers or available_cores(), available_cores()),
                    memory=memory or _SHARE_OF_MEMORY * psutil.virtual_memory().available / 1e9,
                    report=report,
                )
        except KeyboardInterrupt:
            console().print("Interrupted; what is done is kept, the same command goes on from there.")
            raise typer.Exit(130) from None
        if backtest.failures or backtest.without_returns:
            console().print(failures_text(backtest), soft_wrap=True)
        if backtest.runs:
            store = address.open()
            results = store_results(backtest, store, settings)
            console().print(summary_table(results))
            console().print(Text(f"Forecasts and figures: {store.url(results.prefix)}/"), soft_wrap=True)
    if backtest.failures:
        raise typer.Exit(1)


def _month(text: str | None) -> Month | None:
    return None if text is None else Month.parse(text)


def _names(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]
