"""SeaweedFS in a folder, started as docker-compose.yaml starts it, on loopback."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from deepfactor.stack import ports
from tests.peers.peer import Daemons, Peer, User, require

PROGRAM = Path(sys.executable).with_name("weed")
_COMPOSE = Path(__file__).resolve().parents[2] / "docker-compose.yaml"


@contextmanager
def running_seaweedfs(folder: Path, port: int) -> Iterator[Peer]:
    """Run SeaweedFS with an S3 gateway.

    Parameters
    ----------
    folder
        Everything of it lies here.
    port
        The first to try of a range of a hundred.
    """
    missing = [] if PROGRAM.exists() else ["weed"]
    require("SeaweedFS", missing, "make develop")
    keys = {name: User(secrets.token_hex(10), secrets.token_hex(20)) for name in ("owner", "writer", "stranger")}
    (folder / "identities.json").write_text(_identities(keys), encoding="utf-8")
    numbers = {}
    for place, name in enumerate(("s3", "master", "volume", "filer")):
        numbers[name] = ports.choose(f"SeaweedFS's {name}", port + 10 * place)
    daemons = Daemons(folder)
    try:
        daemons.start("weed", str(PROGRAM), "-logtostderr=true", "server", *_options(folder, numbers))
        url = f"http://{ports.LOOPBACK}:{numbers['s3']}"
        daemons.wait("SeaweedFS", lambda: _answers(url))
        yield Peer("seaweedfs", url, keys)
    finally:
        daemons.stop()


def _identities(keys: Mapping[str, User]) -> str:
    """Return the identities of docker-compose.yaml with keys, and one more that may do nothing."""
    entrypoint = yaml.safe_load(_COMPOSE.read_text(encoding="utf-8"))["services"]["seaweedfs"]["entrypoint"][-1]
    text = entrypoint.partition("<<END\n")[2].partition("END\n")[0]
    for name, user in (("S3_ADMIN", keys["owner"]), ("S3", keys["writer"])):
        text = text.replace(f"$${name}_ACCESS_KEY", user.access_key).replace(f"$${name}_SECRET_KEY", user.secret_key)
    content = json.loads(text)
    nobody = {"accessKey": keys["stranger"].access_key, "secretKey": keys["stranger"].secret_key}
    content["identities"].append({"name": "stranger", "actions": [], "credentials": [nobody]})
    return json.dumps(content)


def _options(folder: Path, numbers: dict[str, int]) -> list[str]:
    grpc = {f"{name}.port.grpc": number + 1 for name, number in numbers.items()}
    listening = {f"{name}.port": number for name, number in numbers.items()} | grpc
    return [
        *(f"-{option}={number}" for option, number in listening.items()),
        *(f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *("-master.volumeSizeLimitMB=64", "-master.volumePreallocate=false", "-master.telemetry=false"),
        *("-volume.max=0", "-volume.minFreeSpace=1GiB"),
        *("-s3", "-s3.ip.bind=127.0.0.1", f"-s3.config={folder / 'identities.json'}"),
        *("-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
