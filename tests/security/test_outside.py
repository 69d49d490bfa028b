"""Nothing leaves the machine: what a month asks of the network is the store, whoever asks, Python or a library in C."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from deepfactor.stack.layout import CHECKOUT

# What Python asks tells an audit hook, which no library can switch off. What native code asks tell the counters of a
# network of its own, which has no way out: every packet for elsewhere is counted as one without a route.
_PROGRAM = """
import fcntl, json, os, socket, struct, sys
from dataclasses import replace
from pathlib import Path

asked = []
EVENTS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
          "socket.gethostbyaddr", "socket.getnameinfo", "urllib.Request", "http.client.connect", "smtplib.connect"}


def watch(event, arguments):
    if event in EVENTS:
        asked.append([event, repr(arguments[1:] if event.startswith(("socket.con", "socket.send")) else arguments)])


sys.addaudithook(watch)
folder, isolated = Path(sys.argv[1]), sys.argv[2] == "isolated"
if isolated:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 0x41))


def unrouted():
    found = {}
    rows = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    for names, values in zip(rows[::2], rows[1::2]):
        found |= {names[0] + name: int(value) for name, value in zip(names[1:], values[1:])}
    sixth = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return [found["Ip:OutNoRoutes"], found["Udp:NoPorts"], int(sixth.get("Ip6OutNoRoutes", 0))]


before = unrouted()
from deepfactor.config import SimulationConfig, TrainingConfig, UniverseConfig, load_config
from deepfactor.evaluating.evaluate import evaluate
from deepfactor.monthly import run_month
from deepfactor.months import Month
from deepfactor.pages.shelf import Shelf
from deepfactor.pages.site import Site
from deepfactor.publication import verify_month
from deepfactor.stack import object_store
from deepfactor.stack.credentials import ensure_credentials
from deepfactor.stack.layout import Layout
from deepfactor.stack.state import read_state

layout = Layout(folder)
layout.create()
endpoint, state = object_store.start(layout, ensure_credentials(layout), read_state(layout), int(sys.argv[3]))
try:
    config = load_config()
    config = replace(
        config,
        source=replace(config.source, folder=str(folder / "market"), simulate=SimulationConfig(stocks=60)),
        universe=UniverseConfig(minimum_stocks=20),
        training=TrainingConfig(members=1, epochs=2, batch_size=32, learning_rate=0.001),
        models=("dfm1", "linear"),
        signal_model="linear",
    )
    month, store = Month.parse("2016-02"), endpoint.open()
    run_month(month, store, config, after=lambda *_: None)
    verify_month(store, month)
    evaluate(store, month, month)
    key = endpoint.credentials
    site = Site(Shelf.open("s3://deepfactor", endpoint.url, key.access_key, key.secret_key), folder / "digests", "")
    site.prepare()
    site.close()
finally:
    object_store.stop(layout, state)
after = unrouted()
month_asked = list(asked)
# That the counters count, and the hook sees.
for attempt in range(2):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lost:
        try:
            lost.connect(("192.0.2.1", 9)) if isolated else None
        except OSError:
            pass
found = {"asked": month_asked, "counted": [before, after, unrouted()], "seen": len(asked)}
print("\\n" + json.dumps(found | {"told": os.environ["GX_ANALYTICS_ENABLED"]}))
"""

# Their only purpose is to tell somebody else.
_TELLERS = ("posthog", "segment-analytics-python", "analytics-python", "mixpanel", "scarf", "sentry-sdk", "ddtrace",
            "newrelic", "rudder-sdk-python", "amplitude-analytics", "bugsnag", "rollbar", "honeybadger")  # fmt: skip


def _isolation() -> list[str]:
    """Return the command that runs another in a network of its own; none where that is not allowed."""
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        return []
    return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a whole month, an evaluation and the pages of both have asked of the network."""
    folder = tmp_path_factory.mktemp("outside")
    isolation = _isolation()
    port = "4566" if isolation else "18766"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DEEPFACTOR", "GX_"))}
    done = subprocess.run(
        [*isolation, sys.executable, "-c", _PROGRAM, str(folder), "isolated" if isolation else "shared", port],
        env=kept | {"AIRFLOW_HOME": str(folder)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"isolated": bool(isolation)}


@pytest.mark.integration
def test_a_month_asks_nobody_but_the_store(month: dict[str, Any]) -> None:
    events = {event for event, _ in month["asked"]}
    assert {"socket.connect", "socket.getaddrinfo"} <= events
    assert [each for each in month["asked"] if "'127.0.0.1'" not in each[1]] == []


@pytest.mark.integration
def test_no_library_asks_behind_pythons_back(month: dict[str, Any]) -> None:
    if not month["isolated"]:
        pytest.skip("a network of its own is not allowed here")
    before, after, later = month["counted"]
    assert after == before
    # The counters do count.
    assert later[0] == after[0] + 2
    assert month["seen"] == len(month["asked"]) + 2


def test_nothing_is_installed_whose_purpose_is_to_tell() -> None:
    installed = {each.name.lower() for each in distributions()}
    assert len(installed) > 100
    assert installed.isdisjoint(_TELLERS)


def test_airflow_tells_nobody_unless_asked() -> None:
    from airflow.configuration import conf

    for section, option in (
        ("metrics", "statsd_on"),
        ("metrics", "otel_on"),
        ("traces", "otel_on"),
        ("sentry", "sentry_on"),
    ):
        assert not conf.getboolean(section, option, fallback=False), (section, option)
    assert conf.get("usage_data_collection", "enabled", fallback=None) is None


@pytest.mark.integration
def test_the_library_that_validates_is_told_to_be_silent(month: dict[str, Any]) -> None:
    assert month["told"] == "false"


def test_pages_name_no_address_elsewhere() -> None:
    """What a page asks for is tested where it is rendered; here that nobody has written an address into it."""
    for path in sorted((CHECKOUT / "include" / "templates").rglob("*.*")):
        text = path.read_text(encoding="utf-8")
        addresses = {each for each in text.replace('"', " ").replace("'", " ").split() if "://" in each}
        assert all("http://www.w3.org/" in each for each in addresses), path
    assert Path(CHECKOUT / "include" / "templates" / "month.js").is_file()
