"""The commands ``deepfactor stack …`` and ``deepfactor demo``.

What they use is imported when they are called: psutil, httpx and the servers belong to the ``airflow`` extra.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepfactor.errors import DeepfactorError

CHECKOUT = Path(__file__).resolve().parents[2]

stack_app = typer.Typer(no_args_is_help=True, help="The embedded stack: PostgreSQL, an S3 endpoint and Airflow.")

RootOption = Annotated[Path, typer.Option(help="Everything is kept in .local below this folder.", file_okay=False)]
ApiPortOption = Annotated[int, typer.Option(help="Port to try first for Airflow's UI.", min=1, max=65535)]
S3PortOption = Annotated[int, typer.Option(help="Port to try first for the S3 endpoint.", min=1, max=65535)]


@stack_app.command("up")
def up_command(root: RootOption = CHECKOUT, api_port: ApiPortOption = 8080, s3_port: S3PortOption = 4566) -> None:
    """Start what does not run yet."""
    from deepfactor.stack.credentials import USER
    from deepfactor.stack.layout import Layout, Ports
    from deepfactor.stack.stack import up

    console = Console()
    with _expected_failures():
        stack = up(Layout(root), Ports(api_port, s3_port), lambda step: console.print(Text(step)))
        console.print(
            Text(f"Airflow: {stack.address}  user {USER}, password in {stack.layout.password}"), soft_wrap=True
        )
        console.print(Text(f"S3:      {stack.endpoint.url}"))


@stack_app.command("down")
def down_command(root: RootOption = CHECKOUT) -> None:
    """Stop what was started, and nothing else."""
    from deepfactor.stack.layout import Layout
    from deepfactor.stack.stack import down

    with _expected_failures():
        stopped = down(Layout(root))
    Console().print(Text(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running."))


@stack_app.command("status")
def status_command(root: RootOption = CHECKOUT) -> None:
    """Show what runs, and where; exit code 1 unless all of it does."""
    from deepfactor.stack.layout import Layout
    from deepfactor.stack.stack import status

    with _expected_failures():
        services = status(Layout(root))
    table = Table("service", "state", "process", "address", box=None, padding=(0, 2, 0, 0))
    for each in services:
        table.add_row(each.name, each.state, "" if each.pid is None else str(each.pid), Text(each.address))
    Console().print(table)
    if any(each.pid is None for each in services):
        raise typer.Exit(1)


@stack_app.command("airflow", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def airflow_command(context: typer.Context, root: RootOption = CHECKOUT) -> None:
    """Run an Airflow command on the stack: what comes after is given to it as it is."""
    from deepfactor.stack.airflow_services import command
    from deepfactor.stack.layout import Layout
    from deepfactor.stack.stack import command_environment

    with _expected_failures():
        environment = command_environment(Layout(root))
    done = subprocess.run(command(context.args), env=environment, check=False)  # noqa: S603 - the user's own command
    raise typer.Exit(done.returncode)


def demo_command(
    stocks: Annotated[int, typer.Option(help="Average number of stocks of the simulated market.", min=20)] = 300,
    month: Annotated[str, typer.Option(help="As-of month, written YYYY-MM.")] = "2016-02",
    root: RootOption = CHECKOUT,
    api_port: ApiPortOption = 8080,
    s3_port: S3PortOption = 4566,
) -> None:
    """Publish one simulated month through Airflow, and show what came out."""
    from deepfactor.stack.demonstration import demo
    from deepfactor.stack.layout import Ports

    with _expected_failures():
        console = Console()
        if not console.is_terminal:
            # A file or a pipe has no width; the default of 80 columns breaks the tables.
            console = Console(width=120)
        code = demo(root, stocks, month, console, ports=Ports(api_port, s3_port))
    raise typer.Exit(code)


@contextmanager
def _expected_failures() -> Iterator[None]:
    """Turn a failure that was foreseen into its message and exit code 1."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        yield
    except DeepfactorError as error:
        from deepfactor.terminal import legible_lines

        Console(stderr=True).print(Text(f"error: {legible_lines(str(error))}", style="bold red"), soft_wrap=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; the stack goes on running, `make down` stops it.")
        sys.exit(130)
