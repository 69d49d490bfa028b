"""The command ``deepfactor backfill``.

What it uses is imported when it is called.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from deepfactor.backfill.plan import Reprocess, chosen_span
from deepfactor.config import INCLUDE
from deepfactor.terminal import console, expected_failures

if TYPE_CHECKING:
    from deepfactor.backfill.airflow import Action, Backfill, BackfillClient
    from deepfactor.backfill.connection import Connection
    from deepfactor.backfill.driving import Request

_INTERRUPTED = 130


def backfill_command(
    first: Annotated[str | None, typer.Option("--from", help="First as-of month, written YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last as-of month.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which months would run.")] = False,
    reprocess: Annotated[
        Reprocess,
        typer.Option(
            help="Months to run although Airflow has a run of them: none, those that failed, or all. A month whose "
            "manifest is missing runs in any case, one that is published only with all."
        ),
    ] = "none",
    max_active: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Months at once. Else, where the tasks run on this machine, as many as 80 % of the available memory "
            "holds at 3 GB a month (2,000 stocks), and one a core at most; elsewhere as many as the DAG allows. "
            "Models train one at a time in any case, or as many as the pool `training` has slots.",
        ),
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="Configuration file as Airflow's tasks see it; else the DAG's default.")
    ] = None,
    replace: Annotated[bool, typer.Option(help="Replace what another run has published for a month.")] = False,
    root: Annotated[
        Path, typer.Option(help="Folder of the embedded stack, which is in .local below it.", file_okay=False)
    ] = INCLUDE.parent,
    airflow: Annotated[
        str | None,
        typer.Option(
            envvar="DEEPFACTOR_AIRFLOW",
            help="Address of another Airflow than the embedded one. DEEPFACTOR_AIRFLOW_TOKEN or "
            "DEEPFACTOR_AIRFLOW_PASSWORD in the environment lets in.",
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(envvar="DEEPFACTOR_AIRFLOW_USER", help="Whom to log in as there.")] = None,
    dag: Annotated[str, typer.Option(help="The DAG.")] = "deepfactor_monthly",
    pause: Annotated[bool, typer.Option("--pause", help="Let the active backfill begin no further months.")] = False,
    unpause: Annotated[bool, typer.Option("--unpause", help="Let it go on; with --from and --to follow it.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End it: months that run are finished first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print plan or outcome for machines.")] = False,
) -> None:
    """Publish many months with Airflow's own backfill, and follow it; exit with 1 if one is not published.

    Months that are published are left alone, and a backfill that is active is followed first: after a stop of any kind
    the same command goes on. Ctrl-C leaves the backfill running in Airflow.
    """
    from deepfactor.backfill.airflow import BackfillClient
    from deepfactor.backfill.connection import connected
    from deepfactor.backfill.driving import Request
    from deepfactor.backfill.patience import patiently

    logging.getLogger("httpx").setLevel(logging.WARNING)
    action = _action(pause=pause, unpause=unpause, cancel=cancel)
    if (first is None or last is None) and (action is None or (first or last) is not None):
        raise typer.BadParameter("say which months: --from and --to", param_hint="--from, --to")
    with expected_failures():
        months = chosen_span(first, last) if first and last else ()
        with connected(root, airflow, user) as connection:
            client = BackfillClient(connection.session, dag)
            if action is not None:
                _apply(client, action)
            if months and action in (None, "unpause"):
                # An Airflow that is named may not be there at all; the embedded one is.
                facts = patiently(client.facts) if connection.is_local else client.facts()
                conf = {"config": config} if config else {}
                request = Request(
                    months=months,
                    max_active=max_active or _months_at_once(connection, facts.max_active_runs),
                    reprocess=reprocess,
                    conf=conf | ({"replace": True} if replace else {}),
                )
                (_show_plan if dry_run else _run)(client, request, connection, as_json=as_json)


def _action(**chosen: bool) -> Action | None:
    named: list[Any] = [name for name, is_chosen in chosen.items() if is_chosen]
    if len(named) > 1:
        raise typer.BadParameter("choose one", param_hint=", ".join(f"--{name}" for name in named))
    return named[0] if named else None


def _apply(client: BackfillClient, action: Action) -> None:
    from deepfactor.backfill.errors import BackfillError

    active = client.active()
    if active is None:
        raise BackfillError(f"no backfill of {client.dag} is active, so there is none to {action}")
    client.apply(action, active)
    done = {"pause": "is paused; months that run are finished", "unpause": "goes on", "cancel": "is cancelled"}
    console().print(Text(f"{active} {done[action]}."), soft_wrap=True)


def _months_at_once(connection: Connection, allowed: int) -> int:
    if not connection.is_local:
        return allowed
    import psutil

    from deepfactor.backfill.sizing import months_at_once
    from deepfactor.cores import available_cores

    return months_at_once(psutil.virtual_memory().available, available_cores())


def _show_plan(client: BackfillClient, request: Request, connection: Connection, *, as_json: bool) -> None:
    from deepfactor.backfill.driving import plan_backfill
    from deepfactor.backfill.terminal import fate, plan_text

    plan = plan_backfill(client, request, connection.store)
    if as_json:
        months = [
            {
                "month": str(each.month),
                "run": each.run,
                "state": each.state,
                "published": each.published,
                "would_run": each.is_wanted(request.reprocess),
                "what": fate(each, request.reprocess),
            }
            for each in plan.statuses
        ]
        _print_json(client, request, connection, months)
        return
    console().print(plan_text(plan, request.reprocess))
    console().print(Text(f"{request.max_active} at once."))


def _run(client: BackfillClient, request: Request, connection: Connection, *, as_json: bool) -> None:
    from deepfactor.backfill.driving import run_backfill
    from deepfactor.backfill.terminal import outcome_text, shown_progress

    with shown_progress() as display:
        try:
            found = run_backfill(client, request, connection.store, display)
        except KeyboardInterrupt:
            _print_farewell(display.backfill, client)
            raise typer.Exit(_INTERRUPTED) from None
    if as_json:
        _print_json(client, request, connection, [each.as_dict() for each in found])
    else:
        store = connection.store
        console().print(outcome_text(found, store=store.url("") if store else None), soft_wrap=False)
    if not all(each.published for each in found):
        raise typer.Exit(1)


def _print_json(client: BackfillClient, request: Request, connection: Connection, months: list[dict[str, Any]]) -> None:
    content = {
        "airflow": client.session.address,
        "dag": client.dag,
        "store": connection.store.url("") if connection.store else None,
        "from": str(request.months[0]),
        "to": str(request.months[-1]),
        "max_active": request.max_active,
        "published": sum(bool(each["published"]) for each in months),
        "months": months,
    }
    typer.echo(json.dumps(content, indent=1))


def _print_farewell(backfill: Backfill | None, client: BackfillClient) -> None:
    from deepfactor.errors import DeepfactorError

    try:
        # Airflow may have started one whose answer was not waited for.
        backfill = client.active()
    except DeepfactorError as error:
        console().print(Text(str(error)), soft_wrap=True)
    if backfill is None:
        console().print("Interrupted; no backfill is active.")
        return
    console().print(
        Text(
            f"Interrupted; {backfill} goes on in Airflow at {client.session.address}. The same command follows it "
            "again, and then runs what is missing; --pause or --cancel stops it."
        ),
        soft_wrap=True,
    )
