"""How long the pages in Airflow's UI take from a store with 120 months, and how long until all is read the first time.

Publishes what is missing of the months with the steps of `deepfactor run` (a simulated market, the linear model), so a
stopped program goes on where it was. Then every page is asked for by a process of its own: where nothing has been kept
of any month (the first start on a machine), after a restart (digests are kept), and again (the same process). What
Airflow adds for login and transport is not in these figures; the last column says what the median needs of 300 ms.

    python benchmarks/ui_pages.py FOLDER [--months 120] [--stocks 300] [--rounds 9] [--processes 2]

With DEEPFACTOR_STORE the months that lie there are measured, and nothing is published.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from threading import Thread
from time import perf_counter

from deepfactor.address import StoreAddress, configured_address
from deepfactor.config import Config, SimulationConfig, load_config
from deepfactor.monthly import run_month
from deepfactor.months import Month, month_range
from deepfactor.publication import published_months
from deepfactor.sources.simulated import land

LIMIT = 0.3
FIRST = Month.parse("2006-03")


def configuration(folder: Path, stocks: int) -> Config:
    """Return the default configuration on a simulated market, with the linear model alone."""
    config = load_config()
    source = replace(config.source, folder=str(folder / "market"), simulate=SimulationConfig(stocks=stocks))
    return replace(config, source=source, models=("linear",), signal_model="linear")


def publish(job: tuple[StoreAddress, Config, Month]) -> Month:
    """Publish a month."""
    address, config, month = job
    run_month(month, address.open(), config, after=_unheard)
    return month


def _unheard(_step: str, _seconds: float) -> None:
    """Take note of nothing."""


def publish_missing(address: StoreAddress, folder: Path, months: int, stocks: int, processes: int) -> None:
    """Publish the months that are missing, several at once."""
    land(folder / "market", SimulationConfig(stocks=stocks))
    config, there = configuration(folder, stocks), set(published_months(address.open()))
    jobs = [(address, config, month) for month in month_range(FIRST, FIRST + (months - 1)) if month not in there]
    with get_context("spawn").Pool(processes) as pool:
        for done, month in enumerate(pool.imap_unordered(publish, jobs), 1):
            print(f"published {month}, {done} of {len(jobs)}", flush=True)


def measure(address: StoreAddress, digests: Path, rounds: int) -> dict[str, list[float]]:
    """Return seconds of each page, the first time and then again; and of reading everything, where not all was kept."""
    started = perf_counter()
    from deepfactor.pages.routes import answer
    from deepfactor.pages.shelf import Shelf
    from deepfactor.pages.site import Site

    shelf = Shelf.open(address.url, address.endpoint, address.access_key, address.secret_key)
    site = Site(shelf, digests, "/deep-factor")
    # As the API server does; it answers meanwhile.
    prepared = Thread(target=site.prepare)
    prepared.start()
    found = {"start of the process": [perf_counter() - started]}

    def timed(name: str, ask: Callable[[], object]) -> None:
        before = perf_counter()
        ask()
        found.setdefault(name, []).append(perf_counter() - before)

    last = published_months(shelf)[-1]
    pages: list[bytes] = [b""]
    while not pages[-1] or b'id="pending"' in pages[-1]:
        timed("overview", lambda: pages.append(answer(site, "", {}).body))
    prepared.join()
    found["until all months are read"] = [perf_counter() - started]
    found["overview while reading"] = found.pop("overview")
    signals = shelf.read_frame(site._manifest(str(last)).named("signals.parquet"))
    security = signals["security_id"][0]
    paths = {
        "overview": "",
        "month": f"months/{last}",
        "its report": f"months/{last}/files/report.html",
        "its validation": f"months/{last}/validation",
        "its gates": f"months/{last}/gates",
        "its manifest": f"months/{last}/manifest",
        "securities": "securities",
        "security": f"securities/{security}",
        "evaluation": "evaluations",
    }
    for _ in range(rounds):
        for name, path in paths.items():
            timed(name, lambda path=path: answer(site, path, {}))
    site.close()
    return found


def asked(digests: Path, rounds: int) -> dict[str, list[float]]:
    """Return what a process of its own has measured."""
    command = [sys.executable, __file__, "--measure", str(digests), "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - the command is ours
    content: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return content


def report(address: StoreAddress, rounds: int) -> None:
    """Measure, and print a table."""
    store = address.open()
    print(f"{len(published_months(store))} months in {store.url('')}")
    os.environ["UI_PAGES"] = json.dumps([address.url, address.endpoint, address.access_key, address.secret_key])
    with tempfile.TemporaryDirectory() as folder:
        cold = asked(Path(folder), rounds)
        kept = asked(Path(folder), rounds)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.*"))
    (reading,), meanwhile = cold.pop("until all months are read"), cold.pop("overview while reading")
    kept.pop("until all months are read")
    (at_once, *_) = kept.pop("overview while reading")
    print(
        f"nothing kept: all months are read {reading:.1f} s after the start; meanwhile the overview was asked for "
        f"{len(meanwhile)} times and took {median(meanwhile) * 1000:.0f} ms, at most {max(meanwhile) * 1000:.0f} ms"
    )
    print(f"restarted: {size / 1e6:.1f} MB are kept; at the very start the overview took {at_once * 1000:.0f} ms")
    print(f"{'ms':22}{'nothing kept':>14}{'restarted':>11}{'again':>8}{'at best':>9}{'of 300 ms':>11}")
    for name in cold:
        again = kept[name][1:]
        shown = f"{median(again) * 1000:8.0f}{min(again) * 1000:9.0f}{median(again) / LIMIT:11.0%}" if again else ""
        print(f"{name:22}{cold[name][0] * 1000:14.0f}{kept[name][0] * 1000:11.0f}{shown}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--months", type=int, default=120)
    parser.add_argument("--stocks", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        address = StoreAddress(*json.loads(os.environ["UI_PAGES"]))
        print(json.dumps(measure(address, given.measure, given.rounds)))
        return
    if given.folder is None and "DEEPFACTOR_STORE" not in os.environ:
        parser.error("name a folder for the store and its market, or set DEEPFACTOR_STORE")
    with configured_address(given.folder or Path()) as address:
        if "DEEPFACTOR_STORE" not in os.environ:
            publish_missing(address, given.folder / ".local", given.months, given.stocks, given.processes)
        report(address, given.rounds)


if __name__ == "__main__":
    main()
