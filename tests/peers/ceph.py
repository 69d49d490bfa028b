"""A real Ceph in a folder: one monitor, one daemon that keeps objects in memory, and the S3 gateway, on loopback."""

from __future__ import annotations

import secrets
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from deepfactor.stack import ports
from tests.peers.peer import Daemons, Peer, User, require, run

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw")
_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin")

# Nobody else can reach it and it is thrown away, so daemons need no keys and one copy is enough.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = {monitor}
public addr = 127.0.0.1
ms bind ipv4 = true
ms bind ipv6 = false
ms bind msgr1 = false
ms mon client mode = crc
ms bind port min = {daemon_port}
ms bind port max = {last_daemon_port}
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
crash dir = {folder}
admin socket =
pid file =
log file =
log to stderr = true
err to stderr = true
mon cluster log file =
mon data = {folder}/mon
paxos propose interval = 0.05
paxos min wait = 0.01
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd class load list = *
osd class default list = *
rgw rados pool pg num min = 4
rgw frontends = beast endpoint=127.0.0.1:{gateway_port}
rgw data = {folder}
rgw thread pool size = 64
rgw run sync thread = false
rgw enable usage log = false
"""


@contextmanager
def running_ceph(folder: Path, port: int, users: Sequence[str]) -> Iterator[Peer]:
    """Run a Ceph with an S3 gateway.

    Parameters
    ----------
    folder
        Everything of it lies here.
    port
        The first to try of a range of a hundred.
    users
        Names of those who get a key.
    """
    missing = [each for each in _PROGRAMS if shutil.which(each) is None]
    require("Ceph", missing, f"apt-get install --no-install-recommends {' '.join(PACKAGES)}")
    gateway_port = ports.choose("radosgw", port)
    fsid, monitor = str(uuid.uuid4()), f"[v2:127.0.0.1:{ports.choose('ceph-mon', port + 50)}]"
    configuration = folder / "ceph.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            fsid=fsid,
            folder=folder,
            gateway_port=gateway_port,
            monitor=monitor,
            daemon_port=port + 60,
            last_daemon_port=port + 99,
        ),
        encoding="utf-8",
    )
    daemons = Daemons(folder)
    try:
        _start_storage(daemons, configuration, fsid, monitor)
        keys = _make_users(folder, configuration, users)
        daemons.start("radosgw", "radosgw", "-f", "-n", "client.rgw", "--conf", str(configuration))
        url = f"http://{ports.LOOPBACK}:{gateway_port}"
        daemons.wait("radosgw", lambda: _answers(url))
        yield Peer("radosgw", url, keys)
    finally:
        daemons.stop()


def _start_storage(daemons: Daemons, configuration: Path, fsid: str, monitor: str) -> None:
    folder, options = daemons.folder, ("--conf", str(configuration))
    run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", monitor, "map", folder=folder)
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "map", *options, folder=folder)
    daemons.start("ceph-mon", "ceph-mon", "-f", "-i", "a", *options)
    identity = str(uuid.uuid4())
    run("ceph", *options, "--connect-timeout", "30", "osd", "new", identity, folder=folder)
    (folder / "osd").mkdir()
    run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", identity, *options, folder=folder)
    daemons.start("ceph-osd", "ceph-osd", "-f", "-i", "0", *options)


def _make_users(folder: Path, configuration: Path, names: Sequence[str]) -> dict[str, User]:
    keys = {name: User(secrets.token_hex(10), secrets.token_hex(20)) for name in names}

    def make(name: str) -> None:
        run(
            *("radosgw-admin", "--conf", str(configuration), "-n", "client.rgw", "user", "create"),
            *("--uid", name, "--display-name", name),
            *("--access-key", keys[name].access_key, "--secret-key", keys[name].secret_key),
            folder=folder,
        )

    # The first one makes the gateway's pools as well.
    make(names[0])
    with ThreadPoolExecutor() as pool:
        list(pool.map(make, names[1:]))
    return keys


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code < 500
    except httpx.HTTPError:
        return False
