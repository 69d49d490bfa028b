"""The command line: a month step by step without Airflow, and a look at what is published."""

from __future__ import annotations

import logging
import resource
import sys
from dataclasses import replace as with_fields
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from deepfactor.backfill.command import backfill_command
from deepfactor.backtest.commands import backtest_command
from deepfactor.config import DEFAULT_CONFIG, INCLUDE, SimulationConfig, load_config
from deepfactor.evaluating.command import evaluate_command
from deepfactor.explaining.command import explain_command
from deepfactor.exporting import export_command
from deepfactor.months import Month, Window
from deepfactor.preservation.commands import gc_command, restore_command, verify_command
from deepfactor.publication import read_month, verify_month
from deepfactor.reports.summary import durations_table, month_summary, objects_table
from deepfactor.reports.validation import validation_summary
from deepfactor.stack.commands import demo_command, stack_app
from deepfactor.terminal import LegibleFormatter, console, expected_failures, opened_store, shown_training

ROOT = INCLUDE.parent

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(stack_app, name="stack")
app.command("demo")(demo_command)
app.command("backfill")(backfill_command)
app.command("backtest")(backtest_command)
app.command("export")(export_command)
app.command("explain")(explain_command)
app.command("evaluate")(evaluate_command)
app.command("verify")(verify_command)
app.command("gc")(gc_command)
app.command("restore")(restore_command)

MonthOption = Annotated[str, typer.Option("--month", help="As-of month, written YYYY-MM.")]
SourceOption = Annotated[
    str | None, typer.Option(help="Folder or s3://bucket/prefix of the delivery, instead of the configuration's.")
]


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the steps do.")] = False,
) -> None:
    """Set up logging for all commands."""
    handler = RichHandler(console=Console(stderr=True), show_path=False)
    handler.setFormatter(LegibleFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])


@app.command()
def run(
    month: MonthOption,
    source: SourceOption = None,
    config: Annotated[Path, typer.Option(help="Configuration file.")] = DEFAULT_CONFIG,
    replace: Annotated[bool, typer.Option(help="Replace what another run has published for this month.")] = False,
) -> None:
    """Run all steps of a month without Airflow, and publish it."""
    from deepfactor.monthly import run_month

    output = console()
    durations: dict[str, float] = {}

    def after(step: str, seconds: float) -> None:
        durations[step] = seconds
        output.print(f"  {step:<14} {seconds:6.1f} s", highlight=False)

    with expected_failures(), opened_store() as store:
        as_of = Month.parse(month)
        settings = load_config(config, source)
        output.print(Text(f"{as_of} from {settings.source.folder} to {store.url('')}", style="bold"), soft_wrap=True)
        with shown_training(output) as progress:
            manifest = run_month(as_of, store, settings, replace=replace, after=after, progress=progress)
        verify_month(store, as_of)
        output.print(month_summary(read_month(store, as_of).report()))
        output.print(objects_table(manifest.objects))
        output.print(durations_table(durations))
        output.print(
            f"Published and verified as run {manifest.run_id}. Peak memory {_peak_gigabytes():.2f} GB.", highlight=False
        )


@app.command()
def show(month: MonthOption) -> None:
    """Show the summary of a published month."""
    with expected_failures(), opened_store() as store:
        published = read_month(store, Month.parse(month))
        console().print(month_summary(published.report()))
        console().print(objects_table(published.manifest.objects))


@app.command()
def validate(
    month: MonthOption,
    source: SourceOption = None,
    config: Annotated[Path, typer.Option(help="Configuration file.")] = DEFAULT_CONFIG,
    documents: Annotated[
        Path | None, typer.Option(help="Folder for verdict, rows set aside and Data Docs, instead of the store.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict for machines.")] = False,
) -> None:
    """Hold a month's raw tables against their expectations; exit with 1 if they do not pass. Nothing is published."""
    from deepfactor.raw import fetch_raw
    from deepfactor.validation import validate as judge
    from deepfactor.validation.files import verdict_files, write_files

    with expected_failures():
        as_of = Month.parse(month)
        settings = load_config(config, source)
        outcome = judge(fetch_raw(as_of, settings), Window(as_of), settings)
        files = verdict_files(outcome)
        if documents is not None:
            write_files(documents, files)
            place = str(documents / "data_docs" / "index.html")
        else:
            with opened_store() as store:
                store.put_many([(f"validations/{as_of}/{path}", body) for path, body in files.items()])
                place = store.url(f"validations/{as_of}/data_docs/index.html")
        if as_json:
            typer.echo(files["verdict.json"].decode(), nl=False)
        else:
            console().print(validation_summary(outcome.verdict, outcome.quarantined))
            console().print(f"Data Docs: {place}", highlight=False, markup=False, soft_wrap=True)
    if not outcome.passed:
        raise typer.Exit(1)


@app.command()
def simulate(
    to: Annotated[Path, typer.Option(help="Folder to land the market in.")] = ROOT / ".local" / "market",
    stocks: Annotated[int, typer.Option(min=50, help="Average number of listed stocks.")] = 300,
    premia: Annotated[
        Literal["linear", "interactions", "none"], typer.Option(help="What expected returns follow from.")
    ] = "interactions",
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another market.")] = SimulationConfig().seed,
) -> None:
    """Land a simulated market, laid out as a vendor delivers files, with the truth about it in truth.json."""
    from deepfactor.sources.simulated import land

    with expected_failures():
        land(to, with_fields(SimulationConfig(), stocks=stocks, premia=premia, seed=seed))
        console().print(f"A market of {stocks} stocks lies in {to}", highlight=False, markup=False)


def _peak_gigabytes() -> float:
    # Linux counts kilobytes, macOS bytes.
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
