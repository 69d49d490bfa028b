"""The S3 endpoint: an emulator on loopback whose objects lie on disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace

import boto3
import httpx
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from deepfactor.stack import emulator, ports, processes
from deepfactor.stack.credentials import Credentials
from deepfactor.stack.errors import StackError
from deepfactor.stack.layout import BUCKET, Layout
from deepfactor.stack.state import State, write_state
from deepfactor.store import Store

SERVICE = "s3"
REGION = "us-east-1"

_PATIENCE = 30.0


@dataclass(frozen=True)
class Endpoint:
    """Where the store is, and how to get in."""

    url: str
    credentials: Credentials

    def open(self) -> Store:
        """Open the stack's bucket."""
        return Store.open(
            f"s3://{BUCKET}", self.url, access_key=self.credentials.access_key, secret_key=self.credentials.secret_key
        )


def running(state: State) -> str | None:
    """Return the address of the endpoint if it runs and answers."""
    if processes.find(state.processes.get(SERVICE)) is None:
        return None
    url = address(state)
    return url if _answers(url) else None


def address(state: State) -> str:
    """Return where the endpoint is when it runs."""
    return f"http://{ports.LOOPBACK}:{state.ports[SERVICE]}"


def start(layout: Layout, credentials: Credentials, state: State, preferred: int) -> tuple[Endpoint, State]:
    """Start the endpoint unless it runs, make the bucket, and return where it is.

    Raises
    ------
    StackError
        If its environment is missing, or it does not start.
    """
    url = running(state)
    if url is None:
        state = stop(layout, state)
        state = _launch(layout, credentials, state, preferred)
        url = address(state)
        _wait(layout, state, url)
    endpoint = Endpoint(url, credentials)
    _ensure_bucket(endpoint)
    return endpoint, state


def stop(layout: Layout, state: State) -> State:
    """Stop the endpoint if it runs."""
    process = processes.find(state.processes.get(SERVICE))
    if process is not None:
        processes.stop([process])
    return write_state(layout, replace(state.without(SERVICE), s3_on_demand=False))


def _launch(layout: Layout, credentials: Credentials, state: State, preferred: int) -> State:
    if not layout.store_python.exists():
        raise StackError(f"the S3 endpoint's environment {layout.store_python.parents[1]} is missing: run `make setup`")
    layout.create()
    port = ports.choose("the S3 endpoint", state.ports.get(SERVICE, preferred))
    record = processes.launch(
        [str(layout.store_python), "-P", emulator.__file__],
        _environment(layout, credentials, port),
        layout.objects,
        layout.logs / "s3.log",
    )
    return write_state(layout, state.having(SERVICE, record).listening(SERVICE, port))


def _environment(layout: Layout, credentials: Credentials, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        processes.MARKER: str(layout.local),
        # It listens everywhere unless told otherwise.
        "BIND_HOST": ports.LOOPBACK,
        "GATEWAY_PORT": str(port),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(layout.objects),
        # It can emulate much more, and would open further ports and look for Docker.
        "SERVICES": "s3",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{layout.local / 'no-docker'}",
        # Unknown access keys are refused; the secret of a known one is not checked all the same.
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(layout.local),
        "LOG_LEVEL": "WARNING",
    }


def _wait(layout: Layout, state: State, url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _answers(url):
        ended = processes.find(state.processes[SERVICE]) is None
        if ended or time.monotonic() > deadline:
            what = "ended at once" if ended else f"does not answer after {_PATIENCE:.0f} s"
            log = layout.logs / "s3.log"
            raise StackError(f"the S3 endpoint {what}; its log {log} ends with:\n{processes.tail(log)}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_ministack/health", timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _ensure_bucket(endpoint: Endpoint) -> None:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint.url,
        region_name=REGION,
        aws_access_key_id=endpoint.credentials.access_key,
        aws_secret_access_key=endpoint.credentials.secret_key,
        config=BotoConfig(s3={"addressing_style": "path"}),
    )
    try:
        if BUCKET not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"cannot create the bucket {BUCKET} at {endpoint.url}: {error}") from None
