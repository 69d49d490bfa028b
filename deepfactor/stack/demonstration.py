"""The demonstration: a simulated month, published by Airflow on the embedded stack."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from deepfactor.config import DEFAULT_CONFIG, SimulationConfig, load_config
from deepfactor.months import Month
from deepfactor.publication import Manifest, PublishedMonth, manifest_key, read_month, verify_month
from deepfactor.reports.month import FILES
from deepfactor.reports.summary import durations_table, month_summary, objects_table
from deepfactor.sources.simulated import land
from deepfactor.stack.airflow_settings import DAG
from deepfactor.stack.credentials import USER
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import CHECKOUT, Layout, Ports
from deepfactor.stack.private_files import write_private
from deepfactor.stack.progress import follow, ordered
from deepfactor.stack.stack import Stack, up
from deepfactor.store import Store

_LOG_LINES = 25


@dataclass(frozen=True)
class Delivery:
    """A simulated market, and the configuration that reads it."""

    config: Path
    folder: Path
    simulation: SimulationConfig


def demo(
    root: Path,
    stocks: int,
    month: str,
    console: Console,
    checkout: Path = CHECKOUT,
    ports: Ports | None = None,
) -> int:
    """Publish one simulated month through Airflow, and show what came out.

    Parameters
    ----------
    root
        Everything is written to ``.local`` below it.
    stocks
        Average number of listed stocks of the simulated market.
    month
        As-of month, written ``YYYY-MM``.
    console
        Where to show progress and summary.
    checkout
        Holds the DAG and the S3 endpoint's environment.
    ports
        Ports to try first.

    Returns
    -------
    int
        0 if the month is published and verified, else 1.

    Raises
    ------
    DeepfactorError
        If the stack does not start, or the market cannot be simulated.
    """
    as_of = Month.parse(month)
    layout = Layout(root, checkout)
    say = _Steps(console)
    stack = up(layout, ports, say)
    try:
        delivery = prepare_delivery(layout, stocks)
        span = f"{delivery.simulation.first_month} … {delivery.simulation.last_month}"
        say(f"A simulated market of {stocks} stocks, {span}")
        land(delivery.folder, delivery.simulation)
        store = stack.endpoint.open()
        before = store.etag(manifest_key(as_of))
        say(f"The DAG {DAG} for {as_of}")
        durations = _run(stack, {"month": month, "config": str(delivery.config), "replace": True}, console)
        if durations is None:
            return 1
        verify_month(store, as_of)
        say("Published, read back and verified")
        console.print()
        _show(stack, read_month(store, as_of), durations, console, fresh=store.etag(manifest_key(as_of)) != before)
    finally:
        stack.session.close()
    return 0


def prepare_delivery(layout: Layout, stocks: int) -> Delivery:
    """Return the configuration for a simulated market of this size, written for it if the default is another.

    Raises
    ------
    StackError
        If the default configuration simulates nothing.
    """
    default = load_config(DEFAULT_CONFIG)
    simulation, folder = default.source.simulate, default.source.folder
    if simulation is None or folder is None:
        raise StackError(f"{DEFAULT_CONFIG} describes no simulated market: give it source.simulate and source.folder")
    simulation_here = replace(simulation, stocks=stocks)
    if simulation_here == simulation and layout.root.resolve() == layout.checkout:
        return Delivery(DEFAULT_CONFIG.relative_to(layout.checkout), Path(folder), simulation)
    content = yaml.safe_load(DEFAULT_CONFIG.read_text(encoding="utf-8"))
    delivery = Delivery(layout.local / f"demo-{stocks}.yaml", layout.local / f"market-{stocks}", simulation_here)
    content["source"] |= {"folder": str(delivery.folder), "simulate": asdict(simulation_here)}
    # Suites are looked for beside the configuration file, and this one lies elsewhere.
    content["expectations"] = default.expectations
    write_private(delivery.config, yaml.safe_dump(content, sort_keys=False))
    return delivery


class _Steps:
    """Prints what is begun, and when."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()

    def __call__(self, step: str) -> None:
        self._console.print(Text.assemble((f"{time.monotonic() - self._started:4.0f} s  ", "dim"), step))


def _run(stack: Stack, conf: dict[str, Any], console: Console) -> dict[str, float] | None:
    """Run the DAG, and return the seconds of each task; none, after saying why, if it fails."""
    run = stack.session.trigger(DAG, conf)
    if follow(stack.session, DAG, run, console) == "success":
        return {each.name: each.seconds or 0.0 for each in ordered(stack.session.tasks(DAG, run))}
    failed = [each for each in ordered(stack.session.tasks(DAG, run)) if each.state == "failed"]
    for each in failed:
        console.print(Text(f"\nThe task {each.name} failed. Its log ends with:", style="bold red"))
        for line in stack.session.log(DAG, run, each)[-_LOG_LINES:]:
            console.print(Text(f"  {line}"), soft_wrap=True)
    console.print(Text(f"\nNothing was published. The run: {stack.address}/dags/{DAG}/runs/{run}"), soft_wrap=True)
    return None


def _show(
    stack: Stack, published: PublishedMonth, durations: dict[str, float], console: Console, *, fresh: bool
) -> None:
    manifest = published.manifest
    report = _copy(stack.endpoint.open(), manifest, stack.layout.reports / str(manifest.month))
    console.print(month_summary(published.report()))
    console.print(objects_table(manifest.objects))
    console.print(durations_table(durations))
    if fresh:
        console.print(Text(f"Published as run {manifest.run_id}, verified.", style="bold green"))
    else:
        console.print(Text(f"Already published as run {manifest.run_id}, nothing new; verified.", style="bold green"))
    lines = {
        "Report": str(report),
        "Airflow": f"{stack.address}  user {USER}, password in {stack.layout.password}",
        "Objects": f"{stack.endpoint.url}  bucket deepfactor, keys in {stack.layout.secrets}",
        "Stop it": "make down",
    }
    for name, value in lines.items():
        console.print(Text.assemble((f"  {name:<9}", "bold"), value), soft_wrap=True)


def _copy(store: Store, manifest: Manifest, folder: Path) -> Path:
    """Copy the page and what it links to a folder, and return where the page is."""
    for name, reference in manifest.named_objects.items():
        if name == "report.html" or name in FILES or "/data_docs/" in name:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(store.read(reference))
    return folder / "report.html"
